/** What an import reads of a database that is in use: what has been committed, and nothing else. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { HermesDatabase } from '../../../src/cli/import/hermes-database.ts';
import { readSqliteFile } from '../../../src/cli/import/sqlite-file.ts';
import { HermesBoard } from './hermes-board.ts';

/** Written by SQLite 3 in WAL mode (page size 512): one task in the file, then a transaction each for two more, in the log alone. */
const MAIN =
  'H4sIAIyqAWsC/+2TwWrCQBCGZ9bQaiHnvclILwoilZ4LtSU3L1XBY9g2Ky7GqMkEzNEH9B18hp48ulkPgV6813zM7s4/MMvCPzv9GhvWtNika8X0CgKEgHciAJsCNKAC7fL+6FsIGPygj2cQyICMR6iBOT5KKfHgs/qONatslblNfE6C0Syg2ehjHJArdU1ErPdM29SsVVrQShd9YsOxdvU+2VbOMyd6PfEg3ySCSSK9z3axdTZUOW+cDt2F4dAdpa/N8i1+aSSewEbNP6SNXudZcvhyZWgS4qX97ybWqVZR8eT8/wUbNXeB3+i0qnm4AIDic7MABgAA';
/** How the journal of a transaction that is not over begins. */
const JOURNAL = Buffer.from('d9d505f920a163d7', 'hex');
const LOG =
  'H4sIAIyqAWsC/zOvZ2ti0H0kwcDAxAAEjBv+toWsEo3frBXEcHha1zshBqgETPxyvv6jrlnPu3lBEowHGRgfAIlRMPSALBOLoqJ4SbwBBBhl5imUZKQq5OSnF6UmplTKMbIoKiOkDaHSaZk5qWB5oAnMIAxLF94PlALcSteu4QKni8cMjJ+AxCgYjoCPWZERkW6YeJkVORHpBL28sDd8X/BU/XYiqLxgZlwCLi+A1CgYhECamUVRFpHnjcHlQWJxCTjDU7m8+Lfb7fXJz94NXOB0cQVcXgCpUTDcCghjZrzlBQAvuAwygAgAAA==';

/** What others do to the files just before the database itself is read. */
const meanwhile = vi.hoisted(() => ({ act: (): Promise<void> => Promise.resolve() }));

vi.mock(import('node:fs/promises'), async (importOriginal) => {
  const original = await importOriginal();
  const reading = async (...[file, options]: Parameters<typeof original.readFile>) => {
    if (String(file).endsWith('kanban.db')) await meanwhile.act();
    return original.readFile(file, options);
  };
  return { ...original, readFile: reading as typeof original.readFile };
});

afterEach(() => {
  meanwhile.act = () => Promise.resolve();
});

const unpacked = (text: string): Buffer => gunzipSync(Buffer.from(text, 'base64'));

async function saved(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-sqlite-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  for (const [suffix, bytes] of Object.entries(files))
    await writeFile(join(directory, `kanban.db${suffix}`), bytes);
  return join(directory, 'kanban.db');
}

async function titlesOf(path: string): Promise<unknown[]> {
  const database = await HermesDatabase.open(path);
  try {
    return [...database.tasks(database.outlines().map(({ rowid }) => rowid)).values()].map(
      ({ title }) => title,
    );
  } finally {
    database.close();
  }
}

test('what was committed to the log is there, although it is not in the file yet', async () => {
  const path = await saved({ '': unpacked(MAIN), '-wal': unpacked(LOG) });
  expect(await titlesOf(path)).toEqual(['in the file', 'in the log', 'the last']);
});

test('a transaction that is not whole in the log is left out, and so is all after what does not add up', async () => {
  const log = unpacked(LOG);
  const half = await saved({ '': unpacked(MAIN), '-wal': log.subarray(0, log.length - 1) });
  expect(await titlesOf(half)).toEqual(['in the file', 'in the log']);
  const spoilt = Buffer.from(log);
  spoilt[100] = (spoilt[100] ?? 0) ^ 1;
  expect(await titlesOf(await saved({ '': unpacked(MAIN), '-wal': spoilt }))).toEqual(['in the file']);
});

test('a log that is empty, cut short or no log at all changes nothing', async () => {
  const log = unpacked(LOG);
  for (const wal of [Buffer.alloc(0), log.subarray(0, 31), Buffer.alloc(200, 7)])
    expect(await titlesOf(await saved({ '': unpacked(MAIN), '-wal': wal }))).toEqual(['in the file']);
});

/** A log whose sums are right, whatever else it says: one frame that commits. */
interface LogOptions {
  readonly pageBytes?: number;
  readonly page?: number;
  readonly pageCount?: number;
  readonly data?: Uint8Array;
}

function logOf({ pageBytes = 512, page = 1, pageCount = 3, data = Buffer.alloc(512) }: LogOptions): Buffer {
  const log = Buffer.alloc(32 + 24 + data.length);
  let sum: [number, number] = [0, 0];
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at += 8) {
      const first = (sum[0] + log.readUInt32LE(at) + sum[1]) >>> 0;
      sum = [first, (sum[1] + log.readUInt32LE(at + 4) + first) >>> 0];
    }
  };
  const write = (at: number, ...words: number[]): void =>
    words.forEach((word, index) => {
      log.writeUInt32BE(word, at + 4 * index);
    });
  write(0, 0x377f0682, 3_007_000, pageBytes, 0, 5, 7);
  add(0, 24);
  write(24, ...sum);
  write(32, page, pageCount, 5, 7);
  log.set(data, 56);
  add(32, 40);
  add(56, log.length);
  write(48, ...sum);
  return log;
}

