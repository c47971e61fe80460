import { execFile } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { chooseAccount, isRoot } from '../../../../src/server/db/embedded/account.ts';
import type { Checkout } from './checkout.ts';
import { makeCheckout, nativeDirectory, removeLibraryLinks } from './checkout.ts';
import { findPostmaster, waitUntilNoProcess } from './database-processes.ts';
import { listIdentities, query, sayLeftOut, TestBench } from './test-bench.ts';

const identities = await listIdentities();
let bench: TestBench;

beforeAll(async () => {
  bench = await TestBench.make('directories');
});

afterAll(async () => {
  await bench.clear();
});

/** A checkout of a test's own, to break; owned by whoever runs the server, as a checkout is. */
async function makeOwnCheckout(owner: Awaited<ReturnType<typeof chooseAccount>>): Promise<Checkout> {
  const directory = await bench.makeDirectory(null);
  const checkout = await makeCheckout(directory, await chooseAccount());
  if (owner !== null) {
    await promisify(execFile)('chown', ['-R', `${owner.uid}:${owner.gid}`, directory]);
  }
  return checkout;
}

/** The program that really runs, as the process list names it. */
async function findProgram(clusterDir: string): Promise<string> {
  const pid = await findPostmaster(clusterDir);
  const commandLine =
    process.platform === 'linux'
      ? (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
      : (await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).stdout.split(' ');
  return commandLine[0] ?? '';
}

describe.each(identities)('with install scripts off, the embedded Postgres of $label', ({ runAs }) => {
  it('makes the library links where they belong and runs from there', async () => {
    const checkout = await makeOwnCheckout(runAs);
    const removed = await removeLibraryLinks(checkout);
    expect(removed).toBeGreaterThan(0);
    const dataDir = await bench.makeDataDir(runAs);
    const server = bench.start({ dataDir, runAs, checkout });
    const { url, clusterDir } = await server.ready();
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await findProgram(clusterDir)).toBe(join(nativeDirectory(checkout), 'bin', 'postgres'));
    await server.stop();
    expect(await removeLibraryLinks(checkout)).toBe(removed);
  });
});

describe('with install scripts off and a node_modules it may not write', () => {
  it('a plain user runs a copy in the data dir, and uses it again', async () => {
    const plain = await chooseAccount();
    const checkout = await makeOwnCheckout(null);
    await removeLibraryLinks(checkout);
    await chmod(join(nativeDirectory(checkout), 'lib'), 0o555);
    const dataDir = await bench.makeDataDir(plain);
    const first = bench.start({ dataDir, runAs: plain, checkout });
    const { clusterDir } = await first.ready();
    const program = await findProgram(clusterDir);
    expect(program.startsWith(join(dataDir, 'postgres-binaries-'))).toBe(true);
    const made = await stat(program);
    await first.stop();
    const second = bench.start({ dataDir, runAs: plain, checkout });
    await second.ready();
    expect(await findProgram(clusterDir)).toBe(program);
    expect((await stat(program)).ino).toBe(made.ino);
    await second.stop();
    await chmod(join(nativeDirectory(checkout), 'lib'), 0o755);
  });
});

describe('root, whose database account cannot enter the checkout', () => {
  it('runs one copy in a system directory that only root can write, however many start at once', async () => {
    if (!isRoot()) {
      sayLeftOut('a checkout that the database account cannot enter');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const checkout = await makeOwnCheckout(null);
    await chmod(checkout.directory, 0o700);
    const systemDirectory = join(await bench.makeDirectory(null), 'system');
    const servers = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const dataDir = await bench.makeDataDir(null);
        return bench.start({ dataDir, runAs: null, checkout, systemDirectories: [systemDirectory] });
      }),
    );
    for (const server of servers) {
      const { clusterDir, url } = await server.ready();
      expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect((await findProgram(clusterDir)).startsWith(`${systemDirectory}/`)).toBe(true);
      await server.stop();
    }
    const kept = await readdir(systemDirectory);
    expect(kept).toHaveLength(1);
    expect(await listForeignOrWritable(systemDirectory)).toEqual([]);
  });

  it('refuses a system directory that another account could have prepared, and says so', async () => {
    if (!isRoot()) {
      sayLeftOut('a system directory that belongs to somebody else');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const account = await chooseAccount();
    const checkout = await makeOwnCheckout(null);
    await chmod(checkout.directory, 0o700);
    const foreign = await bench.makeDirectory(account);
    const shared = await bench.makeDirectory(null);
    await chmod(shared, 0o777);
    const dataDir = await bench.makeDataDir(null);
    const server = bench.start({ dataDir, runAs: null, checkout, systemDirectories: [foreign, shared] });
    const { code, message } = await server.failed();
    expect(code).toBe('system_dir_unusable');
    expect(message).toContain(`belongs to uid ${account?.uid}`);
    expect(message).toContain('can be written by others than root');
    expect(message).toContain('DATABASE_URL');
    expect(await readdir(foreign)).toEqual([]);
  });
});

