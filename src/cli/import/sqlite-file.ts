/** Reads an SQLite file that others may be using, without writing to it or locking it, as of one moment. */
import { open, readFile, stat } from 'node:fs/promises';
import { UsageError } from '../exit-codes.ts';
import { applyWal } from './wal.ts';

const MAGIC = 'SQLite format 3\0';
/**
 * The whole file is held in memory, twice for a moment, and its log beside it. WebAssembly addresses 4 GiB at most; boards have some MB, and
 * a log that nothing keeps open is emptied into the file at 4 MB.
 */
const FILE_BYTES_MAX = 1024 * 1024 * 1024;
/** A writer that checkpoints between our two reads; it seldom does so three times in a row. */
const ATTEMPTS_MAX = 5;

/** @param bytesMax Of the file, of its log, and of both together as one database. */
export async function readSqliteFile(path: string, bytesMax = FILE_BYTES_MAX): Promise<Uint8Array> {
  await assertReadable(path);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const before = await stampOf(path);
    const wal = await readWithin(`${path}-wal`, bytesMax);
    const main = await readWithin(path, bytesMax);
    // Between the stamps: whoever is in the middle of a transaction and writes nothing meanwhile has its journal all that time.
    const isOpen = await isTransactionOpen(path);
    if ((await stampOf(path)) !== before || main === null) continue;
    if (isOpen) {
      throw new UsageError(
        `${path}-journal holds a transaction that was not finished. If nothing writes to the database any more, let SQLite undo it: sqlite3 ${path} 'SELECT 1 FROM tasks'`,
      );
    }
    const bytes = wal === null ? main : withLog(path, main, wal, bytesMax);
    if (Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') === MAGIC) return bytes;
    throw new UsageError(`${path} is not an SQLite database.`);
  }
  throw new UsageError(`${path} changes faster than it can be read; stop what writes to it and try again.`);
}

function withLog(path: string, main: Uint8Array, wal: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return applyWal(main, wal, bytesMax);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(
      `${path} with its log ${path}-wal is larger than the ${bytesMax} bytes that an import can hold.`,
      { cause: error },
    );
  }
}

async function assertReadable(path: string): Promise<void> {
  const found = await statOf(path);
  if (found === null) throw new UsageError(`Cannot read ${path}: there is no such file.`);
  if (!found.isFile()) throw new UsageError(`${path} is no file; give the kanban.db itself.`);
}

/** A journal that begins with zeros was finished with and is only kept. */
async function isTransactionOpen(path: string): Promise<boolean> {
  const journal = await readHead(`${path}-journal`);
  return journal !== null && journal !== 0;
}

/** Changes with every write to the file, its log or its journal. */
async function stampOf(path: string): Promise<string> {
  const stamps = await Promise.all(
    [path, `${path}-wal`, `${path}-journal`].map(async (name) => {
      const found = await stat(name, { bigint: true }).catch(() => null);
      return found === null ? 'none' : `${found.ino} ${found.size} ${found.mtimeNs}`;
    }),
  );
  return stamps.join(', ');
}

type Stats = Awaited<ReturnType<typeof stat>>;

/** Null: there is none. */
async function statOf(path: string): Promise<Stats | null> {
  return orNull(path, () => stat(path));
}

/** Null: there is none. A file that grows meanwhile is told by its stamp. */
async function readWithin(path: string, bytesMax: number): Promise<Buffer | null> {
  const found = await statOf(path);
  if (found === null) return null;
  if (!found.isFile()) throw new UsageError(`${path} is no file.`);
  if (Number(found.size) > bytesMax) {
    const remedy = path.endsWith('-wal')
      ? ` Let SQLite empty it into the database: sqlite3 ${path.slice(0, -'-wal'.length)} 'PRAGMA wal_checkpoint(TRUNCATE)'`
      : '';
    throw new UsageError(`${path} is larger than the ${bytesMax} bytes that an import can hold.${remedy}`);
  }
  return orNull(path, () => readFile(path));
}

/** The first byte; null: there is none. */
async function readHead(path: string): Promise<number | null> {
  const file = await orNull(path, () => open(path));
  if (file === null) return null;
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, 0);
    return bytesRead === 0 ? null : (buffer[0] ?? null);
  } finally {
    await file.close();
  }
}

async function orNull<T>(path: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`Cannot read ${path}: ${reason}`, { cause: error });
  }
}
