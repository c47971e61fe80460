/** Reads of the log. Nothing here writes it: that is the last step of the transactions that make the events. */
import type { EventKind } from '../../../contract/statuses.ts';
import type { JsonParameter, Runner } from '../../db/client.ts';
import type { Uuid } from '../../kernel/ids.ts';

export interface EventRow {
  readonly seq: number;
  readonly kind: EventKind;
  readonly at: string;
  readonly task_id: Uuid | null;
  readonly run_id: Uuid | null;
  readonly lane: string | null;
  readonly worker: string | null;
  readonly attempt: number | null;
  readonly task_version: number | null;
  readonly delegation_id: Uuid | null;
  readonly actor_type: 'key' | 'claim' | 'system';
  readonly actor_id: string;
  readonly data: Record<string, JsonParameter>;
}

export interface LogRow extends EventRow {
  /** About what it takes as JSON: all but `data` is short. */
  readonly bytes: number;
  /** The last event of its transaction. */
  readonly is_change_end: boolean;
}

/** A part of a log, ended by its rows or its bytes, whichever bound came first. One row fits always. */
export interface LogRead {
  readonly rows: readonly LogRow[];
  /** Nothing lay beyond it when it was read. */
  readonly isAtEnd: boolean;
}

/** As one reader goes on with a log. */
export interface LogContinuation extends LogRead {
  /** Of the event that it goes on after; null: there is none. */
  readonly markBefore: string | null;
}

