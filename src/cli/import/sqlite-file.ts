/** Reads an SQLite file that others may be using, without writing to it or locking it, as of one moment. */
import { readFile, stat } from 'node:fs/promises';
import { UsageError } from '../exit-codes.ts';
import { applyWal } from './wal.ts';

const MAGIC = 'SQLite format 3\0';
/** The whole file is held in memory, twice for a moment. WebAssembly addresses 4 GiB at most; boards have some MB. */
const FILE_BYTES_MAX = 1024 * 1024 * 1024;
/** A writer that checkpoints between our two reads; it seldom does so three times in a row. */
const ATTEMPTS_MAX = 5;

export async function readSqliteFile(path: string): Promise<Uint8Array> {
  await assertReadable(path);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const before = await stampOf(path);
    const wal = await readIfThere(`${path}-wal`);
    const main = await readFile(path);
    if ((await stampOf(path)) !== before) continue;
    if (main.toString('latin1', 0, MAGIC.length) !== MAGIC)
      throw new UsageError(`${path} is not an SQLite database.`);
    return wal === null ? main : applyWal(main, wal);
  }
  throw new UsageError(`${path} changes faster than it can be read; stop what writes to it and try again.`);
}

async function assertReadable(path: string): Promise<void> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`Cannot read ${path}: ${reason}`, { cause: error });
  }
  if (!found.isFile()) throw new UsageError(`${path} is no file; give the kanban.db itself.`);
  if (found.size > FILE_BYTES_MAX) throw new UsageError(`${path} is larger than ${FILE_BYTES_MAX} bytes.`);
  const journal = await readIfThere(`${path}-journal`);
  // A journal that begins with zeros was finished with and is only kept.
  if (journal !== null && journal[0] !== undefined && journal[0] !== 0) {
    throw new UsageError(
      `${path}-journal holds a transaction that was not finished. If nothing writes to the database any more, let SQLite undo it: sqlite3 ${path} 'SELECT 1 FROM tasks'`,
    );
  }
}

/** Changes with every write to the file or its log. */
async function stampOf(path: string): Promise<string> {
  const stamps = await Promise.all(
    [path, `${path}-wal`].map(async (name) => {
      const found = await stat(name, { bigint: true }).catch(() => null);
      return found === null ? 'none' : `${found.ino} ${found.size} ${found.mtimeNs}`;
    }),
  );
  return stamps.join(', ');
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