describe('root, whose database account cannot enter the data dir', () => {
  it('keeps the cluster in a system directory, says so, and finds it again, also when the data dir moved', async () => {
    if (!isRoot()) {
      sayLeftOut('a data dir that the database account cannot enter');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const parent = await bench.makeDirectory(null, 0o700);
    const dataDir = join(parent, 'data');
    const first = bench.start({ dataDir, runAs: null });
    const { url, clusterDir, notice, account } = await first.ready();
    expect(clusterDir.startsWith(join(bench.systemDirectory, 'clusters'))).toBe(true);
    expect(notice).toContain(clusterDir);
    expect(notice).toContain(account);
    expect((await stat(clusterDir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'postgres.password'))).mode & 0o777).toBe(0o600);
    await query(url, 'CREATE TABLE kept (word text)');
    await first.stop();
    await waitUntilNoProcess(clusterDir, 1_000);

    const moved = `${dataDir}-moved`;
    await rename(dataDir, moved);
    // Reachable now: the cluster must stay where it is all the same.
    await chmod(parent, 0o755);
    const second = bench.start({ dataDir: moved, runAs: null });
    const again = await second.ready();
    expect(again.clusterDir).toBe(clusterDir);
    expect(await query(again.url, 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 0 }]);

    const copy = `${dataDir}-copy`;
    await promisify(execFile)('cp', ['-a', moved, copy]);
    const onCopy = bench.start({ dataDir: copy, runAs: null });
    expect(await onCopy.failed()).toMatchObject({ code: 'already_running' });
    await second.stop();
  });

  it('never takes the cluster of a deleted data dir for that of a new one at the same path', async () => {
    if (!isRoot()) {
      sayLeftOut('a data dir that is deleted while its cluster is elsewhere');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const dataDir = join(await bench.makeDirectory(null, 0o700), 'data');
    const first = bench.start({ dataDir, runAs: null });
    const { clusterDir } = await first.ready();
    await first.stop();
    await rm(dataDir, { recursive: true });
    const second = bench.start({ dataDir, runAs: null });
    const fresh = await second.ready();
    expect(fresh.clusterDir).not.toBe(clusterDir);
    expect((await stat(clusterDir)).isDirectory()).toBe(true);
    await second.stop();
  });

  it('stops with an error, and makes no empty database, when the cluster it remembers is gone', async () => {
    if (!isRoot()) {
      sayLeftOut('a cluster elsewhere that was lost');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const dataDir = join(await bench.makeDirectory(null, 0o700), 'data');
    const first = bench.start({ dataDir, runAs: null });
    const { clusterDir } = await first.ready();
    await first.stop();
    await rename(clusterDir, `${clusterDir}-lost`);
    const second = bench.start({ dataDir, runAs: null });
    const { code, message } = await second.failed();
    expect(code).toBe('cluster_missing');
    expect(message).toContain(clusterDir);
    await expect(stat(clusterDir)).rejects.toThrow('ENOENT');
  });

  it('follows a record only to a place that it could have made itself', async () => {
    if (!isRoot()) {
      sayLeftOut('a record that names a place of somebody else');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const dataDir = join(await bench.makeDirectory(null, 0o700), 'data');
    const first = bench.start({ dataDir, runAs: null });
    const { clusterDir } = await first.ready();
    await first.stop();
    const trap = await bench.makeDirectory(await chooseAccount());
    await mkdir(join(trap, 'clusters'));
    await symlink(clusterDir, join(trap, 'clusters', 'postgres'));
    const record = join(dataDir, 'postgres.json');
    const text = await readFile(record, 'utf8');
    await writeFile(record, text.replace(/"place": ".*"/, `"place": "${join(trap, 'clusters', 'mine')}"`));
    await mkdir(join(trap, 'clusters', 'mine'));
    const second = bench.start({ dataDir, runAs: null });
    const { code, message } = await second.failed();
    expect(code).toBe('data_dir_unusable');
    expect(message).toContain(record);
    expect(await readdir(join(trap, 'clusters', 'mine'))).toEqual([]);
  });
});

describe('root, on a cluster of another account', () => {
  it('runs it under that account, and the user it belongs to can start it again afterwards', async () => {
    const plain = await chooseAccount();
    if (plain === null) {
      sayLeftOut('a cluster that a plain user made');
      expect(isRoot()).toBe(false);
      return;
    }
    const dataDir = await bench.makeDataDir(plain);
    for (const runAs of [plain, null, plain]) {
      const server = bench.start({ dataDir, runAs });
      const { clusterDir, account } = await server.ready();
      expect(account).toBe(runAs === null ? plain.name : null);
      expect((await stat(join(clusterDir, 'postmaster.pid'))).uid).toBe(plain.uid);
      await server.stop();
    }
    const owners = await Promise.all((await readdir(dataDir)).map((name) => lstat(join(dataDir, name))));
    expect(owners.map(({ uid }) => uid)).toEqual(owners.map(() => plain.uid));
  });

  it('runs it under that account even when it has no name here, as on a volume of another image', async () => {
    if (!isRoot()) {
      sayLeftOut('a cluster of an account without a name');
      expect(await chooseAccount()).toBeNull();
      return;
    }
    const dataDir = await bench.makeDataDir(null);
    const first = bench.start({ dataDir, runAs: null });
    const { clusterDir } = await first.ready();
    await first.stop();
    const unnamedUid = 54_321;
    await promisify(execFile)('chown', ['-R', `${unnamedUid}:${unnamedUid}`, clusterDir]);
    const second = bench.start({ dataDir, runAs: null });
    expect(await second.ready()).toMatchObject({ account: `uid ${unnamedUid}`, clusterDir });
    expect((await lstat(join(clusterDir, 'postmaster.pid'))).uid).toBe(unnamedUid);
    await second.stop();
  });
});

/** What anybody but root could change below a directory. */
async function listForeignOrWritable(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const status = await lstat(path);
    if (status.uid !== 0 || (!status.isSymbolicLink() && (status.mode & 0o022) !== 0)) {
      found.push(path);
    }
  }
  return found;
}
