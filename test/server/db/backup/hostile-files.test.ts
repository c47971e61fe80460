/** A backup file is believed in nothing: whatever was done to it, reading it ends in a refusal, and never in much memory. */
import { chown, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readBackup } from '../../../../src/server/db/backup/backup-reader.ts';
import { BackupWriter } from '../../../../src/server/db/backup/backup-writer.ts';
import {
  encodeRecord,
  type Header,
  MAGIC,
  PART_BYTES_MAX,
  RECORD_TYPES,
} from '../../../../src/server/db/backup/records.ts';
import { verifyBackup } from '../../../../src/server/db/backup/verify-backup.ts';

const MIGRATIONS = join(import.meta.dirname, '../../../../drizzle');
const HEADER: Header = {
  lanekeeper: '0.0.0-test',
  postgres: '18.0',
  taken_at: '2026-11-22T06:00:00.123456Z',
  boards: 1,
  migrations: [1],
  last_board_id: 1,
  left_out: [],
};

async function useDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-backup-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function readAll(file: string): Promise<string[]> {
  const kinds: string[] = [];
  for await (const item of readBackup(file)) kinds.push(item.kind);
  return kinds;
}

/** What reading a file of these bytes ends in. */
async function verdictOf(bytes: Buffer): Promise<string> {
  const file = join(await useDirectory(), 'file');
  await writeFile(file, bytes);
  return readAll(file).then(
    (kinds) => (kinds.at(-1) === 'whole' ? 'whole' : 'cut'),
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

let good = Buffer.alloc(0);
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-backup-'));
  const file = join(directory, 'good');
  const writer = await BackupWriter.create(file, false);
  await writer.writeHeader(HEADER);
  for (const name of ['boards', 'tasks']) {
    await writer.beginTable({ name, columns: ['id', 'name'] });
    await writer.writeRows(Buffer.from(`1\t${name} a\n2\t`));
    await writer.writeRows(Buffer.from('with a \\n of its own\n'));
    await writer.endTable();
  }
  await writer.finish(false);
  good = Buffer.from(await readFile(file));
  await rm(directory, { recursive: true });
});

const json = (type: number, value: unknown) => encodeRecord(type, Buffer.from(JSON.stringify(value)));
const header = () => json(RECORD_TYPES.header, HEADER);
const table = (name: string) => json(RECORD_TYPES.tableBegin, { name, columns: ['id'] });
const part = (bytes: number, length: number) => {
  const named = Buffer.alloc(4);
  named.writeUInt32BE(length);
  return encodeRecord(RECORD_TYPES.rows, Buffer.concat([named, deflateRawSync(Buffer.alloc(bytes, '\n'))]));
};
const verdictOfRecords = (...records: Buffer[]) => verdictOf(Buffer.concat([MAGIC, ...records]));

describe('a backup file', () => {
  test('that nobody has touched is whole, with a row counted where one ends', async () => {
    expect(await verdictOf(good)).toBe('whole');
  });

  test('that ends anywhere before its end is refused', async () => {
    for (let length = 0; length < good.length; length += 1)
      expect(await verdictOf(good.subarray(0, length)), `${length} bytes`).toMatch(/^BackupError: .* is not/);
  });

  test('with any one bit turned is refused', async () => {
    for (let at = 0; at < good.length; at += 1) {
      const turned = Buffer.from(good);
      turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8));
      expect(await verdictOf(turned), `byte ${at}`).toMatch(/^BackupError: /);
    }
  });

  test('with something behind its end, with another order, or with a table twice is refused', async () => {
    expect(await verdictOf(Buffer.concat([good, Buffer.from('x')]))).toContain('something follows its end');
    expect(await verdictOfRecords(table('boards'))).toContain('out of order');
    expect(await verdictOfRecords(header(), part(1, 1))).toContain('out of order');
    const end = json(RECORD_TYPES.tableEnd, { rows: 0, bytes: 0 });
    expect(await verdictOfRecords(header(), table('a'), end, table('a'))).toContain('twice');
    expect(await verdictOfRecords(header(), table('a'), part(1, 1), end)).toContain('not as many rows');
    const manifest = json(RECORD_TYPES.manifest, { tables: [{ name: 'a', rows: 0, bytes: 0 }] });
    expect(await verdictOfRecords(header(), manifest)).toContain('other tables');
  });

  test('of something else, or of a later form, is told from one that is damaged', async () => {
    expect(await verdictOf(Buffer.from('PGDMP and so on, for a while'))).toContain(
      'is not a backup of Lanekeeper',
    );
    expect(await verdictOf(Buffer.from('LANEKEEPER BACKUP 2\n and so on'))).toContain('newer release');
  });

  test('whose parts grow beyond what they say, or say too much, is refused before it grows', async () => {
    expect(await verdictOfRecords(header(), table('a'), part(PART_BYTES_MAX, 10))).toContain(
      'cannot be decompressed to the length that it names',
    );
    expect(await verdictOfRecords(header(), table('a'), part(9, 10))).toContain(
      'not the length that it names',
    );
    expect(await verdictOfRecords(header(), table('a'), part(10, PART_BYTES_MAX + 1))).toContain(
      'longer than any can be',
    );
    const endless = Buffer.alloc(5, 0xff);
    expect(await verdictOfRecords(header(), endless)).toContain('a part is longer than any can be');
  });

  test('whose names are not those of tables is refused', async () => {
    for (const name of ['Boards', 'a b', 'a"; DROP TABLE boards; --', 'x'.repeat(64), ''])
      expect(await verdictOfRecords(header(), table(name)), name).toContain('not in the form of a backup');
  });

  test('whose words for people hold what a terminal would obey is refused', async () => {
    for (const word of ['\u001b[2J', 'a\nb', '\u009b31m', '\u202e', 'x'.repeat(101)])
      for (const key of ['lanekeeper', 'postgres']) {
        const hostile = json(RECORD_TYPES.header, { ...HEADER, [key]: `1.0${word}` });
        expect(await verdictOfRecords(hostile), `${key} ${word}`).toContain('not in the form of a backup');
      }
  });

  test('of a schema that this release does not know is refused by what it says first', async () => {
    const file = join(await useDirectory(), 'file');
    await writeFile(file, good);
    const options = {
      migrationsDir: MIGRATIONS,
      onProgress: () => undefined,
      signal: new AbortController().signal,
    };
    await expect(verifyBackup({ file, ...options })).rejects.toThrow(
      /a schema that this release does not know/,
    );
  });
});

