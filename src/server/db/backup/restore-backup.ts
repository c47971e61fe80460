/**
 * Fills a new database from a backup and then puts it in the place of the old one. Until that last step the old one is not touched: a
 * restore that fails or is killed has changed nothing, and the next one removes what it has left.
 */
import { statfs } from 'node:fs/promises';
import { begin } from '../begin.ts';
import type { Runner, Sql } from '../client.ts';
import { migrateDatabase } from '../migrate.ts';
import { BackupError } from './backup-error.ts';
import { type BackupItem, readBackup } from './backup-reader.ts';
import {
  type DatabaseNames,
  databaseExists,
  databaseNamesOf,
  discardDatabase,
  dropDatabase,
  type Held,
  remakeDatabase,
  shiftNames,
  urlOfDatabase,
  whileHeld,
  withConnection,
} from './database-names.ts';
import { copySettings, findLeftBehind } from './database-traits.ts';
import { readAppliedMigrations, withMigrationsUpTo } from './migration-level.ts';
import type { TableBegin } from './records.ts';
import { clearTables, copyRowsIn, readTables } from './tables.ts';
import { countServerConnections, tellPastApart } from './tell-past-apart.ts';
import type { VerifiedBackup } from './verify-backup.ts';

export interface RestoreProgress {
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  /** 0 to 1. */
  readonly share: number;
}

export interface RestoreOptions {
  /** Of the database that is replaced; no server may use it. */
  readonly url: string;
  readonly file: string;
  /** What has been verified of that file. */
  readonly verified: VerifiedBackup;
  readonly migrationsDir: string;
  /** A database that has boards may be replaced. */
  readonly mayReplace: boolean;
  /** Where Postgres keeps its files, when that is on this machine; null: nobody knows how much room there is. */
  readonly clusterDir: string | null;
  readonly onProgress: (progress: RestoreProgress) => void;
  readonly signal: AbortSignal;
}

export interface Restored {
  /** The database that was there before, under its new name; null: there was nothing in it. */
  readonly formerDatabase: string | null;
  readonly boards: number;
  /** Claim tokens that were issued later are refused. */
  readonly tokensUntil: string | null;
  /** What the database before it had, beside its rows, that this one has not. */
  readonly leftBehind: readonly string[];
  /** What went wrong when it was in its place already. */
  readonly warnings: readonly string[];
}

/** Rows, their indexes and the WAL of both: some three times the text of the rows. */
const ROOM_FACTOR = 3;
const MEBIBYTE = 2 ** 20;

export function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const names = databaseNamesOf(options.url);
  return whileHeld(options.url, names, (held) => putInPlace(held, names, options));
}

async function putInPlace(held: Held, names: DatabaseNames, options: RestoreOptions): Promise<Restored> {
  const { url, signal } = options;
  if (await databaseExists(held.sql, names.former))
    throw new BackupError(
      `There is a database already that was kept from an earlier restore (${names.former}), and this one would take its place. Nothing was changed. ` +
        'Be rid of it with --drop-former first. (--undo goes back to it, and keeps the present one in its place.)',
    );
  const { isInUse, leftBehind } = await checkTarget(options);
  await checkRoom(options);
  await remakeDatabase(held, names.next, names.current);
  try {
    const { boards, tokensUntil } = await fill(urlOfDatabase(url, names.next), options);
    const refused = await copySettings(held.sql, names.current, names.next);
    signal.throwIfAborted();
    await shiftNames(held, [names.former, names.current, names.next]);
    // From here on it is done: nothing that happens now takes it back.
    return {
      formerDatabase: isInUse ? names.former : null,
      boards,
      tokensUntil,
      leftBehind: [...leftBehind, ...refused.map((name) => `the setting ${name}`)],
      warnings: isInUse ? [] : await dropEmpty(held, names.former),
    };
  } catch (error) {
    await discardDatabase(held, names.next);
    throw error;
  }
}

/** Returns what went wrong. */
async function dropEmpty({ sql }: Held, name: string): Promise<string[]> {
  try {
    await dropDatabase(sql, name);
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [
      `The empty database that was there before is left as ${name} (${reason}). To be rid of it: lanekeeper restore --drop-former.`,
    ];
  }
}

/** Puts the database back that the last restore replaced; what was there until now takes its place. */
export async function undoRestore(url: string): Promise<void> {
  const names = databaseNamesOf(url);
  const { current, next, former } = names;
  await whileHeld(url, names, async (held) => {
    await withConnection(url, refuseServers);
    if (!(await databaseExists(held.sql, former)))
      throw new BackupError('There is nothing to go back to: no restore has replaced anything here.');
    await dropDatabase(held.sql, next);
    await shiftNames(held, [next, current, former, next]);
  });
}

/** Whether there was one. */
export async function dropFormerDatabase(url: string): Promise<boolean> {
  const names = databaseNamesOf(url);
  return whileHeld(url, names, async ({ sql }) => {
    const isThere = await databaseExists(sql, names.former);
    await dropDatabase(sql, names.former);
    await dropDatabase(sql, names.next);
    return isThere;
  });
}

interface Target {
  /** There is something in it. */
  readonly isInUse: boolean;
  readonly leftBehind: readonly string[];
}

