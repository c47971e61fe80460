/** A Postgres that not even a kill ends, as when its disk hangs: said as what it is, and nobody goes on beside it. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { stopOrphan } from '../../../../src/server/db/embedded/orphan.ts';
import { watchPostmaster } from '../../../../src/server/db/embedded/postmaster-watch.ts';
import { isPostmasterOf } from '../../../../src/server/db/embedded/process-identity.ts';
import { waitFor } from './wait-for.ts';

// Every patience is over at once.
vi.mock(import('node:timers/promises'), async (importOriginal) => {
  const original = await importOriginal();
  const atOnce = <T>(_millis?: number, value?: T): Promise<T> =>
    new Promise((resolve) => setImmediate(resolve, value as T));
  return { ...original, setTimeout: atOnce as typeof original.setTimeout };
});

let clusterDir: string;
let immortal: ChildProcess;
let pid: number;
let signals: (string | number | undefined)[];

beforeEach(async () => {
  clusterDir = await mkdtemp(join(tmpdir(), 'lanekeeper-watch-'));
  // Looks like the main process of a Postgres on this cluster, and gets no signal.
  immortal = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', '-D', clusterDir], {
    argv0: 'postgres',
    stdio: 'ignore',
  });
  await once(immortal, 'spawn');
  pid = immortal.pid ?? 0;
  await waitFor('its command line', 5_000, async () =>
    (await isPostmasterOf(pid, clusterDir)) ? true : { notYet: 'another one' },
  );
  signals = [];
  vi.spyOn(process, 'kill').mockImplementation((_pid, signal) => {
    signals.push(signal);
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  immortal.kill('SIGKILL');
  await rm(clusterDir, { recursive: true, force: true });
});

// Linux only: elsewhere a process cannot be given the looks of a Postgres without being one.
describe.runIf(process.platform === 'linux')('a Postgres that cannot be ended', () => {
  it('fails the stop as such, once its supervisor is gone too, and nothing is given back', async () => {
    const kill = vi.fn();
    const release = vi.fn(async () => undefined);
    const supervised = {
      child: immortal,
      pid: Promise.resolve(pid),
      exited: new Promise<never>(() => undefined),
      stop: vi.fn(),
      kill,
    };
    const watch = watchPostmaster({ pid, port: 1, supervised }, clusterDir, release);
    await expect(watch.stop()).rejects.toMatchObject({ code: 'stop_failed', message: /still runs/ });
    expect(signals).toEqual(['SIGSTOP', 'SIGKILL']);
    expect(kill).toHaveBeenCalledOnce();
    expect(release).not.toHaveBeenCalled();
  });

  it('is told as it was not stopped when its supervisor has ended before it', async () => {
    const release = vi.fn(async () => undefined);
    const exit = { code: null, signal: 'SIGKILL' };
    const supervised = {
      child: immortal,
      pid: Promise.resolve(pid),
      exited: Promise.resolve(exit),
      stop: vi.fn(),
      kill: vi.fn(),
    };
    const watch = watchPostmaster({ pid, port: 1, supervised }, clusterDir, release);
    await expect(watch.exited).rejects.toMatchObject({ code: 'stop_failed' });
    expect(release).not.toHaveBeenCalled();
  });

  it('of an earlier start fails the next start', async () => {
    await writeFile(join(clusterDir, 'postmaster.pid'), `${pid}\n${clusterDir}\n`);
    await expect(stopOrphan(clusterDir)).rejects.toMatchObject({ code: 'start_failed' });
  });
});
