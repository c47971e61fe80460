import { readFile, rm, stat } from 'node:fs/promises';

import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isRoot } from '../../../../src/server/db/embedded/account.ts';
import { findPostmaster, listDatabaseProcesses, waitUntilNoProcess } from './database-processes.ts';
import { listIdentities, query, sayLeftOut, TestBench } from './test-bench.ts';

const identities = await listIdentities();
let bench: TestBench;

beforeAll(async () => {
  bench = await TestBench.make('lifecycle');
});

afterAll(async () => {
  await bench.clear();
});

describe.each(identities)('the embedded Postgres, started by $label', ({ runAs }) => {
  it('makes a database at the first start and finds it again at the next, at the same port', async () => {
    const dataDir = await bench.makeDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    const { url, clusterDir, notice, version } = await first.ready();
    expect(clusterDir).toBe(join(dataDir, 'postgres'));
    expect(notice).toBeNull();
    expect(version).toMatch(/^18\./);
    await query(url, 'CREATE TABLE kept (word text); INSERT INTO kept VALUES ($$safe$$)');
    await first.stop();

    const second = bench.start({ dataDir, runAs });
    const again = await second.ready();
    expect(again.url).toBe(url);
    expect(await query(again.url, 'SELECT word FROM kept')).toEqual([{ word: 'safe' }]);
    await second.stop();
  });

  it('stops cleanly within 4 s with clients connected, and leaves no process and no stale file', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const server = bench.start({ dataDir, runAs });
    const { url, clusterDir } = await server.ready();
    const blocked = expect(query(url, 'SELECT pg_sleep(600)')).rejects.toThrow();
    const { millis } = await server.stop();
    await blocked;
    expect(millis).toBeLessThan(4_000);
    await waitUntilNoProcess(clusterDir, 1_000);
    await expect(stat(join(clusterDir, 'postmaster.pid'))).rejects.toThrow('ENOENT');
  });

  it('gives the database to holders of the password only, and the password to its owner only', async () => {
    const dataDir = await bench.makeDataDir(runAs);
    const server = bench.start({ dataDir, runAs });
    const { url, clusterDir } = await server.ready();
    const wrong = new URL(url);
    wrong.password = 'guessed';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
    const [rules] = await query(
      url,
      "SELECT string_agg(DISTINCT auth_method, ',') AS methods FROM pg_hba_file_rules",
    );
    expect(rules).toEqual({ methods: 'scram-sha-256' });

    const password = await stat(join(dataDir, 'postgres.password'));
    expect(password.mode & 0o777).toBe(0o600);
    expect(password.uid).toBe(runAs?.uid ?? process.getuid?.());
    const log = await stat(join(dataDir, 'postgres.log'));
    expect(log.mode & 0o777).toBe(0o600);
    const secret = new URL(url).password;
    const processes = await listDatabaseProcesses(clusterDir);
    expect(processes.filter(({ command }) => command.includes(secret))).toEqual([]);
    expect(server.logLines.filter((line) => line.includes(secret))).toEqual([]);
    await server.stop();
  });

  it('listens on the loopback address only, and on no Unix socket', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const server = bench.start({ dataDir, runAs });
    const { url } = await server.ready();
    const [settings] = await query(
      url,
      "SELECT current_setting('listen_addresses') AS addresses, current_setting('unix_socket_directories') AS sockets",
    );
    expect(settings).toEqual({ addresses: '127.0.0.1', sockets: '' });
    const port = Number(new URL(url).port);
    await expect(canConnect('127.0.0.1', port)).resolves.toBe(true);
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of outside) {
      await expect(canConnect(address, port)).resolves.toBe(false);
    }
    await server.stop();
  });

  it('applies the settings of the caller, and otherwise syncs, counts in UTF-8 and keeps UTC', async () => {
    const dataDir = await bench.makeDataDir(runAs);
    const names = [
      'fsync',
      'server_encoding',
      'TimeZone',
      'lc_messages',
      'max_connections',
      'shared_buffers',
    ];
    const show = names.map((name) => `current_setting('${name}') AS "${name}"`).join(', ');
    const server = bench.start({ dataDir, runAs, settings: { max_connections: '7' } });
    const { url } = await server.ready();
    expect(await query(url, `SELECT ${show}`)).toEqual([
      {
        fsync: 'on',
        server_encoding: 'UTF8',
        TimeZone: 'UTC',
        lc_messages: 'C',
        max_connections: '7',
        shared_buffers: '128MB',
      },
    ]);
    await server.stop();
  });

  it('keeps an interrupt of the terminal from the database: the server decides', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const server = bench.start({ dataDir, runAs });
    const { url } = await server.ready();
    process.kill(-server.pid, 'SIGINT');
    await server.next('interrupted');
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
  });

  it('sets a new password when the data dir lost the old one', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    const { url } = await first.ready();
    await query(url, 'CREATE TABLE kept (word text)');
    await first.stop();
    await rm(join(dataDir, 'postgres.password'));
    const second = bench.start({ dataDir, runAs });
    const again = await second.ready();
    expect(again.url).not.toBe(url);
    expect(await query(again.url, 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 0 }]);
    await second.stop();
  });
});

describe('the account of the database', () => {
  it('is an existing unprivileged one when root starts it, and that of the server otherwise', async () => {
    const dataDir = await bench.makeDataDir(null);
    const server = bench.start({ dataDir, runAs: null });
    const { clusterDir, account } = await server.ready();
    const postmaster = await findPostmaster(clusterDir);
    const uid = (await stat(`/proc/${postmaster}`).catch(() => stat(clusterDir))).uid;
    if (isRoot()) {
      expect(['postgres', 'nobody']).toContain(account);
      expect(uid).not.toBe(0);
      expect((await stat(clusterDir)).uid).toBe(uid);
      const status = await readFile(`/proc/${postmaster}/status`, 'utf8').catch(() => 'Groups:\n');
      expect(/^Groups:[\t ]*(.*)$/m.exec(status)?.[1]?.trim()).toBe('');
    } else {
      sayLeftOut('root drops to an unprivileged account');
      expect(account).toBeNull();
      expect(uid).toBe(process.getuid?.());
    }
    await server.stop();
  });
});

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2_000 });
    const end = (isConnected: boolean): void => {
      socket.destroy();
      resolve(isConnected);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
