/** The output of tasks: a ring of lines each, and a header that numbers them. */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Runner, Sql } from '../../../db/client.ts';
import { columnOf } from '../../../db/column.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { HoldRef } from './end.ts';

/** All that one run appends in one statement. */
export interface Append extends HoldRef {
  /** As they are kept. */
  readonly lines: readonly string[];
}

export interface AppendedRow {
  readonly run_id: Uuid;
  readonly task_id: Uuid;
  /** The number of the last line appended. */
  readonly line_count: number;
  readonly at: string;
}

/**
 * Appends to the output of the runs that still hold their claims; returns a row for each of them. Each run may be named once, in task order:
 * headers are locked in that order by all. The header gives out the numbers, so they are dense and in commit order, also between servers.
 * Of more lines than the ring has room for, the last are kept and the others only counted.
 *
 * The claims are locked against their deletion alone, which a heartbeat does not mind: an end waits for the line before it, and the
 * deletion of a board for the line that would otherwise be left behind. A claim that is just ending is waited for: an end may be rolled
 * back, so skipping it could not tell a run that is lost from one that is not. Ends lock alike and in the same order.
 *
 * Commits without waiting for the disk: output is no part of the log, nothing is decided on it, and a crash that takes back the last
 * lines of a task takes them with their numbers.
 */
export async function appendLines(
  sql: Sql,
  boardId: number,
  appends: readonly Append[],
): Promise<AppendedRow[]> {
  return sql<AppendedRow[]>`
    /* outputs.append */
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
    append AS MATERIALIZED (
      SELECT append.* FROM unnest(
        ${columnOf(appends, (append) => append.taskId)}::uuid[], ${columnOf(appends, (append) => append.runId)}::uuid[],
        ${columnOf(appends, (append) => append.attempt)}::int[], ${columnOf(appends, (append) => append.lines.length)}::int[],
        ${columnOf(appends, (append) => JSON.stringify(append.lines.slice(-LIMITS.outputLinesKept)))}::text[]
      ) AS append (task_id, run_id, attempt, count, lines)
      CROSS JOIN LATERAL (
        SELECT FROM claims c
        WHERE c.board_id = ${boardId} AND c.task_id = append.task_id AND c.run_id = append.run_id AND c.attempt = append.attempt
          AND NOT c.is_superseded
        FOR KEY SHARE
      ) AS live
      WHERE (SELECT value FROM quick) = 'off'
    ),
    header AS (
      INSERT INTO outputs AS o (board_id, task_id, line_count, updated_at)
      SELECT ${boardId}, task_id, count, clock_timestamp() FROM append ORDER BY task_id
      ON CONFLICT (board_id, task_id) DO UPDATE SET line_count = o.line_count + excluded.line_count, updated_at = clock_timestamp()
      RETURNING o.task_id, o.line_count, o.updated_at
    ),
    -- By their place in arrays: without statistics a join of the two would compare each row with each.
    held AS MATERIALIZED (
      SELECT array_agg(task_id) AS task_ids, array_agg(run_id) AS run_ids, array_agg(count) AS counts, array_agg(lines) AS lines FROM append
    ),
    numbered AS MATERIALIZED (
      SELECT held.run_ids[place] AS run_id, header.task_id, held.lines[place] AS lines, header.updated_at, header.line_count,
        header.line_count - least(held.counts[place], ${LIMITS.outputLinesKept}::int) AS before
      FROM held CROSS JOIN header CROSS JOIN LATERAL array_position(held.task_ids, header.task_id) AS place
    ),
    written AS (
      INSERT INTO output_lines (board_id, task_id, slot, number, run_id, at, text)
      SELECT ${boardId}, numbered.task_id, (numbered.before + line.place) % ${LIMITS.outputLinesKept}::int, numbered.before + line.place,
        numbered.run_id, numbered.updated_at, line.text
      FROM numbered CROSS JOIN LATERAL json_array_elements_text(numbered.lines::json) WITH ORDINALITY AS line (text, place)
      ON CONFLICT (board_id, task_id, slot) DO UPDATE
        SET number = excluded.number, run_id = excluded.run_id, at = excluded.at, text = excluded.text
    )
    SELECT run_id, task_id, line_count, updated_at AS at FROM numbered`;
}

export interface LineRow {
  readonly number: number;
  readonly run_id: Uuid;
  readonly at: string;
  readonly text: string;
}

export async function listLines(sql: Runner, boardId: number, taskId: Uuid): Promise<LineRow[]> {
  return sql<LineRow[]>`
    /* outputs.list */
    SELECT number, run_id, at, text FROM output_lines WHERE board_id = ${boardId} AND task_id = ${taskId} ORDER BY number`;
}

export interface HeaderRow {
  readonly task_id: Uuid;
  readonly line_count: number;
  readonly updated_at: string;
  readonly lane: string | null;
}

/** A place in the order in which headers changed, which is not quite the order in which their changes were committed. */
interface Growing {
  readonly at: string;
  readonly overlapSeconds: number;
  readonly taskId: Uuid;
}

/** Where output has grown, in the order of its growth. */
export async function listGrown(
  sql: Runner,
  boardId: number,
  after: Growing,
  rowsMax: number,
): Promise<HeaderRow[]> {
  return sql<HeaderRow[]>`
    /* outputs.list_grown */
    SELECT o.task_id, o.line_count, o.updated_at, t.lane FROM outputs o
    LEFT JOIN tasks t ON t.board_id = o.board_id AND t.id = o.task_id
    WHERE o.board_id = ${boardId} AND (o.updated_at, o.task_id) > (${after.at}::timestamptz - make_interval(secs => ${after.overlapSeconds}), ${after.taskId}::uuid)
    ORDER BY o.updated_at, o.task_id LIMIT ${rowsMax}`;
}

/** What one follower has of a task, and how far it is to be brought. */
export interface LineSpan {
  readonly taskId: Uuid;
  readonly afterNumber: number;
  readonly upToNumber: number;
}

export interface SpanLineRow extends LineRow {
  readonly task_id: Uuid;
}

/** The lines of these spans that are still there, in order. */
export async function listSpans(
  sql: Runner,
  boardId: number,
  spans: readonly LineSpan[],
  notBefore: string,
): Promise<SpanLineRow[]> {
  return sql<SpanLineRow[]>`
    /* outputs.list_spans */
    SELECT span.task_id, line.number, line.run_id, line.at, line.text FROM unnest(
      ${columnOf(spans, (span) => span.taskId)}::uuid[], ${columnOf(spans, (span) => span.afterNumber)}::float8[],
      ${columnOf(spans, (span) => span.upToNumber)}::float8[]
    ) AS span (task_id, after_number, up_to_number)
    CROSS JOIN LATERAL (
      SELECT number, run_id, at, text FROM output_lines
      WHERE board_id = ${boardId} AND task_id = span.task_id AND number > span.after_number AND number <= span.up_to_number
        AND at >= ${notBefore}::timestamptz
      OFFSET 0
    ) AS line
    ORDER BY span.task_id, line.number`;
}

export async function readClock(sql: Runner): Promise<string> {
  const [row] = await sql<{ at: string }[]>`/* outputs.read_clock */ SELECT clock_timestamp() AS at`;
  return row?.at ?? '';
}
