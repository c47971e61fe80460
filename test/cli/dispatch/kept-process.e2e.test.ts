import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeptProcess } from '../../../src/cli/dispatch/kept-process.ts';
import { OutputFollower } from '../../../src/cli/dispatch/output-follower.ts';
import { RunDirectory } from '../../../src/cli/dispatch/run-directory.ts';
import { OrphanGuard } from '../../../src/cli/worker/orphan-guard.ts';
import type { Argv } from '../../../src/cli/worker/running-process.ts';
import { isAlive } from '../fixtures/cli-process.ts';

let root: string;
let directory: RunDirectory;
let processes: KeptProcess[];
let heard: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lanekeeper-kept-'));
  directory = create('run_a');
  processes = [];
  heard = '';
});
afterEach(async () => {
  for (const each of processes) each.kill();
  await Promise.all(processes.map((each) => each.gone));
  rmSync(root, { recursive: true });
});

function create(name: string): RunDirectory {
  const made = new RunDirectory(join(root, name));
  const claim = {
    run_id: name,
    lane: 'l',
    attempt: 1,
    token: 't',
    task: { id: 'task', title: 'a', board: 'b' },
  };
  made.create(
    { claim, startedAt: new Date(0).toISOString(), timeoutSeconds: null, stopped: null },
    'the task\n',
  );
  return made;
}

const onOutput = (_: string, chunk: Uint8Array) => {
  heard += Buffer.from(chunk).toString();
};
function start(argv: Argv, where = directory): KeptProcess {
  const env = { PATH: process.env['PATH'] ?? '' };
  const made = KeptProcess.start({ directory: where, argv, cwd: root, env, onOutput });
  processes.push(made);
  return made;
}
function adopt(where = directory): KeptProcess {
  const made = KeptProcess.adopt(where, onOutput);
  processes.push(made);
  return made;
}
const poll = <T>(read: () => T) => expect.poll(read, { timeout: 10_000, interval: 10 });
const isThere = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined;

describe('a kept process', () => {
  test('reads the task, is heard, and leaves its exit code', async () => {
    const end = await start(['sh', '-c', 'cat; echo oops >&2; exit 7']).ended;
    expect(end).toEqual({
      kind: 'exited',
      exitCode: 7,
      signal: null,
      stdout: 'the task\n',
      stderr: 'oops\n',
    });
    expect(heard).toBe('the task\noops\n');
    expect(directory.readExitCode()).toBe(7);
  });

  test('ends with nothing of the shell in its output, and with the group, when it is stopped', async () => {
    const made = start(['sh', '-c', 'echo up; sleep 100 & exec sleep 100']);
    await poll(() => heard).toBe('up\n');
    made.stop();
    expect(await made.ended).toMatchObject({ exitCode: 143, stdout: 'up\n', stderr: '' });
    await made.gone;
    expect(isAlive(made.pid ?? 0)).toBe(false);
  });

  test('is adopted with what it goes on to print, and its exit code, by whoever is not its parent', async () => {
    const gate = join(root, 'gate');
    const made = start([
      'sh',
      '-c',
      `echo one; while [ ! -e ${gate} ]; do sleep 0.02; done; echo two; exit 5`,
    ]);
    await poll(() => heard).toBe('one\n');
    const again = adopt();
    expect(again.pid).toBe(made.pid);
    heard = '';
    writeFileSync(gate, '');
    // The tail is whole, what is passed on is only new.
    expect(await again.ended).toMatchObject({ kind: 'exited', exitCode: 5, stdout: 'one\ntwo\n' });
    expect(heard.split('\n').filter((line) => line === 'one')).toEqual([]);
  });

  test('that was killed with its shell, while adopted, has been killed', async () => {
    const made = start(['sleep', '100']);
    await poll(() => directory.readPid()).toBe(made.pid);
    const again = adopt();
    made.kill();
    expect(await again.ended).toMatchObject({ kind: 'exited', exitCode: null, signal: 'SIGKILL' });
  });

  test('is not taken for another that has its pid', async () => {
    const stranger = start(['sleep', '100'], create('run_b'));
    writeFileSync(directory.file('pid'), `${stranger.pid}\n`);
    const adopted = adopt();
    adopted.kill();
    expect(await adopted.ended).toEqual({ kind: 'vanished' });
    expect(isAlive(stranger.pid ?? 0)).toBe(true);
  });

  test('that has not begun when it is looked for never does', async () => {
    const adopted = adopt();
    expect(await adopted.ended).toEqual({ kind: 'vanished' });
    const late = start(['touch', join(root, 'begun')]);
    expect(await late.ended).toMatchObject({ exitCode: 125 });
    expect(isThere(join(root, 'begun'))).toBe(false);
  });
});

