/** What a worker that was killed leaves running is ended, and nothing that only looks like it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OrphanGuard } from '../../../src/cli/worker/orphan-guard.ts';
import { isAlive } from '../fixtures/cli-process.ts';

/** Start times that processes are said to have when they are watched. */
const said = new Map<number, string>();
vi.mock('../../../src/cli/worker/process-table.ts', async (load) => {
  const real = await load<typeof import('../../../src/cli/worker/process-table.ts')>();
  return { ...real, startTimeOf: (pid: number) => said.get(pid) ?? real.startTimeOf(pid) };
});

interface Sleeper {
  readonly pid: number;
  readonly ended: Promise<string | null>;
}

let root: string;
let sleepers: Sleeper[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lanekeeper-guard-'));
  sleepers = [];
  said.clear();
});
afterEach(async () => {
  for (const { pid } of sleepers) if (isAlive(pid)) process.kill(-pid, 'SIGKILL');
  await Promise.all(sleepers.map(({ ended }) => ended));
  rmSync(root, { recursive: true });
});

/** Leads a group of its own. */
function start(argv: readonly string[] = ['sleep', '100']): Sleeper {
  const [command = '', ...rest] = argv;
  const child = spawn(command, rest, { detached: true, stdio: 'ignore' });
  const ended = new Promise<string | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  const made = { pid: child.pid ?? 0, ended };
  sleepers.push(made);
  return made;
}

describe('an orphan guard', () => {
  test('ends the groups it still knows of when its worker is gone, and leaves the others alone', async () => {
    const [first, spared, last] = [start(), start(), start()];
    const guard = OrphanGuard.start(process.env['PATH']);
    for (const { pid } of [first, spared, last]) guard.watch(pid);
    guard.forget(spared.pid);
    guard.close();
    expect([await first.ended, await last.ended]).toEqual(['SIGTERM', 'SIGTERM']);
    expect(isAlive(spared.pid)).toBe(true);
  });

  test('leaves a process alone that has the pid of one it knew, but was started at another time', async () => {
    const [stranger, own] = [start(), start()];
    said.set(stranger.pid, '1');
    const guard = OrphanGuard.start(process.env['PATH']);
    guard.watch(stranger.pid);
    guard.watch(own.pid);
    guard.close();
    expect(await own.ended).toBe('SIGTERM');
    expect(isAlive(stranger.pid)).toBe(true);
  });
});

describe('an orphan guard with a succession', () => {
  const guardOf = (word: string, seconds = 1) =>
    OrphanGuard.start(process.env['PATH'], { seconds, directory: root, word });

  test('ends what nobody has taken over in time, but for what has ended by itself and what only has its pid', async () => {
    mkdirSync(join(root, 'over'));
    writeFileSync(join(root, 'over', 'exit'), '0\n');
    writeFileSync(join(root, 'holder'), 'first\n');
    const [over, stranger, left] = [start(), start(), start()];
    said.set(stranger.pid, '1');
    const guard = guardOf('first');
    guard.watch(over.pid, 'over');
    guard.watch(stranger.pid, 'run_a');
    guard.watch(left.pid, 'run_b');
    guard.close();
    expect(await left.ended).toBe('SIGTERM');
    expect([over, stranger].map(({ pid }) => isAlive(pid))).toEqual([true, true]);
  });

  test.each([
    ['that was swept away', null],
    ['that a full disk has left empty', ''],
  ])('takes a file %s for no successor', async (_, holder) => {
    if (holder !== null) writeFileSync(join(root, 'holder'), holder);
    const left = start();
    const guard = guardOf('first');
    guard.watch(left.pid, 'run_a');
    guard.close();
    expect(await left.ended).toBe('SIGTERM');
  });

  test('leaves to a successor what is its own now, and ends what that cannot have found', async () => {
    writeFileSync(join(root, 'holder'), 'second\n');
    mkdirSync(join(root, 'run_a'));
    const [taken, swept] = [start(), start()];
    const guard = guardOf('first');
    guard.watch(taken.pid, 'run_a');
    guard.watch(swept.pid, 'run_c');
    guard.close();
    expect(await swept.ended).toBe('SIGTERM');
    // Another guard, begun later with more patience, marks the time by which the first has decided.
    const marker = start();
    const later = guardOf('second', 2);
    later.watch(marker.pid, 'run_b');
    later.close();
    expect(await marker.ended).toBe('SIGTERM');
    expect(isAlive(taken.pid)).toBe(true);
  });
});