/** What there is in the database that would be replaced. */
async function checkTarget({ url, mayReplace }: RestoreOptions): Promise<Target> {
  return withConnection(url, async (sql) => {
    await refuseServers(sql);
    const leftBehind = await findLeftBehind(sql);
    const applied = await readAppliedMigrations(sql);
    if (applied.length === 0) {
      const tables = await readTables(sql);
      if (tables.length > 0)
        throw new BackupError(
          `The database has tables that are not Lanekeeper's (${tables[0]?.name}, …). Nothing was changed. Restore into a database of its own.`,
        );
      return { isInUse: false, leftBehind };
    }
    const [row] = await sql<{ boards: number; tasks: boolean }[]>`
      /* restore.look */
      SELECT (SELECT count(*)::int FROM boards) AS boards, EXISTS (SELECT FROM tasks) AS tasks`;
    const boards = row?.boards ?? 0;
    if (boards > 0 && !mayReplace)
      throw new BackupError(
        `There is a database already, with ${boards} ${boards === 1 ? 'board' : 'boards'} and ${row?.tasks ? 'tasks in it' : 'no tasks'}. ` +
          'Nothing was changed. Restore into a new data dir, or put the backup in its place with --replace; what is there is then kept aside.',
      );
    return { isInUse: boards > 0, leftBehind };
  });
}

async function refuseServers(sql: Sql): Promise<void> {
  if ((await countServerConnections(sql)) > 0)
    throw new BackupError(
      'A Lanekeeper server is connected to the database. Nothing was changed. Stop all servers first.',
    );
}

async function checkRoom({ clusterDir, verified }: RestoreOptions): Promise<void> {
  if (clusterDir === null) return;
  const { bavail, bsize } = await statfs(clusterDir);
  const needed = verified.bytes * ROOM_FACTOR;
  if (bavail * bsize >= needed) return;
  const inMebibytes = (bytes: number): string => `${Math.ceil(bytes / MEBIBYTE)} MiB`;
  throw new BackupError(
    `There is not enough room in ${clusterDir}: the restore needs about ${inMebibytes(needed)}, and ${inMebibytes(bavail * bsize)} are free. ` +
      'Nothing was changed. Free some space, or restore into a data dir elsewhere.',
  );
}

/** The schema as it was, the rows, then the schema as it is, and the past told apart: nobody has seen the database before. */
async function fill(url: string, options: RestoreOptions) {
  const { migrationsDir, verified } = options;
  const { migrations, taken_at } = verified.header;
  await withMigrationsUpTo(migrations.length, migrationsDir, (folder) => migrateDatabase(url, folder));
  await withConnection(url, (sql) => load(sql, options));
  await migrateDatabase(url, migrationsDir);
  return withConnection(url, async (sql) => {
    const told = await tellPastApart(sql, taken_at);
    await sql`/* restore.analyze */ ANALYZE`;
    await sql`/* restore.checkpoint */ CHECKPOINT`.catch(() => undefined); // Others than superusers may not.
    return told;
  });
}

async function load(sql: Sql, options: RestoreOptions): Promise<void> {
  const { file, verified } = options;
  // Lost in a crash is the whole database then, which nobody uses yet; the checkpoint at the end puts it on disk.
  await sql`/* restore.settings */ SELECT set_config('synchronous_commit', 'off', false)`;
  const known = new Map((await readTables(sql)).map((table) => [table.name, table]));
  await begin(sql, '', async (tx) => {
    // A migration may have put rows into a table that it made.
    await clearTables(tx, [...known.keys()]);
    const items = readBackup(file);
    try {
      await loadTables(tx, items, known, options);
    } finally {
      await items.return();
    }
    const { last_board_id } = verified.header;
    if (last_board_id !== null)
      await tx`/* restore.board_numbers */ SELECT setval(pg_get_serial_sequence('boards', 'id'), ${last_board_id}::bigint)`;
  });
}

async function loadTables(
  sql: Runner,
  items: AsyncGenerator<BackupItem, void>,
  known: ReadonlyMap<string, TableBegin>,
  { file, verified, onProgress, signal }: RestoreOptions,
): Promise<void> {
  let [rows, bytes] = [0, 0];
  for (;;) {
    const { value: item, done } = await items.next();
    if (done) throw new BackupError(`${file} ended too early, although it was whole a moment ago.`);
    if (item.kind === 'whole') {
      if (item.sha256 === verified.sha256) return;
      throw new BackupError(`${file} was changed while it was restored. Nothing was changed here.`);
    }
    if (item.kind !== 'table') continue;
    const { table } = item;
    checkTable(table, known.get(table.name), file);
    const reportRows = async function* (): AsyncGenerator<Buffer, void> {
      for await (const part of rowsOf(items)) {
        signal.throwIfAborted();
        bytes += part.length;
        onProgress({ table: table.name, rows, bytes, share: bytes / Math.max(1, verified.bytes) });
        yield part;
      }
    };
    const found = await copyRowsIn(sql, table, reportRows());
    const expected = verified.manifest.tables.find(({ name }) => name === table.name)?.rows;
    if (found !== expected)
      throw new BackupError(`Of ${expected} rows of ${table.name} Postgres has taken ${found}.`);
    rows += found;
  }
}

/** Up to the end of the table that has just begun. */
async function* rowsOf(items: AsyncGenerator<BackupItem, void>): AsyncGenerator<Buffer, void> {
  for (;;) {
    const { value: item, done } = await items.next();
    if (done || item.kind !== 'rows') return;
    yield item.rows;
  }
}

/** What a file calls its tables and columns gets into statements: only what the schema of its own level has. */
function checkTable(table: TableBegin, known: TableBegin | undefined, file: string): void {
  const columns = new Set(known?.columns ?? []);
  const isOurs = table.columns.every((column) => columns.delete(column));
  if (known !== undefined && isOurs && columns.size === 0) return;
  throw new BackupError(
    `${file} has a table ${table.name} that the schema of its own time has not, or not with these columns. Nothing was changed.`,
  );
}
