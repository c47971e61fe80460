/**
 * Erases tasks. Their events stay where they are, because the log is dense and others have read it, but keep no more than what folding
 * needs: the one place where rows of the log are changed.
 */
import type { Tx } from '../../../db/client.ts';
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

/** The task with everything that hangs on it but its events and the links of others to it. Under its lock. */
export async function eraseTask(tx: Tx, boardId: number, id: Uuid): Promise<void> {
  await tx`
    /* tasks.erase */
    WITH details AS (DELETE FROM task_details WHERE board_id = ${boardId} AND task_id = ${id}),
    records AS (DELETE FROM runs WHERE board_id = ${boardId} AND task_id = ${id}),
    remarks AS (DELETE FROM comments WHERE board_id = ${boardId} AND task_id = ${id}),
    steering AS (DELETE FROM messages WHERE board_id = ${boardId} AND task_id = ${id}),
    heads AS (DELETE FROM outputs WHERE board_id = ${boardId} AND task_id = ${id}),
    printed AS (DELETE FROM output_lines WHERE board_id = ${boardId} AND task_id = ${id}),
    upward AS (DELETE FROM links WHERE board_id = ${boardId} AND child_id = ${id}),
    waits AS (DELETE FROM stranded_tasks WHERE board_id = ${boardId} AND task_id = ${id})
    DELETE FROM tasks WHERE board_id = ${boardId} AND id = ${id}`;
}

/** Where the log ends now: what is written from here on may be seen by nobody yet. */
export async function readLogSeq(tx: Tx, boardId: number): Promise<number> {
  const [row] = await tx<{ seq: number }[]>`
    /* tasks.log_seq */ SELECT seq FROM board_seq WHERE board_id = ${boardId}`;
  return row?.seq ?? 0;
}

/** @param afterSeq Only what stands behind it in the log. */
export async function scrubEvents(
  tx: Tx,
  boardId: number,
  ids: readonly Uuid[],
  afterSeq = 0,
): Promise<void> {
  await tx`
    /* tasks.scrub_events */
    UPDATE events e SET data = (
      SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(e.data)
      WHERE key = ANY(${KEPT_KEYS as string[]}::text[]) AND jsonb_typeof(value) <> 'object'
    )
    WHERE e.board_id = ${boardId} AND e.task_id = ANY(${ids as Uuid[]}::uuid[]) AND e.seq > ${afterSeq} AND e.kind <> 'task.deleted'
      AND EXISTS (
        SELECT FROM jsonb_each(e.data) WHERE key <> ALL(${KEPT_KEYS as string[]}::text[]) OR jsonb_typeof(value) = 'object'
      )`;
}
