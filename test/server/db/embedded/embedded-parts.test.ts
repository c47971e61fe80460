import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { chooseAccount, findAccountByUid, isRoot } from '../../../../src/server/db/embedded/account.ts';
import { copyBinaries, unfinishedName } from '../../../../src/server/db/embedded/binaries-copy.ts';
import { openBoundedLog } from '../../../../src/server/db/embedded/bounded-log.ts';
import { findPlatformPackage } from '../../../../src/server/db/embedded/platform-package.ts';
import {
  identifyProcess,
  isAlive,
  isPostmasterOf,
} from '../../../../src/server/db/embedded/process-identity.ts';
import { runToCompletion } from '../../../../src/server/db/embedded/run-to-completion.ts';
import { runSupervised } from '../../../../src/server/db/embedded/supervised-process.ts';
import { listChildren } from './database-processes.ts';
import { killIfThere, sayLeftOut } from './test-bench.ts';
import { waitFor } from './wait-for.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lanekeeper-parts-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('the account', () => {
  it('is missing with an error that says what to do, when root finds none of the names', async () => {
    if (!isRoot()) {
      sayLeftOut('a machine without an account for Postgres');
      expect(await chooseAccount(['no-such-account'])).toBeNull();
      return;
    }
    await expect(chooseAccount(['no-such-account'])).rejects.toMatchObject({ code: 'account_missing' });
    await expect(chooseAccount(['no-such-account'])).rejects.toThrow('DATABASE_URL');
    // Named, but as mighty as root.
    await expect(chooseAccount(['root'])).rejects.toMatchObject({ code: 'account_missing' });
    expect(await chooseAccount(['no-such-account', 'nobody'])).toMatchObject({ name: 'nobody' });
  });

  it('of an existing cluster may be one without a name', async () => {
    expect(await findAccountByUid(54_321, 54_322)).toEqual({ name: null, uid: 54_321, gid: 54_322 });
  });
});

describe('a platform without Postgres programs', () => {
  it.each([
    ['win32', 'x64'],
    ['linux', 's390x'],
    ['freebsd', 'x64'],
  ])('%s-%s is refused with the way out', async (platform, architecture) => {
    const found = findPlatformPackage(platform, architecture);
    await expect(found).rejects.toMatchObject({ code: 'unsupported_platform' });
    await expect(found).rejects.toThrow(`${platform}-${architecture}. Set DATABASE_URL`);
  });
});

describe('a copy of the programs', () => {
  it('has the modes it needs, keeps relative links, and leaves out what only compilers read', async () => {
    const source = join(directory, 'source');
    await mkdir(join(source, 'bin'), { recursive: true, mode: 0o700 });
    await mkdir(join(source, 'lib', 'pkgconfig'), { recursive: true });
    await writeFile(join(source, 'bin', 'postgres'), 'program', { mode: 0o700 });
    await writeFile(join(source, 'lib', 'libpq.so.5'), 'library', { mode: 0o600 });
    await writeFile(join(source, 'lib', 'libpq.a'), 'archive');
    await symlink('libpq.so.5', join(source, 'lib', 'libpq.so'));
    await symlink('/etc/passwd', join(source, 'lib', 'absolute.so'));
    await symlink('../../outside', join(source, 'lib', 'outside.so'));
    const destination = join(directory, 'copy');
    await copyBinaries(source, destination);
    expect((await readdir(destination, { recursive: true })).sort()).toEqual([
      'bin',
      'bin/postgres',
      'lib',
      'lib/libpq.so',
      'lib/libpq.so.5',
    ]);
    expect(await readlink(join(destination, 'lib', 'libpq.so'))).toBe('libpq.so.5');
    expect((await stat(join(destination, 'bin', 'postgres'))).mode & 0o777).toBe(0o755);
    expect((await stat(join(destination, 'lib', 'libpq.so.5'))).mode & 0o777).toBe(0o644);
    expect((await stat(join(destination, 'bin'))).mode & 0o777).toBe(0o755);
  });

  it('appears once when many make it at the same time, and removes only old rubbish', async () => {
    const source = join(directory, 'source');
    await mkdir(source);
    await writeFile(join(source, 'postgres'), 'program');
    const destination = join(directory, 'copy');
    const old = unfinishedName(destination);
    const recent = unfinishedName(destination);
    await mkdir(old);
    await mkdir(recent);
    const yesterday = Date.now() / 1_000 - 86_400;
    await utimes(old, yesterday, yesterday);
    await copyBinaries(source, destination);
    await Promise.all(Array.from({ length: 5 }, () => copyBinaries(source, destination)));
    expect(await readFile(join(destination, 'postgres'), 'utf8')).toBe('program');
    const left = await readdir(directory);
    expect(left.map((name) => join(directory, name)).sort()).toEqual([destination, recent, source].sort());
  });
});

