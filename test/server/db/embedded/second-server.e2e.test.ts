import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { waitUntilNoProcess } from './database-processes.ts';
import { listIdentities, query, TestBench } from './test-bench.ts';

const identities = await listIdentities();
/** Enough for every pair of their steps to meet; more only makes two cores slower. */
const RIVALS = 4;
let bench: TestBench;

beforeAll(async () => {
  bench = await TestBench.make('second-server');
});

afterAll(async () => {
  await bench.clear();
});

describe.each(identities)('a second server on one data dir, of $label', ({ runAs }) => {
  it('is refused with the pid of the first, which goes on unharmed', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    const { url } = await first.ready();
    await query(url, 'CREATE TABLE kept (word text)');
    const second = bench.start({ dataDir, runAs });
    const { code, message } = await second.failed();
    await second.ended();
    expect(code).toBe('already_running');
    expect(message).toContain(`pid ${first.pid}`);
    expect(message).toContain(dataDir);
    expect(second.process.exitCode).toBe(1);
    expect(await query(url, 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 0 }]);
    await first.stop();
  });

  it('starts when the first one was killed or has stopped', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    await first.ready();
    await first.kill();
    const second = bench.start({ dataDir, runAs });
    await second.ready();
    await second.stop();
    const third = bench.start({ dataDir, runAs });
    await third.ready();
    await third.stop();
  });

  it(`is exactly one of ${RIVALS} that start at the same moment`, async () => {
    const dataDir = await bench.makeDataDir(runAs);
    const rivals = Array.from({ length: RIVALS }, () => bench.start({ dataDir, runAs }));
    const outcomes = await Promise.all(rivals.map((rival) => rival.outcome()));
    expect(outcomes.filter((outcome) => outcome === 'ready')).toHaveLength(1);
    for (const rival of rivals) {
      if ((await rival.outcome()) === 'failed') {
        expect(await rival.failed()).toMatchObject({ code: 'already_running' });
      } else {
        const { url } = await rival.ready();
        expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
        await rival.stop();
      }
    }
  });

  it('may run on a copy of the data dir, beside the first, which may have moved', async () => {
    const dataDir = await bench.makeReadyDataDir(runAs);
    const first = bench.start({ dataDir, runAs });
    const { url } = await first.ready();
    await query(url, 'CREATE TABLE kept (word text)');
    // The copy of a lock that is held, and of a pid file: killed, so that both are still there.
    await first.kill();
    await waitUntilNoProcess(join(dataDir, 'postgres'), 5_000);
    const copy = `${dataDir}-copy`;
    await promisify(execFile)('cp', ['-a', dataDir, copy]);
    const moved = `${dataDir}-moved`;
    await rename(dataDir, moved);
    const servers = [moved, copy].map((path) => bench.start({ dataDir: path, runAs }));
    const [onMoved, onCopy] = await Promise.all(servers.map((server) => server.ready()));
    expect(onMoved?.clusterDir).toBe(join(moved, 'postgres'));
    expect(onCopy?.clusterDir).toBe(join(copy, 'postgres'));
    expect(await query(onMoved?.url ?? '', 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 0 }]);
    expect(await query(onCopy?.url ?? '', 'SELECT count(*)::int AS rows FROM kept')).toEqual([{ rows: 0 }]);
    await Promise.all(servers.map((server) => server.stop()));
  });
});
