/**
 * Which account the database processes run under. Postgres refuses to run as root, so root drops to an account that
 * already exists; everyone else runs it as themselves. This module never creates or changes an account: a user made
 * on the host would outlive the product. A bare numeric uid was tried and failed, initdb wants a name for it.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { EmbeddedPostgresError } from './embedded-postgres-error.ts';

export interface Account {
  /** Null when the uid of an existing cluster has no name on this machine; the server itself does not need one. */
  readonly name: string | null;
  readonly uid: number;
  readonly gid: number;
}

/** Null means: run as ourselves. */
export type RunAs = Account | null;

const ACCOUNT_NAMES = ['postgres', 'nobody'] as const;
const PASSWD_FILE = '/etc/passwd';
/** A name lookup through a directory service may hang when that service is away; local ones take milliseconds. */
const LOOKUP_TIMEOUT_MILLIS = 5_000;

const execFileAsync = promisify(execFile);

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The account for a new cluster. */
export async function chooseAccount(names: readonly string[] = ACCOUNT_NAMES): Promise<RunAs> {
  if (!isRoot()) {
    return null;
  }
  const passwd = await readPasswd();
  for (const name of names) {
    const account = passwd.find((entry) => entry.name === name) ?? (await askForAccount(name));
    if (account !== null && account !== undefined && account.uid !== 0) {
      return account;
    }
  }
  throw new EmbeddedPostgresError(
    'account_missing',
    `Postgres does not run as root, and this machine has none of the accounts ${names.join(', ')} to run it ` +
      'under. Start Lanekeeper as a user that is not root, or set DATABASE_URL to a Postgres that already runs.',
  );
}

/** The account that owns an existing cluster: it must stay the same even when a better-named one appears later. */
export async function findAccountByUid(uid: number, gid: number): Promise<Account> {
  const passwd = await readPasswd();
  const entry = passwd.find((candidate) => candidate.uid === uid);
  return { name: entry?.name ?? null, uid, gid: entry?.gid ?? gid };
}

export function describeAccount(account: Account): string {
  return account.name ?? `uid ${account.uid}`;
}

/** The part of the spawn options that drops root; Node also clears root's supplementary groups then. */
export function spawnIdentity(runAs: RunAs): { uid?: number; gid?: number } {
  return runAs === null ? {} : { uid: runAs.uid, gid: runAs.gid };
}

async function readPasswd(): Promise<Account[]> {
  const text = await readFile(PASSWD_FILE, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    if (line.startsWith('#') || name === undefined || uid === undefined || gid === undefined) {
      return [];
    }
    return [{ name, uid: toUnsignedId(uid), gid: toUnsignedId(gid) }];
  });
}

/** Accounts that live in a directory service rather than in the file, as on macOS. */
async function askForAccount(name: string): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map((flag) => execFileAsync('id', [flag, name], { timeout: LOOKUP_TIMEOUT_MILLIS })),
    );
    if (uid === undefined || gid === undefined) {
      return null;
    }
    return { name, uid: toUnsignedId(uid.stdout), gid: toUnsignedId(gid.stdout) };
  } catch {
    // An unknown name makes `id` fail, and so does a machine without `id`: both mean there is no such account here.
    return null;
  }
}

/** macOS writes nobody as -2; the system call takes the same number unsigned. */
function toUnsignedId(text: string): number {
  return Number.parseInt(text, 10) >>> 0;
}