interface LogRange {
  readonly afterSeq: number;
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** Of an event without its data, by far the most of it ids and a cursor. */
const EVENT_FRAME_BYTES = 350;

const COLUMNS_BUT_DATA = (sql: Runner) => sql`
  seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, delegation_id, actor_type, actor_id`;
const COLUMNS = (sql: Runner) => sql`${COLUMNS_BUT_DATA(sql)}, data`;

/** Only what is stored compressed has to be unpacked to be measured: the rest is as long as it is stored. */
const BYTES = (sql: Runner) => sql`
  ${EVENT_FRAME_BYTES}::int +
  CASE WHEN pg_column_compression(data) IS NULL THEN pg_column_size(data) ELSE octet_length(data::text) END AS bytes`;

export interface LogEnds {
  readonly seq: number;
  readonly pruned_seq: number;
  /** Another one than a cursor's: the log has been replaced since. */
  readonly incarnation: string;
}

/** Where a board's log begins and ends; null when the board is gone. */
export async function readLogEnds(sql: Runner, boardId: number): Promise<LogEnds | null> {
  const [row] = await sql<LogEnds[]>`
    /* watch.log_ends */
    SELECT board_seq.seq, board_seq.pruned_seq, boards.log_incarnation AS incarnation
    FROM board_seq JOIN boards ON boards.id = board_seq.board_id WHERE board_seq.board_id = ${boardId}`;
  return row ?? null;
}

type MarkedColumns = Pick<EventRow, 'at' | 'kind' | 'task_id' | 'run_id'>;

/**
 * Tells an event from another one that has its number in a log that took the place of its own: that was written later. What the erasure of a
 * task rewrites has no part in it.
 */
export function markOf({ at, kind, task_id, run_id }: MarkedColumns): string {
  return [at, kind, task_id, run_id].join(' ');
}

export interface LogTip extends LogEnds {
  /** Of the last event; null: it is pruned, or there never was one. */
  readonly mark: string | null;
}

/** Where a board's log begins and ends, and with which event; null when the board is gone. */
export async function readLogTip(sql: Runner, boardId: number): Promise<LogTip | null> {
  const [row] = await sql<(LogEnds & (MarkedColumns | { readonly at: null }))[]>`
    /* watch.log_tip */
    SELECT board_seq.seq, board_seq.pruned_seq, boards.log_incarnation AS incarnation,
      last.at, last.kind, last.task_id, last.run_id
    FROM board_seq JOIN boards ON boards.id = board_seq.board_id
    LEFT JOIN events AS last ON last.board_id = ${boardId} AND last.seq = board_seq.seq
    WHERE board_seq.board_id = ${boardId}`;
  if (row === undefined) return null;
  const { seq, pruned_seq, incarnation } = row;
  return { seq, pruned_seq, incarnation, mark: row.at === null ? null : markOf(row) };
}

/** Up to where a log that was replaced is part of the one that there is; null: it never was one of this board. */
export async function readLastSeqOf(
  sql: Runner,
  boardId: number,
  incarnation: string,
): Promise<number | null> {
  const [row] = await sql<{ last_seq: number }[]>`
    /* watch.past_incarnation */
    SELECT last_seq FROM past_incarnations WHERE board_id = ${boardId} AND incarnation = ${incarnation}`;
  return row?.last_seq ?? null;
}

/** So few are read without measuring them first, even if each carries half a megabyte: it is what follows most changes, and takes half the time. */
const FEW_ROWS = 20;

/**
 * Events after a position, in order. Dense: what is missing between two of them does not exist. The row after the last one is looked at
 * too, to know whether it belongs to the same transaction: what inserted it is what wrote it. Only the erasure of a task rewrites its events;
 * long after, they pass for one change where they stand side by side, and a change that they were a part of may be cut without being told so.
 */
export async function readEvents(sql: Runner, boardId: number, range: LogRange): Promise<LogContinuation> {
  const { rows, markBefore } = await readFewEvents(sql, boardId, range.afterSeq);
  const [first] = rows;
  if (first !== undefined && rows.length > FEW_ROWS) {
    const read = await readManyEvents(sql, boardId, range);
    // Between two statements the log may be replaced: they are of one if they begin with the same event.
    const isSame = read.rows[0] !== undefined && markOf(read.rows[0]) === markOf(first);
    return { ...read, markBefore: isSame ? markBefore : null };
  }
  let bytesBefore = 0;
  const fitting = rows.slice(0, range.rowsMax).filter(({ bytes }) => {
    bytesBefore += bytes;
    return bytesBefore - bytes < range.bytesMax;
  });
  return { rows: fitting, isAtEnd: fitting.length === rows.length, markBefore };
}

/** Of the event at the position itself, which may be a large one, only the mark is wanted. */
async function readFewEvents(
  sql: Runner,
  boardId: number,
  afterSeq: number,
): Promise<{ readonly rows: readonly LogRow[]; readonly markBefore: string | null }> {
  const rows = await sql<(Omit<LogRow, 'is_change_end'> & { readonly writer: string })[]>`
    /* watch.few_events */
    SELECT ${COLUMNS(sql)}, ${BYTES(sql)}, writer FROM (
      SELECT ${COLUMNS_BUT_DATA(sql)}, CASE WHEN seq > ${afterSeq} THEN data END AS data, xmin::text AS writer
      FROM events WHERE board_id = ${boardId} AND seq >= ${afterSeq} ORDER BY seq LIMIT ${FEW_ROWS + 2}
    ) AS near ORDER BY seq`;
  const before = rows[0]?.seq === afterSeq ? rows[0] : null;
  const all = rows.map((row, index) => ({ ...row, is_change_end: rows[index + 1]?.writer !== row.writer }));
  return before === null
    ? { rows: all, markBefore: null }
    : { rows: all.slice(1), markBefore: markOf(before) };
}

async function readManyEvents(sql: Runner, boardId: number, range: LogRange): Promise<LogRead> {
  const { afterSeq, rowsMax, bytesMax } = range;
  const rows = await sql<(LogRow & { readonly found: number })[]>`
    /* watch.events */
    SELECT ${COLUMNS(sql)}, bytes, is_change_end, found FROM (
      SELECT ${COLUMNS(sql)}, bytes, sum(bytes) OVER upward - bytes AS bytes_before,
        lead(writer) OVER upward IS DISTINCT FROM writer AS is_change_end, count(*) OVER ()::int AS found
      FROM (
        SELECT ${COLUMNS(sql)}, ${BYTES(sql)}, xmin::text AS writer FROM events
        WHERE board_id = ${boardId} AND seq > ${afterSeq} ORDER BY seq LIMIT ${rowsMax}::int + 1
      ) AS event
      WINDOW upward AS (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ) AS measured
    WHERE bytes_before < ${bytesMax} ORDER BY seq LIMIT ${rowsMax}`;
  return { rows, isAtEnd: rows.length === (rows[0]?.found ?? 0) };
}

interface BackRange {
  /** The first to be read. */
  readonly fromSeq: number;
  readonly rowsMax: number;
  readonly bytesMax: number;
}

/** Events up to and including a position, the newest first. Ends where the log has been pruned, also while it is read. */
export async function readEventsBack(
  sql: Runner,
  boardId: number,
  { fromSeq, rowsMax, bytesMax }: BackRange,
): Promise<{ readonly rows: readonly (EventRow & { readonly bytes: number })[]; readonly isAtEnd: boolean }> {
  const rows = await sql<(EventRow & { readonly bytes: number; readonly found: number })[]>`
    /* watch.events_back */
    SELECT ${COLUMNS(sql)}, bytes, found FROM (
      SELECT ${COLUMNS(sql)}, bytes, sum(bytes) OVER (ORDER BY seq DESC ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before,
        count(*) OVER ()::int AS found
      FROM (
        SELECT ${COLUMNS(sql)}, ${BYTES(sql)} FROM events
        WHERE board_id = ${boardId} AND seq <= ${fromSeq} ORDER BY seq DESC LIMIT ${rowsMax}::int + 1
      ) AS event
    ) AS measured
    WHERE bytes_before < ${bytesMax} ORDER BY seq DESC LIMIT ${rowsMax}`;
  return { rows, isAtEnd: rows.length === (rows[0]?.found ?? 0) };
}

interface TaskLogRange extends LogRange {
  readonly upToSeq: number;
}

/** Events of one task after a position, up to and including another one. */
export async function readTaskEvents(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  range: TaskLogRange,
): Promise<{ readonly rows: readonly EventRow[]; readonly isAtEnd: boolean }> {
  const rows = await sql<(EventRow & { readonly found: number })[]>`
    /* watch.task_events */
    SELECT ${COLUMNS(sql)}, found FROM (
      SELECT ${COLUMNS(sql)}, sum(bytes) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before,
        count(*) OVER ()::int AS found
      FROM (
        SELECT ${COLUMNS(sql)}, ${BYTES(sql)} FROM events
        WHERE board_id = ${boardId} AND task_id = ${taskId} AND seq > ${range.afterSeq} AND seq <= ${range.upToSeq}
        ORDER BY seq LIMIT ${range.rowsMax}::int + 1
      ) AS event
    ) AS measured
    WHERE bytes_before < ${range.bytesMax} ORDER BY seq LIMIT ${range.rowsMax}`;
  return { rows, isAtEnd: rows.length === (rows[0]?.found ?? 0) };
}

/** How many tasks wait for each of these lanes; counted no further than the cap, because it is only a hint. */
export async function countReady(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
  cap: number,
): Promise<{ lane: string; ready: number }[]> {
  return sql<{ lane: string; ready: number }[]>`
    /* watch.count_ready */
    SELECT lane.name AS lane, (
      SELECT count(*)::int FROM (SELECT FROM tasks WHERE board_id = ${boardId} AND lane = lane.name AND status = 'ready' LIMIT ${cap}) AS waiting
    ) + (
      SELECT count(*)::int FROM (SELECT FROM tasks WHERE board_id = ${boardId} AND reviewer = lane.name AND status = 'review' LIMIT ${cap}) AS waiting
    ) AS ready
    FROM unnest(${lanes as string[]}::text[]) AS lane (name)`;
}

/** Single events, by their numbers. */
export async function findEvents(
  sql: Runner,
  boardId: number,
  seqs: readonly number[],
): Promise<Map<number, EventRow>> {
  const rows = await sql<EventRow[]>`
    /* watch.find_events */
    SELECT e.* FROM unnest(${seqs.map(String)}::text[]::bigint[]) AS wanted (seq)
    CROSS JOIN LATERAL (SELECT ${COLUMNS(sql)} FROM events WHERE board_id = ${boardId} AND events.seq = wanted.seq OFFSET 0) AS e`;
  return new Map(rows.map((row) => [row.seq, row]));
}
