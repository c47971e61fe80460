/**
 * Erases tasks. Their events stay where they are, because the log is dense and others have read it, but keep no more than what folding
 * needs: the one place where rows of the log are changed.
 */
import type { Runner, Tx } from '../../../db/client.ts';
import { erasedParts } from '../../../db/erased-parts.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/**
 * Of an event's data: numbers, times, ids and words of closed vocabularies, all of them the server's own, and the names of lanes. What is not
 * in here goes, so that a field that is new or unknown is not kept by an oversight; nor is anything that is an object.
 */
const KEPT_KEYS: readonly string[] = [
  'status_before',
  'status_after',
  'lane',
  'from_lane',
  'lane_after',
  'reviewer',
  'priority',
  'outcome',
  'kind',
  'parents',
  'parent',
  'met',
  'message_id',
  'state',
  'accepted',
  'imported',
  'run_at',
  'created_at',
  'deadline_at',
  'lease_expires_at',
  'lease_seconds',
  'adopted_by_epoch',
  'delay_seconds',
  'max_failures',
  'max_runtime_seconds',
  'no_progress_seconds',
  'consecutive_failures',
  'failures',
  'recurrences',
  'ended_by_verb',
  'ready_since',
  'waited_seconds',
  'changed',
];

/**
 * Tasks with everything that hangs on them but their events and the links of others to them. Under their locks. That they are known to be
 * stranded is not among it: those rows are changed under the counter row alone (forgetStranded).
 */
export async function eraseTasks(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<void> {
  await tx`
    /* tasks.erase */
    WITH gone AS MATERIALIZED (SELECT ${boardId}::int AS board_id, id FROM unnest(${ids as Uuid[]}::uuid[]) AS id),
    ${erasedParts(tx)}
    DELETE FROM tasks t USING gone WHERE t.board_id = ANY (ARRAY[gone.board_id]) AND t.id = gone.id`;
}

/** That they are stranded was written without their locks, under the counter row: now that we have it, no more of it comes. */
export async function forgetStranded(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<void> {
  await tx`
    /* tasks.forget_stranded */
    DELETE FROM stranded_tasks WHERE board_id = ${boardId} AND task_id = ANY(${ids as Uuid[]}::uuid[])`;
}

/** Where the log ends now: what is written from here on may be seen by nobody yet. */
export async function readLogSeq(tx: Tx, boardId: number): Promise<number> {
  const [row] = await tx<{ seq: number }[]>`
    /* tasks.log_seq */ SELECT seq FROM board_seq WHERE board_id = ${boardId}`;
  return row?.seq ?? 0;
}

/** A message is ours where it is steering, and some platform's where it is delivered. */
const MAY_STAY = (sql: Runner) => sql`
  key = ANY(${KEPT_KEYS as string[]}::text[]) AND jsonb_typeof(value) <> 'object' AND NOT (key = 'message_id' AND e.kind LIKE 'delivery.%')`;

/** Of an event's data `e.data`: has it more than may stay, and what may. */
const HAS_WORDS = (sql: Runner) => sql`EXISTS (SELECT FROM jsonb_each(e.data) WHERE NOT (${MAY_STAY(sql)}))`;
const KEPT_DATA = (sql: Runner) => sql`
  (
    SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(e.data) WHERE ${MAY_STAY(sql)}
  )`;

/** A task, and where in the log its events begin that may still have words in them. */
export interface Scrub {
  readonly id: Uuid;
  readonly afterSeq: number;
}

export async function scrubEvents(tx: Tx, boardId: number, tasks: readonly Scrub[]): Promise<void> {
  await tx`
    /* tasks.scrub_events */
    UPDATE events e SET data = ${KEPT_DATA(tx)}
    FROM (
      SELECT ${boardId}::int AS board_id, id, after_seq
      FROM unnest(${tasks.map(({ id }) => id)}::uuid[], ${tasks.map(({ afterSeq }) => String(afterSeq))}::text[]::bigint[]) AS wanted (id, after_seq)
    ) AS task
    WHERE e.board_id = ANY (ARRAY[task.board_id]) AND e.task_id = task.id AND e.seq > task.after_seq AND e.kind <> 'task.deleted' AND ${HAS_WORDS(tx)}`;
}

/** Those of which more than so many rows of one kind are left. */
export async function listLong(
  sql: Runner,
  boardId: number,
  tasks: readonly Scrub[],
  rowsMax: number,
): Promise<Uuid[]> {
  const rows = await sql<{ id: Uuid }[]>`
    /* tasks.list_long */
    SELECT task.id
    FROM unnest(${tasks.map(({ id }) => id)}::uuid[], ${tasks.map(({ afterSeq }) => String(afterSeq))}::text[]::bigint[]) AS task (id, after_seq)
    WHERE EXISTS (
        SELECT FROM events WHERE board_id = ${boardId} AND task_id = task.id AND seq > task.after_seq ORDER BY seq OFFSET ${rowsMax} LIMIT 1
      )
      OR EXISTS (SELECT FROM comments WHERE board_id = ${boardId} AND task_id = task.id OFFSET ${rowsMax} LIMIT 1)
      OR EXISTS (SELECT FROM messages WHERE board_id = ${boardId} AND task_id = task.id OFFSET ${rowsMax} LIMIT 1)
      OR EXISTS (SELECT FROM runs WHERE board_id = ${boardId} AND task_id = task.id OFFSET ${rowsMax} LIMIT 1)`;
  return rows.map((row) => row.id);
}

/** A portion of a long history: the next events emptied, and some of everything else deleted. Where in the log it ended. Under the task's lock. */
export async function erasePortion(
  tx: Tx,
  boardId: number,
  { id, afterSeq }: Scrub,
  rowsMax: number,
): Promise<number> {
  const [row] = await tx<{ seq: number | null }[]>`
    /* tasks.erase_portion */
    WITH page AS MATERIALIZED (
      SELECT board_id, seq FROM events
      WHERE board_id = ${boardId} AND task_id = ${id} AND seq > ${afterSeq} ORDER BY seq LIMIT ${rowsMax}
    ),
    emptied AS (
      UPDATE events e SET data = ${KEPT_DATA(tx)} FROM page
      WHERE e.board_id = page.board_id AND e.seq = page.seq AND e.kind <> 'task.deleted' AND ${HAS_WORDS(tx)}
    ),
    remarks AS (
      DELETE FROM comments WHERE board_id = ${boardId} AND task_id = ${id} AND id = ANY (
        ARRAY(SELECT id FROM comments WHERE board_id = ${boardId} AND task_id = ${id} ORDER BY id LIMIT ${rowsMax})
      )
    ),
    steering AS (
      DELETE FROM messages WHERE board_id = ${boardId} AND task_id = ${id} AND id = ANY (
        ARRAY(SELECT id FROM messages WHERE board_id = ${boardId} AND task_id = ${id} ORDER BY id LIMIT ${rowsMax})
      )
    ),
    records AS (
      DELETE FROM runs WHERE board_id = ${boardId} AND task_id = ${id} AND attempt = ANY (
        ARRAY(SELECT attempt FROM runs WHERE board_id = ${boardId} AND task_id = ${id} ORDER BY attempt LIMIT ${rowsMax})
      )
    )
    SELECT max(seq) AS seq FROM page`;
  return row?.seq ?? afterSeq;
}
