import { lstat, mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { restoreLibraryLinks } from '../../../../src/server/db/embedded/library-links.ts';

let directory: string;
let native: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lanekeeper-links-'));
  native = join(directory, 'native');
  await mkdir(join(native, 'lib'), { recursive: true });
  await writeFile(join(native, 'lib', 'libpq.so.5.18'), '');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function writeList(entries: readonly unknown[]): Promise<void> {
  await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(entries));
}

describe('the library links', () => {
  it('are made relative, so that they survive a move, and making them again changes nothing', async () => {
    await writeList([{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so' }]);
    expect(await restoreLibraryLinks(native)).toBe(true);
    expect(await restoreLibraryLinks(native)).toBe(true);
    expect(await readlink(join(native, 'lib', 'libpq.so'))).toBe('libpq.so.5.18');
  });

  it('stay inside the package, whatever the list says', async () => {
    await writeList([
      { source: 'native/lib/libpq.so.5.18', target: 'native/../escaped' },
      { source: 'native/lib/libpq.so.5.18', target: '/tmp/lanekeeper-escaped' },
      { source: '/etc/passwd', target: 'native/lib/passwd' },
      { source: 'native/../../etc/passwd', target: 'native/lib/passwd' },
      { source: 'elsewhere/file', target: 'native/lib/file' },
      { source: 7, target: 'native/lib/number' },
      'native/lib/text',
      null,
    ]);
    expect(await restoreLibraryLinks(native)).toBe(true);
    expect(await readdir(join(native, 'lib'))).toEqual(['libpq.so.5.18']);
    expect(await readdir(directory)).toEqual(['native']);
    await expect(lstat('/tmp/lanekeeper-escaped')).rejects.toThrow('ENOENT');
  });

  it('are complete for a package that lists none', async () => {
    expect(await restoreLibraryLinks(native)).toBe(true);
  });
});
