/** Files of the data dir that the server keeps for its owner: the admin key, and where the server can be reached. */
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const ADMIN_KEY_FILE = 'admin-key';
const SERVER_FILE = 'server.json';
const OWNER_ONLY = 0o600;
/** Pinned by the wire contract for a key that is given; ours are longer. */
const KEY_CHARACTERS_MIN = 24;

export interface AdminKey {
  readonly secret: string;
  /** Where it is kept, or null when it was given in the environment. */
  readonly file: string | null;
}

/** The key of the environment, else the one in the data dir, else a new one that is kept there. */
export async function loadAdminKey(
  dataDir: string,
  given: string | null,
  makeKey: () => string,
): Promise<AdminKey> {
  if (given !== null) return { secret: given, file: null };
  await mkdir(dataDir, { recursive: true });
  const file = join(dataDir, ADMIN_KEY_FILE);
  const known = await readOrNull(file);
  if (known !== null) return { secret: checked(known.trim(), file), file };
  const secret = makeKey();
  await writeOwnerOnly(file, `${secret}\n`);
  return { secret, file };
}

/** A file that a crash left empty would otherwise become a key that nobody can present. */
function checked(secret: string, file: string): string {
  if (secret.length >= KEY_CHARACTERS_MIN) return secret;
  throw new Error(`${file} holds no admin key. Delete it: the next start makes a new one.`);
}

/** Tells command line tools on this machine where the server of this data dir is. Returns the way to take it back. */
export async function announceServer(dataDir: string, url: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true });
  const file = join(dataDir, SERVER_FILE);
  await writeOwnerOnly(
    file,
    `${JSON.stringify({ url, pid: process.pid, started_at: new Date().toISOString() })}\n`,
  );
  return () => rm(file, { force: true });
}

async function writeOwnerOnly(file: string, content: string): Promise<void> {
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, content, { mode: OWNER_ONLY });
  await chmod(draft, OWNER_ONLY);
  await rename(draft, file);
}

async function readOrNull(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
