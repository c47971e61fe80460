import { mkdtemp, readdir, readFile, realpath, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { DataDirLock } from '../../../../src/server/db/embedded/data-dir-lock.ts';
import { acquireDataDirLock } from '../../../../src/server/db/embedded/data-dir-lock.ts';

let directory: string;
let held: DataDirLock[];

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'lanekeeper-lock-')));
  held = [];
});

afterEach(async () => {
  await Promise.all(held.map((lock) => lock.release()));
  await rm(directory, { recursive: true, force: true });
});

async function acquire(): Promise<DataDirLock> {
  const lock = await acquireDataDirLock(directory);
  held.push(lock);
  return lock;
}

async function readOnlyLock(): Promise<{ readonly path: string; readonly holder: Record<string, unknown> }> {
  const [name, ...others] = await readdir(directory);
  expect(others).toEqual([]);
  const path = join(directory, name ?? '');
  return { path, holder: JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown> };
}

/** The lock of a process like ours, but for what the test changes. */
async function plantLock(changes: Record<string, unknown>): Promise<string> {
  const lock = await acquireDataDirLock(directory);
  const { path, holder } = await readOnlyLock();
  await lock.release();
  await writeFile(path, `${JSON.stringify({ ...holder, ...changes })}\n`);
  return path;
}

describe('the lock of a data dir', () => {
  it('is refused while its holder lives, even to the holder itself, and free after the release', async () => {
    const first = await acquire();
    await expect(acquire()).rejects.toMatchObject({ code: 'already_running' });
    await expect(acquire()).rejects.toThrow(`pid ${process.pid}`);
    await first.release();
    await first.release();
    await (await acquire()).release();
  });

  it('goes to exactly one of many that try at once, from the free and from the stale lock', async () => {
    for (let round = 0; round < 10; round += 1) {
      await plantLock({ startedAt: 'an earlier process of this pid' });
      const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => acquire()));
      expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      await Promise.all(held.map((lock) => lock.release()));
    }
  });

  it('is never left to a slow starter when others took and released it meanwhile', async () => {
    // The slow one has seen this stale lock; whatever number it tries next must not be free again.
    await plantLock({ startedAt: 'an earlier process of this pid' });
    const before = (await readdir(directory))[0];
    await (await acquire()).release();
    await (await acquire()).release();
    const after = (await readdir(directory))[0];
    expect(Number(after?.split('.').at(-1))).toBeGreaterThan(Number(before?.split('.').at(-1)));
  });

  it('is stale when its pid belongs to another process by now', async () => {
    await plantLock({ startedAt: 'an earlier process of this pid' });
    await acquire();
  });

  it('is stale when no process has its pid', async () => {
    // Above the largest pid that Linux hands out (2^22).
    await plantLock({ pid: 5_000_000 });
    await acquire();
  });

  it('is no lock when it came along with a copy of another directory', async () => {
    await plantLock({ directory: '/somewhere/else', inode: 1 });
    await acquire();
  });

  it('still holds when its directory was moved under the holder', async () => {
    await plantLock({ directory: '/before/the/move' });
    await expect(acquire()).rejects.toMatchObject({ code: 'already_running' });
  });

  it('is taken over when a power cut left it without contents', async () => {
    const path = await plantLock({});
    await writeFile(path, '');
    await acquire();
  });

  it('holds in another container for as long as the holder there writes to it', async () => {
    const path = await plantLock({ pidSpace: 'another container' });
    let seconds = 0;
    const beat = setInterval(() => {
      seconds += 1;
      // Any change of the time is a sign of life; a clock that is wrong must not matter.
      void utimes(path, seconds, (Date.now() - seconds) / 1_000);
    }, 300);
    await expect(acquire()).rejects.toThrow('in another container or on another machine');
    clearInterval(beat);
    // No beat any more: after the watch the lock is ours.
    await acquire();
  });

  it('is taken at once from another container that has been silent for long', async () => {
    const path = await plantLock({ pidSpace: 'another container' });
    const minuteAgo = Date.now() / 1_000 - 60;
    await utimes(path, minuteAgo, minuteAgo);
    const startedAt = performance.now();
    await acquire();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('shows that its holder lives', async () => {
    await acquire();
    const { path, holder } = await readOnlyLock();
    const { mtimeMs } = await stat(path);
    await expect.poll(async () => (await stat(path)).mtimeMs, { timeout: 5_000 }).toBeGreaterThan(mtimeMs);
    expect((await readOnlyLock()).holder).toEqual(holder);
  });
});
