import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ProcessGroup } from '../../../src/cli/work/process-group.ts';
import type { Argv } from '../../../src/cli/worker/running-process.ts';
import { isAlive } from '../fixtures/cli-process.ts';

let directory: string;
let groups: ProcessGroup[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lanekeeper-group-'));
  groups = [];
});
afterEach(async () => {
  for (const group of groups) group.kill();
  await Promise.all(groups.map((group) => group.gone));
  await rm(directory, { recursive: true });
});

function start(argv: Argv, stdin = ''): ProcessGroup {
  const env = { PATH: process.env['PATH'] ?? '', PID_FILE: join(directory, 'pid') };
  const group = ProcessGroup.start({ argv, env, stdin, tailBytesMax: 1000 });
  groups.push(group);
  return group;
}

async function pidInFile(): Promise<number> {
  const read = () => readFile(join(directory, 'pid'), 'utf8').then(Number, () => 0);
  await expect.poll(read, { timeout: 10_000 }).toBeGreaterThan(0);
  return read();
}

describe('a process group', () => {
  test('runs a command without a shell, with exactly its environment, and keeps its output', async () => {
    const end = await start(['sh', '-c', 'cat; echo "$1" "$HOME" >&2; exit 3', 'sh', '$(id)'], 'in').ended;
    expect(end).toEqual({ kind: 'exited', exitCode: 3, signal: null, stdout: 'in', stderr: '$(id) \n' });
  });

  test('tells which signal ended it', async () => {
    expect(await start(['sh', '-c', 'kill -SEGV $$']).ended).toMatchObject({
      exitCode: null,
      signal: 'SIGSEGV',
    });
  });

  test('says so when there is no such command', async () => {
    const end = await start(['no-such-command-here']).ended;
    expect(end).toMatchObject({ kind: 'not_started', error: { code: 'ENOENT' } });
  });

  test('stops grandchildren with the command', async () => {
    const group = start(['sh', '-c', 'sleep 100 & echo $! > "$PID_FILE"; wait']);
    const grandchild = await pidInFile();
    group.stop();
    expect(await group.ended).toMatchObject({ signal: 'SIGTERM' });
    await group.gone;
    expect(isAlive(grandchild)).toBe(false);
  });

  test('does not wait for what the command left behind, and ends it', async () => {
    const group = start(['sh', '-c', 'sleep 100 & echo $! > "$PID_FILE"; echo done']);
    expect(await group.ended).toMatchObject({ exitCode: 0, stdout: 'done\n' });
    const left = await pidInFile();
    await group.gone;
    expect(isAlive(left)).toBe(false);
  });

  test('kills what a stopped command cannot hear', async () => {
    const group = start(['sh', '-c', 'trap "" TERM; echo $$ > "$PID_FILE"; kill -STOP $$; sleep 100']);
    await pidInFile();
    group.stop();
    expect(await group.ended).toMatchObject({ signal: 'SIGKILL' });
  });
});