test('a record that was not written whole is none', () => {
  expect(directory.read()).toMatchObject({ claim: { run_id: 'run_a', token: 't' } });
  writeFileSync(directory.file('run.json'), '{"claim": {"run_id": "run_a"}}');
  expect(directory.read()).toBeNull();
});

test('a fresh token and the reason of a stop are there for the next one', () => {
  directory.changeToken('fresh');
  directory.noteStop({ kind: 'timed_out', seconds: 3 });
  const read = new RunDirectory(directory.path).read();
  expect(read).toMatchObject({ claim: { token: 'fresh' }, stopped: { kind: 'timed_out', seconds: 3 } });
});

test('output is bounded on disk, and its tail is what came last', async () => {
  const script =
    'i=0; while [ $i -lt 40 ]; do head -c 1000000 /dev/zero | tr "\\0" x; echo; i=$((i+1)); done; echo last';
  const made = start(['sh', '-c', script]);
  const end = await made.ended;
  expect(end.kind === 'exited' && end.stdout.endsWith('x\nlast\n')).toBe(true);
  expect(heard.length).toBeGreaterThan(30e6);
  expect(statSync(directory.file('stdout')).size).toBeLessThan(35e6);
});

test('what was read before is not passed on again', () => {
  for (const name of ['stdout', 'stderr'] as const) writeFileSync(directory.file(name), '');
  writeFileSync(directory.file('stdout'), 'one\ntwo\n');
  directory.writeOffsets(4, 0);
  const follower = new OutputFollower(directory, onOutput);
  expect(follower.close()).toEqual({ stdout: 'one\ntwo\n', stderr: '' });
  expect(heard).toBe('two\n');
});

describe('an orphan guard with a succession', () => {
  const guardOf = () =>
    OrphanGuard.start(process.env['PATH'], { seconds: 1, directory: root, word: 'first' });

  test('ends what nobody has taken over in time, but for what has ended by itself', async () => {
    mkdirSync(join(root, 'over'));
    writeFileSync(join(root, 'over', 'exit'), '0\n');
    writeFileSync(join(root, 'holder'), 'first\n');
    const [left, over] = [start(['sleep', '100']), start(['sleep', '100'], create('run_b'))];
    const guard = guardOf();
    guard.watch(left.pid ?? 0, 'run_a');
    guard.watch(over.pid ?? 0, 'over');
    guard.close();
    expect(await left.ended).toMatchObject({ exitCode: 143 });
    expect(isAlive(over.pid ?? 0)).toBe(true);
  });

  test('leaves to a successor what is its own now', async () => {
    writeFileSync(join(root, 'holder'), 'second\n');
    const taken = start(['sleep', '100']);
    const guard = guardOf();
    guard.watch(taken.pid ?? 0, 'run_a');
    guard.close();
    // Another guard, begun later with the same patience, marks the time by which the first has decided.
    const marker = start(['sleep', '100'], create('run_b'));
    const later = OrphanGuard.start(process.env['PATH'], { seconds: 2, directory: root, word: 'second' });
    later.watch(marker.pid ?? 0, 'run_b');
    later.close();
    expect(await marker.ended).toMatchObject({ exitCode: 143 });
    expect(isAlive(taken.pid ?? 0)).toBe(true);
  });
});
