/**
 * Takes a backup: all rows of all tables as one snapshot sees them, beside whatever servers are at work. It writes nothing to the database
 * and holds no lock that claims or requests wait for; a change of the schema waits for it.
 *
 * Copying the cluster's files was rejected: it needs WAL of the time of the copy and the same major version of Postgres to be read, and a
 * file that was damaged on disk is copied as it is, while here every row is read.
 */
import { constants, setPriority } from 'node:os';
import postgres from 'postgres';
import type { Sql } from '../client.ts';
import { BackupError } from './backup-error.ts';
import { BackupWriter, type WrittenBackup } from './backup-writer.ts';
import { checkKnownMigrations, readAppliedMigrations, tablesAtLevel } from './migration-level.ts';
import { Pace } from './pace.ts';
import { type Header, PART_BYTES_MAX } from './records.ts';
import { copyRowsOut, type FoundTable, holdTables, readTables } from './tables.ts';

export interface BackupProgress {
  readonly table: string;
  readonly rows: number;
  /** Of rows, before compression. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** 0 to 1, by the size of the tables on disk; an estimate. */
  readonly share: number;
}

export interface BackupOptions {
  readonly url: string;
  readonly file: string;
  readonly mayReplace: boolean;
  readonly migrationsDir: string;
  /** Of Lanekeeper. */
  readonly version: string;
  /** Of rows before compression; null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  /** Postgres is on this machine and ours: its process for this backup makes way for the others. */
  readonly isLocal: boolean;
  readonly onProgress: (progress: BackupProgress) => void;
  readonly signal: AbortSignal;
}

export interface TakenBackup extends WrittenBackup {
  readonly header: Header;
}

/**
 * Bearer secrets that are good once and for minutes: one that was used between the backup and its restore would be good again.
 */
const LEFT_OUT = new Set(['sign_in_codes']);
/** Of a table that is being altered right now; a migration gives way after as long. */
const LOCK_TIMEOUT_MS = 10_000;

/** Shows text of a moment in the one form that every version reads, whatever the database's own settings are. */
const SESSION = {
  application_name: 'lanekeeper backup',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '3',
  client_encoding: 'UTF8',
  statement_timeout: 0,
  idle_in_transaction_session_timeout: 0,
  lock_timeout: LOCK_TIMEOUT_MS,
  // One process beside the servers', not several.
  max_parallel_workers_per_gather: '0',
};

export async function takeBackup(options: BackupOptions): Promise<TakenBackup> {
  const sql = postgres(options.url, {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
    connect_timeout: 10,
    // A session that is over has lost its snapshot: what is read after it would be of another moment.
    idle_timeout: 0,
    max_lifetime: null,
    connection: SESSION,
  }) as unknown as Sql;
  const onAbort = (): void => void sql.end({ timeout: 0 });
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await backUp(sql, options);
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    await sql.end({ timeout: 0 });
  }
}

async function backUp(sql: Sql, options: BackupOptions): Promise<TakenBackup> {
  options.signal.throwIfAborted();
  const applied = await readAppliedMigrations(sql);
  if (applied.length === 0)
    throw new BackupError('There is nothing to back up: no Lanekeeper server has used this database yet.');
  await checkKnownMigrations(applied, options.migrationsDir, 'The database');
  const known = await tablesAtLevel(applied.length, options.migrationsDir);
  const isOurs = ({ name }: FoundTable): boolean => known.has(name) && !LEFT_OUT.has(name);
  const found = (await readTables(sql)).filter(isOurs);
  const writer = await BackupWriter.create(options.file, options.mayReplace);
  try {
    const session = await openSnapshot(
      sql,
      found.map(({ name }) => name),
    );
    if (options.isLocal) makeWay(session.pid);
    const all = await readTables(sql);
    const tables = all.filter(isOurs);
    const header = await describe(sql, session, {
      lanekeeper: options.version,
      left_out: all.filter((table) => !known.has(table.name)).map(({ name }) => name),
      migrations: await readAppliedMigrations(sql),
    });
    if (tables.length !== found.length || header.migrations.length !== applied.length)
      throw new BackupError('The schema was changed while the backup began. Take it again.');
    await writer.writeHeader(header);
    await writeTables(sql, writer, tables, options);
    // The driver connects again by itself: the rest would then be of another moment.
    if ((await readSession(sql)).name !== session.name)
      throw new BackupError('The connection to the database was lost in the middle. Take the backup again.');
    return { header, ...(await writer.finish(options.mayReplace)) };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

interface Session {
  readonly pid: number;
  /** Another one for every transaction. */
  readonly name: string;
  readonly taken_at: string;
}

/** The locks come first: the snapshot is taken by the first statement that reads, and nothing can change the tables after it. */
async function openSnapshot(sql: Sql, tables: readonly string[]): Promise<Session> {
  await sql`/* backup.begin */ BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`;
  await holdTables(sql, tables);
  return readSession(sql);
}

/** `now()` is when the transaction began: a little before its snapshot, never after it. */
async function readSession(sql: Sql): Promise<Session> {
  const [row] = await sql<Session[]>`
    /* backup.session */
    SELECT pg_backend_pid() AS pid, pg_backend_pid() || ' ' || now() AS name,
      to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS taken_at`;
  if (row === undefined) throw new Error('a SELECT without FROM has one row');
  return row;
}

async function describe(
  sql: Sql,
  { taken_at }: Session,
  known: Pick<Header, 'lanekeeper' | 'left_out' | 'migrations'>,
): Promise<Header> {
  const [row] = await sql<{ postgres: string; boards: number; last_board_id: number | null }[]>`
    /* backup.describe */
    SELECT current_setting('server_version') AS postgres, (SELECT count(*)::int FROM boards) AS boards,
      (SELECT last_value::int FROM pg_sequences
       WHERE (quote_ident(schemaname) || '.' || quote_ident(sequencename))::regclass = pg_get_serial_sequence('boards', 'id')::regclass)
        AS last_board_id`;
  if (row === undefined) throw new Error('a SELECT without FROM has one row');
  return { ...known, ...row, taken_at };
}

async function writeTables(
  sql: Sql,
  writer: BackupWriter,
  tables: readonly FoundTable[],
  { bytesPerSecond, onProgress, signal }: BackupOptions,
): Promise<void> {
  const pace = new Pace(bytesPerSecond, signal);
  const heapBytes = Math.max(
    1,
    tables.reduce((sum, table) => sum + table.heapBytes, 0),
  );
  let [rows, bytes, doneHeapBytes] = [0, 0, 0];
  for (const table of tables) {
    await writer.beginTable({ name: table.name, columns: table.columns });
    let tableBytes = 0;
    for await (const part of copyRowsOut(sql, table, PART_BYTES_MAX)) {
      await writer.writeRows(part);
      bytes += part.length;
      tableBytes += part.length;
      // Text and heap are of about the same size.
      const share = (doneHeapBytes + Math.min(tableBytes, table.heapBytes)) / heapBytes;
      onProgress({ table: table.name, rows, bytes, fileBytes: writer.bytes, share });
      await pace.passed(part.length);
    }
    rows += (await writer.endTable()).rows;
    doneHeapBytes += table.heapBytes;
  }
}

/** Postgres may run as another account, or have lost the process by now: then it does without. */
function makeWay(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It is a courtesy, and the pace holds all the same.
  }
}
