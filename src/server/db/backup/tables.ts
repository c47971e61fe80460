/** What tables and columns a database has, and their rows as COPY gives and takes them. */
import type { Readable, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Runner } from '../client.ts';
import type { TableBegin } from './records.ts';

export interface FoundTable extends TableBegin {
  /** On disk, without indexes and what is stored out of line: how far a backup has come is measured by it. */
  readonly heapBytes: number;
  /** As the planner last knew; 0: it knows nothing. */
  readonly estimatedRows: number;
}

/** Tables in the order of their names. A partition is a part of its table, and a generated column is made again. */
export async function readTables(sql: Runner): Promise<FoundTable[]> {
  const rows = await sql<{ name: string; columns: string[]; heap_bytes: string; estimated_rows: number }[]>`
    /* backup.tables */
    SELECT c.relname AS name, to_json(array_agg(a.attname::text ORDER BY a.attnum)) AS columns,
      coalesce((SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree(c.oid) t), pg_relation_size(c.oid))::text AS heap_bytes,
      greatest(c.reltuples, 0)::float8 AS estimated_rows
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    GROUP BY c.oid, c.relname, c.reltuples
    ORDER BY c.relname`;
  return rows.map(({ name, columns, heap_bytes, estimated_rows }) => ({
    name,
    columns,
    heapBytes: Number(heap_bytes ?? 0),
    estimatedRows: estimated_rows,
  }));
}

/** Nobody changes the form of these tables until the transaction ends. Must be its first statement: it takes no snapshot. */
export async function holdTables(sql: Runner, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await sql.unsafe(
    `/* backup.hold_tables */ LOCK TABLE ${names.map(quoted).join(', ')} IN ACCESS SHARE MODE`,
  );
}

export async function clearTables(sql: Runner, names: readonly string[]): Promise<void> {
  await sql.unsafe(`/* restore.clear_tables */ TRUNCATE ${names.map(quoted).join(', ')}`);
}

/** The rows of a table; a part of them at a time, at least so many bytes each but for the last. */
export async function* copyRowsOut(
  sql: Runner,
  { name, columns }: TableBegin,
  partBytes: number,
): AsyncGenerator<Buffer, void> {
  const statement = `/* backup.copy_out */ COPY (SELECT ${columns.map(quoted).join(', ')} FROM ${quoted(name)}) TO STDOUT`;
  const stream = await sql.unsafe(statement).readable();
  yield* gather(stream, partBytes);
}

/**
 * Postgres sends each row by itself, millions of them: they are taken as they come and handed on together. To wait for each alone would
 * cost more than all the rest of a backup.
 */
async function* gather(stream: Readable, partBytes: number): AsyncGenerator<Buffer, void> {
  const come = { rows: [] as Buffer[], bytes: 0, isOver: false, error: null as Error | null };
  let wake = (): void => undefined;
  stream.on('data', (row: Buffer) => {
    come.rows.push(row);
    come.bytes += row.length;
    if (come.bytes < partBytes) return;
    stream.pause();
    wake();
  });
  stream.once('end', () => {
    // The driver stops reading its socket while this stream is full, and goes on when more is asked of it, which nobody does of a stream
    // that has ended: the word that the statement is over would never be read, and the next one never be answered.
    stream._read(0);
    come.isOver = true;
    wake();
  });
  stream.once('error', (error: Error) => {
    come.error = error;
    wake();
  });
  for (;;) {
    if (!come.isOver && come.error === null && come.bytes < partBytes) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (come.error !== null) throw come.error;
    const part = Buffer.concat(come.rows, come.bytes);
    come.rows = [];
    come.bytes = 0;
    if (part.length > 0) yield part;
    else if (come.isOver) return;
    stream.resume();
  }
}

/**
 * Writes rows into a table and answers how many it has afterwards. Postgres's refusal of what came last shows in that count: the driver
 * tells nobody of it.
 */
export async function copyRowsIn(
  sql: Runner,
  { name, columns }: TableBegin,
  parts: AsyncIterable<Buffer>,
): Promise<number> {
  const statement = `/* restore.copy_in */ COPY ${quoted(name)} (${columns.map(quoted).join(', ')}) FROM STDIN`;
  const stream = await sql.unsafe(statement).writable();
  let failure: Error | null = null;
  stream.on('error', (error: Error) => {
    failure ??= error;
  });
  try {
    for await (const part of parts) await writePart(stream, part);
    stream.end();
    // The driver says that it was the last part, and takes statements again, a turn later.
    await nextTurn();
    const [row] = await sql<{ count: number }[]>`
      /* restore.count */ SELECT count(*)::float8 AS count FROM ${sql(name)}`;
    return row?.count ?? 0;
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
    throw failure ?? error;
  }
}

function writePart(stream: Writable, part: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(part, (error) => (error ? reject(error) : resolve()));
  });
}

/** Names are those of the catalog, or were compared with it. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