test('a log that says of itself what no log of SQLite can changes nothing', async () => {
  const main = unpacked(MAIN);
  const firstPage = main.subarray(0, 512);
  // The sums of the helper are right: this one counts, and cuts the file off after its first page.
  const cut = await saved({ '': main, '-wal': logOf({ pageCount: 1, data: firstPage }) });
  expect(await readSqliteFile(cut)).toHaveLength(512);
  for (const pageBytes of [0, 1, 511, 513, 2 ** 17, 2 ** 31])
    expect(await titlesOf(await saved({ '': main, '-wal': logOf({ pageBytes }) }))).toEqual(['in the file']);
  const zero = logOf({ page: 0, pageCount: main.length / 512, data: firstPage });
  expect(await titlesOf(await saved({ '': main, '-wal': zero }))).toEqual(['in the file']);
});

test('file and log are only read as far as there is memory for them, and what is too large is told with a remedy', async () => {
  const main = unpacked(MAIN);
  const huge = await saved({
    '': main,
    '-wal': logOf({ pageCount: 2 ** 32 - 1, data: main.subarray(0, 512) }),
  });
  await expect(readSqliteFile(huge)).rejects.toThrow(/with its log .*kanban.db-wal is larger than/);
  const log = await saved({ '': main, '-wal': Buffer.alloc(main.length + 1) });
  await expect(readSqliteFile(log, main.length)).rejects.toThrow(
    /kanban.db-wal is larger than .*sqlite3 .*kanban.db 'PRAGMA wal_checkpoint/,
  );
  await expect(readSqliteFile(await saved({ '': main }), main.length - 1)).rejects.toThrow(
    /kanban.db is larger than/,
  );
  expect(await readSqliteFile(await saved({ '': main }), main.length)).toEqual(main);
  const directory = await saved({ '': main });
  await mkdir(`${directory}-wal`);
  await expect(readSqliteFile(directory)).rejects.toThrow('kanban.db-wal is no file');
});

test('a file whose pages contradict each other is told by its name, whenever that shows', async () => {
  const board = await HermesBoard.make('new');
  board.all(() => {
    for (let index = 0; index < 500; index += 1) board.task(`t_${index}`, 'ready', { body: 'x'.repeat(500) });
  });
  const bytes = Buffer.from(board.bytes());
  bytes.fill(0xff, 4096 * 12);
  await expect(titlesOf(await saved({ '': bytes }))).rejects.toMatchObject({
    name: 'UsageError',
    message: expect.stringMatching(/kanban.db cannot be read: .*malformed/),
  });
});

test('reading leaves file and log as they were, and makes no other', async () => {
  const path = await saved({ '': unpacked(MAIN), '-wal': unpacked(LOG) });
  const before = await stat(path, { bigint: true });
  await titlesOf(path);
  expect(await readdir(join(path, '..'))).toEqual(['kanban.db', 'kanban.db-wal']);
  expect(await readFile(path)).toEqual(unpacked(MAIN));
  expect(await readFile(`${path}-wal`)).toEqual(unpacked(LOG));
  expect((await stat(path, { bigint: true })).mtimeNs).toBe(before.mtimeNs);
});

test('a transaction that begins after the first look and is not over after the reading is not read half done', async () => {
  const path = await saved({ '': unpacked(MAIN) });
  meanwhile.act = async () => {
    meanwhile.act = () => Promise.resolve();
    await writeFile(`${path}-journal`, JOURNAL);
  };
  await expect(readSqliteFile(path)).rejects.toThrow(/not finished/);
});

test('a transaction that ends while the file is read has it read again, also when the clock of the file tells nothing', async () => {
  const path = await saved({ '': unpacked(MAIN), '-journal': JOURNAL });
  const acted = vi.fn(() => rm(`${path}-journal`, { force: true }));
  meanwhile.act = acted;
  expect(await readSqliteFile(path)).toEqual(unpacked(MAIN));
  expect(acted).toHaveBeenCalledTimes(2);
});

test('what cannot be read is said, with what to do about it', async () => {
  const cases: [Readonly<Record<string, Uint8Array>>, RegExp][] = [
    [{}, /Cannot read .*no such file/],
    [{ '': Buffer.from('no database') }, /not an SQLite database/],
    [{ '': unpacked(MAIN).subarray(0, 700) }, /cannot be read|no Hermes board/],
    [{ '': unpacked(MAIN), '-journal': JOURNAL }, /not finished.*sqlite3/],
  ];
  for (const [files, message] of cases)
    await expect(titlesOf(await saved(files))).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringMatching(message),
    });
  expect(await titlesOf(await saved({ '': unpacked(MAIN), '-journal': Buffer.alloc(512) }))).toEqual([
    'in the file',
  ]);
  await expect(titlesOf(tmpdir())).rejects.toThrow('is no file');
});