describe('a program under supervision', () => {
  const shell = { file: '/bin/sh', runAs: null, signal: undefined };

  it('gets its input and tells its output and its exit', async () => {
    const script = 'read word; echo "got $word"; echo "also said" >&2; exit $1';
    const inputs = { input: 'hello\n', ...shell };
    expect(await runToCompletion({ ...inputs, arguments: ['-c', script, 'sh', '0'] })).toEqual({
      kind: 'succeeded',
      output: 'got hello\nalso said\n',
    });
    expect(await runToCompletion({ ...inputs, arguments: ['-c', script, 'sh', '7'] })).toEqual({
      kind: 'failed',
      reason: 'got hello\nalso said (exit 7)',
    });
    expect(await runToCompletion({ ...shell, arguments: ['-c', 'kill -ABRT $$'] })).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('(exit SIGABRT)') as string,
    });
  });

  it('sees nothing of our environment', async () => {
    process.env['LANEKEEPER_TEST_SECRET'] = 'secret';
    const result = await runToCompletion({ ...shell, file: '/usr/bin/env', arguments: [] });
    delete process.env['LANEKEEPER_TEST_SECRET'];
    expect(result.kind).toBe('succeeded');
    const names = (result.kind === 'succeeded' ? result.output : '')
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names.filter((name) => name !== '' && name !== 'PWD').sort()).toEqual([
      'HOME',
      'LC_ALL',
      'PATH',
      'TZ',
    ]);
  });

  it('is ended when the start is cancelled, even when it ignores every signal that can be ignored', async () => {
    const cancel = new AbortController();
    const startedAt = performance.now();
    const result = runToCompletion({
      file: '/bin/sh',
      arguments: ['-c', 'trap "" INT QUIT TERM; while :; do sleep 0.1; done'],
      runAs: null,
      signal: cancel.signal,
    });
    cancel.abort();
    expect((await result).kind).toBe('failed');
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  // The supervisor ends with the program and must not take its guard away while that still kills the children; a hundred make this
  // moment as long as a busy machine does.
  it.runIf(process.platform === 'linux')(
    'is ended with all of its children, even when they act on nothing but SIGKILL',
    async () => {
      const supervised = runSupervised({
        file: '/bin/sh',
        arguments: ['-c', 'trap "" INT QUIT; for i in $(seq 100); do sleep 600 & done; wait'],
        runAs: null,
        output: 'pipe',
      });
      const children: number[] = [];
      try {
        const pid = await supervised.pid;
        await waitFor('a hundred children', 10_000, async () => {
          children.splice(0, children.length, ...(await listChildren(pid ?? 0)));
          return children.length === 100 ? true : { notYet: String(children.length) };
        });
        supervised.stop();
        expect(await supervised.exited).toEqual({ code: null, signal: 'SIGKILL' });
        await waitFor('the children to end', 1_000, async () => {
          const identities = await Promise.all(children.map(identifyProcess));
          const left = identities.filter((identity) => identity !== null && !identity.isZombie);
          return left.length === 0 ? true : { notYet: `${left.length} left` };
        });
      } finally {
        for (const child of children) killIfThere(child);
      }
    },
  );

  it('is not started in vain: a program that does not exist says so', async () => {
    const result = await runToCompletion({ ...shell, file: join(directory, 'missing'), arguments: [] });
    expect(result).toMatchObject({ kind: 'failed', reason: expect.stringContaining('missing') as string });
  });
});

describe('the log of the database', () => {
  it('keeps the end of a log that grew too long in a second file, and starts anew', async () => {
    const path = join(directory, 'postgres.log');
    await writeFile(path, 'x'.repeat(9 * 1024 * 1024));
    const log = await openBoundedLog(path);
    expect(await log.measureBytes()).toBe(0);
    expect((await stat(`${path}.1`)).size).toBe(9 * 1024 * 1024);
    await log.close();
  });

  it('shows what was written since, and no more than the end of it', async () => {
    const path = join(directory, 'postgres.log');
    await writeFile(path, 'before\n');
    const log = await openBoundedLog(path);
    const sinceBytes = await log.measureBytes();
    await writeFile(path, 'FATAL: the reason\n', { flag: 'a' });
    expect(await log.readTail(sinceBytes)).toBe('FATAL: the reason');
    await writeFile(path, `${'y'.repeat(100_000)}the end`, { flag: 'a' });
    const tail = await log.readTail(sinceBytes);
    expect(tail.length).toBeLessThan(10_000);
    expect(tail.endsWith('the end')).toBe(true);
    await log.close();
  });
});

describe('the identity of a process', () => {
  it('tells a process from a later one with the same pid', async () => {
    const identity = await identifyProcess(process.pid);
    expect(identity?.isZombie).toBe(false);
    expect(await isAlive(process.pid, identity?.startedAt ?? '')).toBe(true);
    expect(await isAlive(process.pid, 'some other time')).toBe(false);
    // Above the largest pid that Linux hands out (2^22).
    expect(await identifyProcess(5_000_000)).toBeNull();
  });

  it('takes no process for a Postgres that is none', async () => {
    expect(await isPostmasterOf(process.pid, directory)).toBe(false);
    expect(await isPostmasterOf(5_000_000, directory)).toBe(false);
  });
});