describe('a backup that is being written', () => {
  const partialsOf = async (directory: string): Promise<string[]> =>
    (await readdir(directory)).filter((name) => name.endsWith('.partial'));

  test('has its name only when it is complete, is its writer’s alone, and replaces nothing that it may not', async () => {
    const directory = await useDirectory();
    const file = join(directory, 'lanes.backup');
    // As root the directory may be somebody else's: what is in the file is not his.
    if (process.getuid?.() === 0) await chown(directory, 65_534, 65_534);
    const writer = await BackupWriter.create(file, false);
    await writer.writeHeader(HEADER);
    expect(await readdir(directory)).toEqual([
      expect.stringMatching(/^lanes\.backup\.[0-9a-f]{12}\.partial$/),
    ]);
    await writer.finish(false);
    const { mode, uid } = await stat(file);
    expect([mode & 0o777, uid]).toEqual([0o600, process.getuid?.()]);
    await expect(BackupWriter.create(file, false)).rejects.toThrow(`${file} exists`);

    const second = await BackupWriter.create(file, true);
    await second.writeHeader({ ...HEADER, boards: 2 });
    await second.discard();
    expect(await readAll(file)).toEqual(['header', 'whole']);
    expect(await readdir(directory)).toEqual(['lanes.backup']);
    await expect(BackupWriter.create(join(directory, 'not/there'), false)).rejects.toThrow(
      'cannot be written',
    );
  });

  test('removes what one left that was killed a day ago, and nothing of one that is at work, wherever its process is', async () => {
    const directory = await useDirectory();
    const file = join(directory, 'lanes.backup');
    const names = ['0123456789ab', '999999999', 'another', 'ab.cd'].map(
      (middle) => `${file}.${middle}.partial`,
    );
    const old = new Date(Date.now() - 25 * 3_600_000);
    for (const name of names) {
      await writeFile(name, 'x');
      await utimes(name, old, old);
    }
    await writeFile(`${file}.ba9876543210.partial`, 'x');
    const [one, other] = [await BackupWriter.create(file, true), await BackupWriter.create(file, true)];
    const left = (await partialsOf(directory)).filter((name) => /another|ab\.cd|ba9876543210/.test(name));
    expect(left).toHaveLength(3);
    expect(await partialsOf(directory)).toHaveLength(5);
    for (const writer of [one, other]) {
      await writer.writeHeader(HEADER);
      await writer.finish(true);
      expect(await readAll(file)).toEqual(['header', 'whole']);
    }
  });

  test('is not published when something else stands where it was written', async () => {
    const directory = await useDirectory();
    const file = join(directory, 'lanes.backup');
    for (const spoil of [rm, (path: string) => rm(path).then(() => writeFile(path, 'half of another'))]) {
      const writer = await BackupWriter.create(file, false);
      await writer.writeHeader(HEADER);
      const [partial = ''] = await partialsOf(directory);
      await spoil(join(directory, partial));
      await expect(writer.finish(false)).rejects.toThrow(/was removed or replaced\. There is no backup/);
      await writer.discard();
      expect(await readdir(directory)).toEqual([]);
    }
  });
});
