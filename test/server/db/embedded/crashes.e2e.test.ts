import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { RunAs } from '../../../../src/server/db/embedded/account.ts';
import { chooseAccount, spawnIdentity } from '../../../../src/server/db/embedded/account.ts';
import { STOP_WITHIN_MILLIS } from '../../../../src/server/db/embedded/supervised-process.ts';
import {
  findPostmaster,
  findSupervisors,
  listDatabaseProcesses,
  waitUntilNoProcess,
} from './database-processes.ts';
import { killIfThere, listIdentities, query, sleepInDatabase, TestBench } from './test-bench.ts';
import { waitFor } from './wait-for.ts';

const identities = await listIdentities();
let bench: TestBench;

beforeAll(async () => {
  bench = await TestBench.make('crashes');
});

afterAll(async () => {
  await bench.clear();
});

/** A database with one row that must survive whatever happens next. */
async function startWithRow(runAs: RunAs): Promise<{
  readonly server: ReturnType<TestBench['start']>;
  readonly dataDir: string;
  readonly clusterDir: string;
  readonly url: string;
}> {
  const dataDir = await bench.makeReadyDataDir(runAs);
  const server = bench.start({ dataDir, runAs });
  const { clusterDir, url } = await server.ready();
  await query(url, 'CREATE TABLE kept (word text); INSERT INTO kept VALUES ($$safe$$)');
  return { server, dataDir, clusterDir, url };
}

/** The next start on the data dir succeeds and finds the row. */
async function expectRestart(dataDir: string, runAs: RunAs): Promise<readonly string[]> {
  const next = bench.start({ dataDir, runAs });
  const { url } = await next.ready();
  expect(await query(url, 'SELECT word FROM kept')).toEqual([{ word: 'safe' }]);
  await next.stop();
  return next.logLines;
}

