import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeptProcess } from '../../../src/cli/dispatch/kept-process.ts';
import { OutputFollower } from '../../../src/cli/dispatch/output-follower.ts';
import { RunDirectory } from '../../../src/cli/dispatch/run-directory.ts';
import { pidSpace } from '../../../src/cli/worker/process-table.ts';
import type { Argv } from '../../../src/cli/worker/running-process.ts';
import { isAlive } from '../fixtures/cli-process.ts';

let root: string;
let directory: RunDirectory;
let processes: KeptProcess[];
let heard: string;
let troubles: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lanekeeper-kept-'));
  directory = create('run_a');
  processes = [];
  heard = '';
  troubles = [];
});
afterEach(async () => {
  for (const each of processes) each.kill();
  await Promise.all(processes.map((each) => each.gone));
  rmSync(root, { recursive: true });
});

function create(name: string, space = pidSpace()): RunDirectory {
  const made = new RunDirectory(join(root, name));
  const claim = {
    run_id: name,
    lane: 'l',
    attempt: 1,
    token: 't',
    task: { id: 'task', title: 'a', board: 'b' },
  };
  made.create(
    { claim, startedAt: new Date(0).toISOString(), timeoutSeconds: null, stopped: null, pidSpace: space },
    'the task\n',
  );
  return made;
}

