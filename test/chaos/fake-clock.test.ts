import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakeClock, findFakeTimeLibrary } from '../../chaos/fake-clock.ts';
import { insistOn } from '../../scripts/needed-programs.mjs';

/** Says for every line that it is sent how far its two clocks are from ours. */
const PROGRAM = `process.stdin.on('data', () => console.log(JSON.stringify([Date.now(), Number(process.hrtime.bigint()) / 1e6])))`;
const HOUR_MS = 3_600_000;
const CLOSE_MS = 60_000;

test('a clock is put wrong and right while its process runs, the monotonic one stays, and nothing is left behind', async () => {
  const library = findFakeTimeLibrary();
  // A machine without it has runs without those faults, and they say so: see means.ts.
  if (library === null) {
    insistOn('libfaketime that works with this Node', 'libfaketime');
    return expect(existsSync('/usr/bin/faketime')).toBe(false);
  }
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-clock-test-'));
  const clock = new FakeClock(library, join(directory, 'clock'));
  const child = spawn(process.execPath, ['-e', PROGRAM], {
    env: clock.environment,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const read = async (): Promise<{ wallMs: number; monotonicMs: number }> => {
    const line = once(child.stdout, 'data');
    child.stdin.write('\n');
    const [wall, monotonic] = JSON.parse(String(await line)) as [number, number];
    const own = Number(process.hrtime.bigint()) / 1e6;
    return { wallMs: wall - Date.now(), monotonicMs: Math.abs(monotonic - own) };
  };
  const isNear = (value: number, wanted: number): boolean => Math.abs(value - wanted) < CLOSE_MS;
  try {
    expect(isNear((await read()).wallMs, 0)).toBe(true);
    clock.set(3600);
    const ahead = await read();
    clock.set(-3600);
    const behind = await read();
    clock.set(0);
    expect(isNear(ahead.wallMs, HOUR_MS)).toBe(true);
    expect(isNear(behind.wallMs, -HOUR_MS)).toBe(true);
    expect(ahead.monotonicMs + behind.monotonicMs).toBeLessThan(CLOSE_MS);
    expect(isNear((await read()).wallMs, 0)).toBe(true);
    expect(existsSync(`/dev/shm/faketime_shm_${child.pid}`)).toBe(true);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    clock.forget(child.pid);
    rmSync(directory, { recursive: true });
  }
  expect(existsSync(`/dev/shm/faketime_shm_${child.pid}`)).toBe(false);
  expect(existsSync(`/dev/shm/sem.faketime_sem_${child.pid}`)).toBe(false);
});