describe.each(identities)('the embedded Postgres of $label', ({ runAs }) => {
  it('is gone within 5 s when its server is killed with kill -9, and starts again', async () => {
    const { server, dataDir, clusterDir, url } = await startWithRow(runAs);
    const busy = sleepInDatabase(url);
    await findBackend(clusterDir);
    await server.kill();
    await waitUntilNoProcess(clusterDir, 5_000);
    await busy;
    await expectRestart(dataDir, runAs);
  });

  // These three together: each waits for the guard or the server to lose its patience.
  it.concurrent('is gone within 5 s of the kill even when one of its processes is stopped', async () => {
    const { server, dataDir, clusterDir, url } = await startWithRow(runAs);
    const busy = sleepInDatabase(url);
    process.kill(await findBackend(clusterDir), 'SIGSTOP');
    await server.kill();
    await waitUntilNoProcess(clusterDir, 5_000);
    await busy;
    await expectRestart(dataDir, runAs);
  });

  it.concurrent('stops within 4 s when its server asks, even when one of its processes is stopped', async () => {
    const { server, dataDir, clusterDir, url } = await startWithRow(runAs);
    const busy = sleepInDatabase(url);
    process.kill(await findBackend(clusterDir), 'SIGSTOP');
    const { millis } = await server.stop();
    expect(millis).toBeLessThan(4_000);
    await waitUntilNoProcess(clusterDir, 1_000);
    await busy;
    await expectRestart(dataDir, runAs);
  });

  // In this order, not by the clock of a machine that does three things at once: the grace, the kill, and only then the guards' last resort.
  it.concurrent('is killed after its grace when its server asks and its supervisors are stopped', async () => {
    const { server, dataDir, clusterDir } = await startWithRow(runAs);
    for (const pid of await findSupervisors(clusterDir)) {
      killIfThere(pid, 'SIGSTOP');
    }
    const { millis } = await server.stop();
    expect(millis).toBeGreaterThanOrEqual(STOP_WITHIN_MILLIS);
    expect(millis).toBeLessThan(2 * STOP_WITHIN_MILLIS);
    await waitUntilNoProcess(clusterDir, 1_000);
    await expectRestart(dataDir, runAs);
  });

  it('starts at once while the Postgres of a killed server is still shutting down', async () => {
    const { server, dataDir } = await startWithRow(runAs);
    await server.kill();
    await expectRestart(dataDir, runAs);
  });

  it('tells its server when it is killed with kill -9, and then starts again over the stale pid file', async () => {
    const { server, dataDir, clusterDir } = await startWithRow(runAs);
    process.kill(await findPostmaster(clusterDir), 'SIGKILL');
    expect(await server.next('database ended')).toMatchObject({ signal: 'SIGKILL' });
    expect(await readFile(join(clusterDir, 'postmaster.pid'), 'utf8')).not.toBe('');
    await expectRestart(dataDir, runAs);
    await server.stop();
  });

  it('starts over a pid file that names a process of somebody else, and leaves that process alone', async () => {
    const { server, dataDir, clusterDir } = await startWithRow(runAs);
    const postmaster = await findPostmaster(clusterDir);
    process.kill(postmaster, 'SIGKILL');
    await server.next('database ended');
    await server.stop();
    // Of the same account as Postgres: the one case in which Postgres itself takes it for its predecessor.
    const stranger = spawn('sleep', ['600'], spawnIdentity(runAs ?? (await chooseAccount())));
    await once(stranger, 'spawn');
    try {
      const path = join(clusterDir, 'postmaster.pid');
      const [, ...rest] = (await readFile(path, 'utf8')).split('\n');
      await writeFile(path, [String(stranger.pid), ...rest].join('\n'));
      await expectRestart(dataDir, runAs);
      expect(stranger.exitCode).toBeNull();
      expect(stranger.signalCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('stops an orphan that lost both its server and its supervisors, and starts anew', async () => {
    const { server, dataDir, clusterDir } = await startWithRow(runAs);
    const orphan = await findPostmaster(clusterDir);
    // The guard first: it would stop Postgres as soon as the server is gone.
    for (const pid of (await findSupervisors(clusterDir)).toReversed()) {
      killIfThere(pid, 'SIGSTOP');
    }
    server.process.kill('SIGKILL');
    await server.ended();
    for (const pid of await findSupervisors(clusterDir)) {
      killIfThere(pid);
    }
    await waitFor('the supervisors to end', 5_000, async () => {
      const left = await findSupervisors(clusterDir);
      return left.length === 0 ? true : { notYet: left.join(' ') };
    });
    const before = await listDatabaseProcesses(clusterDir);
    expect(before.map(({ pid }) => pid)).toContain(orphan);
    const log = await expectRestart(dataDir, runAs);
    expect(log).toContain('stopped the Postgres that an earlier server left running');
    await waitUntilNoProcess(clusterDir, 1_000);
  });

  it('keeps its guard when a service manager signals whole groups of processes', async () => {
    const { server, dataDir, clusterDir, url } = await startWithRow(runAs);
    for (const pid of await findSupervisors(clusterDir)) {
      killIfThere(pid, 'SIGTERM');
      killIfThere(pid, 'SIGHUP');
    }
    expect(await query(url, 'SELECT word FROM kept')).toEqual([{ word: 'safe' }]);
    expect(await findSupervisors(clusterDir)).toHaveLength(2);
    await server.kill();
    await waitUntilNoProcess(clusterDir, 5_000);
    await expectRestart(dataDir, runAs);
  });

  it('does not outlive supervisors that were killed while the server lives', async () => {
    const { server, dataDir, clusterDir } = await startWithRow(runAs);
    for (const pid of await findSupervisors(clusterDir)) {
      killIfThere(pid);
    }
    await server.next('database ended');
    await waitUntilNoProcess(clusterDir, 5_000);
    await server.stop();
    await expectRestart(dataDir, runAs);
  });

  it('starts although helpers of a killed Postgres still hold its memory', async () => {
    const { server, dataDir, clusterDir, url } = await startWithRow(runAs);
    const busy = sleepInDatabase(url);
    const backend = await findBackend(clusterDir);
    process.kill(backend, 'SIGSTOP');
    process.kill(await findPostmaster(clusterDir), 'SIGKILL');
    await server.next('database ended');
    await server.stop();
    await expectRestart(dataDir, runAs);
    killIfThere(backend);
    await busy;
  });

  it('leaves nothing half made when the server is killed during the very first start', async () => {
    const dataDir = await bench.makeDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    await first.next('log');
    await first.kill();
    const second = bench.start({ dataDir, runAs });
    const { url, clusterDir } = await second.ready();
    expect(await query(url, 'SELECT current_database() AS name')).toEqual([{ name: 'lanekeeper' }]);
    await second.stop();
    await waitUntilNoProcess(clusterDir, 1_000);
  });
});

/** The process that serves the client, which waits in pg_sleep. */
async function findBackend(clusterDir: string): Promise<number> {
  let backend = 0;
  await waitFor('a backend in pg_sleep', 5_000, async () => {
    const all = await listDatabaseProcesses(clusterDir);
    const found = all.find(
      ({ command }) => command.startsWith('postgres: lanekeeper lanekeeper') && /SELECT$/.test(command),
    );
    backend = found?.pid ?? 0;
    return found === undefined ? { notYet: all.map(({ command }) => command).join('; ') } : true;
  });
  return backend;
}