const listener = {
  onOutput: (_: string, chunk: Uint8Array) => {
    heard += Buffer.from(chunk).toString();
  },
  onTrouble: (text: string) => {
    troubles.push(text);
  },
};
function start(argv: Argv, where = directory, onPid = (_: number): void => undefined): KeptProcess {
  const env = { PATH: process.env['PATH'] ?? '' };
  const made = KeptProcess.start({ directory: where, argv, cwd: root, env, listener, onPid });
  processes.push(made);
  return made;
}
function adopt(where = directory): KeptProcess {
  const made = KeptProcess.adopt(where, listener);
  processes.push(made);
  return made;
}
/** A group whose leader is dead, noted as that of the run; the pid of who is left of it. */
async function leaveGroup(): Promise<number> {
  const leader = spawn('sh', ['-c', 'sleep 100 >&- 2>&- & echo $!'], { detached: true });
  const chunks: Buffer[] = [];
  leader.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(leader, 'close');
  writeFileSync(directory.file('pid'), `${leader.pid}\n`);
  return Number(Buffer.concat(chunks).toString());
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

  test('does nothing before whoever ends it in our place knows of it', async () => {
    const trace = join(root, 'trace');
    const pids: number[] = [];
    const mishap = (pid: number): void => {
      pids.push(pid);
      throw new Error('killed here');
    };
    expect(() => start(['sh', '-c', `echo > ${trace}`], directory, mishap)).toThrow('killed here');
    await poll(() => isAlive(pids[0] ?? 0)).toBe(false);
    expect([isThere(trace), isThere(directory.file('pid')), heard]).toEqual([false, false, '']);
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

  test('that was killed with its shell, while adopted, has ended in a way that nobody knows', async () => {
    const made = start(['sleep', '100']);
    await poll(() => directory.readPid()).toBe(made.pid);
    const again = adopt();
    made.kill();
    expect(await again.ended).toEqual({ kind: 'vanished' });
  });

  test('whose note of its end cannot be read, as on a full disk, has not failed', async () => {
    const gate = join(root, 'gate');
    const made = start(['sh', '-c', `while [ ! -e ${gate} ]; do sleep 0.02; done`]);
    await poll(() => directory.readPid()).toBe(made.pid);
    const again = adopt();
    // What stands in its place can neither be written nor read.
    mkdirSync(directory.file('exit'));
    writeFileSync(gate, '');
    expect(await again.ended).toEqual({ kind: 'vanished' });
  });

  test('that has lost its shell is ended with its group before anybody is told that it is gone', async () => {
    const left = await leaveGroup();
    expect(await adopt().ended).toEqual({ kind: 'vanished' });
    expect(isAlive(left)).toBe(false);
  });

  test('that ended while nobody looked leaves nothing running, and its exit code', async () => {
    const left = await leaveGroup();
    writeFileSync(directory.file('exit'), '3\n');
    const adopted = adopt();
    expect(await adopted.ended).toMatchObject({ kind: 'exited', exitCode: 3 });
    await adopted.gone;
    expect(isAlive(left)).toBe(false);
  });

  test('of before the last boot, or of another container, says nothing about who has its pid now', async () => {
    directory = create('run_c', 'elsewhere');
    const stranger = await leaveGroup();
    const adopted = adopt();
    expect(await adopted.ended).toEqual({ kind: 'vanished' });
    await adopted.gone;
    expect(isAlive(stranger)).toBe(true);
    process.kill(stranger, 'SIGKILL');
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

describe('the output of a process', () => {
  const MEGABYTE = 1024 * 1024;
  let follower: OutputFollower;
  beforeEach(() => {
    for (const name of ['stdout', 'stderr'] as const) writeFileSync(directory.file(name), '');
  });
  const follow = (where = directory): OutputFollower => {
    follower = new OutputFollower(where, listener);
    return follower;
  };
  const print = (text: string): void => appendFileSync(directory.file('stdout'), text);

  test('that was read before is not passed on again', () => {
    print('one\ntwo\n');
    directory.writeOffsets(4, 0);
    expect(follow().close()).toEqual({ stdout: 'one\ntwo\n', stderr: '' });
    expect(heard).toBe('two\n');
  });

  test('is bounded on disk, and wholly heard by whoever reads as fast as it is written', () => {
    follow();
    for (let megabytes = 0; megabytes < 40; megabytes += 1) {
      print(`${'x'.repeat(MEGABYTE - 1)}\n`);
      follower.look();
      expect(statSync(directory.file('stdout')).size).toBeLessThanOrEqual(17 * MEGABYTE);
    }
    print('last\n');
    expect(follower.close().stdout.endsWith('x\nlast\n')).toBe(true);
    expect(heard.length).toBe(40 * MEGABYTE + 5);
  });

  test('is heard to its end within bounds, however much there is, and says how much was left out', () => {
    follow();
    const whole = 100 * MEGABYTE;
    // With a hole in it, it takes no space.
    truncateSync(directory.file('stdout'), whole - 5);
    print('last\n');
    expect(follower.close().stdout.endsWith('last\n')).toBe(true);
    expect(heard.length).toBeLessThan(5 * MEGABYTE);
    expect(heard.endsWith('\0last\n')).toBe(true);
    const [note, leftOut] = /^\n\((\d+) bytes left out\)\n/.exec(heard) ?? ['', '0'];
    expect(Number(leftOut) + heard.length - note.length).toBe(whole);
  });

  test('is heard all the same when the disk is full, and that is said once', () => {
    print('one\n');
    directory.writeOffsets(1, 0);
    symlinkSync('/dev/full', `${directory.file('offsets')}.unfinished`);
    follow().look();
    print('two\n');
    follower.look();
    expect(heard).toBe('ne\ntwo\n');
    expect(troubles).toEqual([expect.stringContaining('ENOSPC')]);
    follower.close();
    // What stood there stands there still.
    expect(directory.readOffsets()).toEqual([1, 0]);
  });

  test('that was emptied by a dispatcher which was killed before it could say so is heard from the start', () => {
    directory.writeOffsets(20 * MEGABYTE, 0);
    print('after\n');
    follow().close();
    expect(heard).toBe('after\n');
  });
});

test('what cannot be heard is not started, rather than started and said not to have been', async () => {
  const deaf = new (class extends RunDirectory {
    override readOffsets(): never {
      throw new Error('unreadable');
    }
  })(directory.path);
  expect(() => start(['touch', join(root, 'begun')], deaf)).toThrow('unreadable');
  // Whatever was started begins with a note of its pid.
  await expect(start(['true'], create('run_c')).ended).resolves.toMatchObject({ exitCode: 0 });
  expect(directory.readPid()).toBeUndefined();
  expect(isThere(join(root, 'begun'))).toBe(false);
});
