import {
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateDirectory } from '../../../src/cli/dispatch/state-directory.ts';
import { pidSpace, startTimeOf } from '../../../src/cli/worker/process-table.ts';

let path: string;
let taken: StateDirectory[];
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'lanekeeper-state-'));
  taken = [];
});
afterEach(() => {
  for (const state of taken) state.release();
  rmSync(path, { recursive: true });
});

function take(): StateDirectory {
  const state = StateDirectory.take(path);
  taken.push(state);
  return state;
}

/** As a process that did not release it left it. */
function leave(holder: object, number = 1): string {
  const file = join(path, `holder.${number}`);
  writeFileSync(file, JSON.stringify(holder));
  return file;
}

const ourselves = () => ({ pid: process.pid, started_at: startTimeOf(process.pid), pid_space: pidSpace() });

test('has one holder at a time, which says so in a word of its own', () => {
  const first = take();
  expect(() => StateDirectory.take(path)).toThrow(/running already/);
  first.release();
  const second = take();
  expect(readFileSync(join(path, 'holder'), 'utf8')).toBe(`${second.word}\n`);
  expect(second.word).not.toBe(first.word);
});

test('is free when its holder is dead, also when another process has its pid now', () => {
  leave({ ...ourselves(), pid: 2 ** 22 - 1 });
  take().release();
  leave({ ...ourselves(), started_at: 'long ago' }, 2);
  take();
});

test('is not taken from a holder in another container that shows that it lives, and is once it stays silent', () => {
  const file = leave({ ...ourselves(), pid_space: 'elsewhere' });
  expect(() => StateDirectory.take(path)).toThrow(/another container/);
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(file, longAgo, longAgo);
  take();
});

test('is the same directory whichever way leads to it', () => {
  const link = `${path}-link`;
  symlinkSync(path, link);
  try {
    const state = StateDirectory.take(link);
    taken.push(state);
    expect(state.path).toBe(realpathSync(path));
  } finally {
    rmSync(link);
  }
});

test('says who holds it whole or not at all: on a full disk the last word stays', () => {
  const before = take();
  before.release();
  symlinkSync('/dev/full', join(path, 'holder.unfinished'));
  expect(() => StateDirectory.take(path)).toThrow('ENOSPC');
  expect(readFileSync(join(path, 'holder'), 'utf8')).toBe(`${before.word}\n`);
});

test('is free when a power cut took what its holder had written', () => {
  writeFileSync(join(path, 'holder.7'), '');
  take();
  expect(() => StateDirectory.take(path)).toThrow(/running already/);
});
