/** Where tests write: in memory only where that is safe, and nothing stays there for longer than its run and the next one. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { makeMemoryDirectory, removeMemoryDirectory } from '../../scripts/memory-directory.mjs';

let root: string;
let directory: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lanekeeper-memory-'));
  directory = join(root, 'shm');
  mkdirSync(directory);
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
});

interface Machine {
  readonly mount?: string;
  readonly availableKib?: number;
  readonly freeBytesMin?: number;
}

function surroundings({
  mount = 'tmpfs rw,nosuid',
  availableKib = 16_000_000,
  freeBytesMin = 1,
}: Machine = {}) {
  const [kind = '', options = ''] = mount.split(' ');
  const [mounts, memory] = [join(root, 'mounts'), join(root, 'meminfo')];
  writeFileSync(mounts, `proc /proc proc rw 0 0\nshm ${directory} ${kind} ${options} 0 0\n`);
  writeFileSync(memory, `MemTotal: 99 kB\nMemAvailable:   ${availableKib} kB\n`);
  return { directory, mounts, memory, freeBytesMin };
}

function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

test('a directory of the run is made, with the owner in its name and a way through for the account of Postgres', () => {
  const made = makeMemoryDirectory(4711, surroundings());
  expect(basename(made ?? '')).toMatch(/^lanekeeper-4711-\w{6}$/);
  expect(statSync(made ?? '').mode & 0o777).toBe(0o711);
  removeMemoryDirectory(made ?? '');
  expect(readdirSync(directory)).toEqual([]);
});

test.each([
  ['programs may not run there', { mount: 'tmpfs rw,noexec' }],
  ['it is a disk', { mount: 'ext4 rw' }],
  ['memory is short', { availableKib: 1_000_000 }],
  ['there is little room in it', { freeBytesMin: Number.MAX_SAFE_INTEGER }],
] satisfies readonly [string, Machine][])('there is none where %s', (_, machine) => {
  expect(makeMemoryDirectory(process.pid, surroundings(machine))).toBeNull();
  expect(readdirSync(directory)).toEqual([]);
});

test('there is none on a system without shared memory', () => {
  expect(makeMemoryDirectory(1, { ...surroundings(), directory: join(root, 'nowhere') })).toBeNull();
});

test('what a killed run has left goes with the next one; what lives, is of others or is no directory stays', () => {
  const dead = deadPid();
  const left = join(directory, `lanekeeper-${dead}-abcdef`);
  const kept = [`lanekeeper-${process.pid}-abcdef`, 'PostgreSQL.1234', 'lanekeeper-abcdef'];
  for (const path of [left, ...kept.map((name) => join(directory, name))])
    mkdirSync(join(path, 'cluster'), { recursive: true });
  const outside = join(root, 'outside');
  mkdirSync(outside);
  const link = `lanekeeper-${dead}-ghijkl`;
  symlinkSync(outside, join(directory, link));
  // Also where no new one can be made.
  expect(makeMemoryDirectory(process.pid, surroundings({ availableKib: 0 }))).toBeNull();
  expect(readdirSync(directory).sort()).toEqual([...kept, link].sort());
  expect(existsSync(outside)).toBe(true);
});

test('nothing else can be removed by it', () => {
  expect(() => removeMemoryDirectory(root)).toThrow('no directory of a test run');
});
