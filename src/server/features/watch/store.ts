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
  readonly actor_type: 'key' | 'claim' | 'system';
  readonly actor_id: string;
  readonly data: Record<string, JsonParameter>;
}

const COLUMNS = (sql: Runner) => sql`
  seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, actor_type, actor_id, data`;

export interface LogEnds {
  readonly seq: number;
  readonly pruned_seq: number;
}

/** Where a board's log begins and ends; null when the board is gone. */
export async function readLogEnds(sql: Runner, boardId: number): Promise<LogEnds | null> {
  const [row] = await sql<
    LogEnds[]
  >`/* watch.log_ends */ SELECT seq, pruned_seq FROM board_seq WHERE board_id = ${boardId}`;
  return row ?? null;
}

/** Events after `seq` in order. Dense: what is missing between two of them does not exist. */
export async function readEvents(
  sql: Runner,
  boardId: number,
  afterSeq: number,
  rowsMax: number,
): Promise<EventRow[]> {
  return sql<EventRow[]>`
    /* watch.events */
    SELECT ${COLUMNS(sql)} FROM events WHERE board_id = ${boardId} AND seq > ${afterSeq} ORDER BY seq LIMIT ${rowsMax}`;
}

/** Events of one task after `seq`, up to and including `upToSeq`. */
export async function readTaskEvents(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  range: { readonly afterSeq: number; readonly upToSeq: number },
  rowsMax: number,
): Promise<EventRow[]> {
  return sql<EventRow[]>`
    /* watch.task_events */
    SELECT ${COLUMNS(sql)} FROM events
    WHERE board_id = ${boardId} AND task_id = ${taskId} AND seq > ${range.afterSeq} AND seq <= ${range.upToSeq}
    ORDER BY seq LIMIT ${rowsMax}`;
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
    ) AS ready
    FROM unnest(${lanes as string[]}::text[]) AS lane (name)`;
}
