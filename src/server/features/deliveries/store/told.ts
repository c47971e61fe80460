/** What a delivery tells of, read when it is first given out. */
import type { DelegationResult } from '../../../../contract/delegations.ts';
import type { EventKind } from '../../../../contract/statuses.ts';
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface ToldTaskRow {
  readonly delivery_id: Uuid;
  readonly title: string | null;
  readonly lane: string | null;
  readonly summary: string | null;
  readonly result: unknown;
  readonly error: string | null;
  readonly reviewer: string | null;
  /** What it is blocked for; only of those whose event has been pruned, which says what it was then. */
  readonly blocked_kind: string | null;
  readonly blocked_reason: string | null;
}

/** Of a document, as it stands in a text. */
const RESULT_BYTES_MAX = 16 * 1024;
const BLOCKED_KINDS: readonly EventKind[] = ['task.blocked', 'task.gave_up'];

/**
 * Each task with the run that its event is about. Where retention has pruned the event, which it does after some days although nobody has fetched the
 * delivery, it is told of the latest run that ended in that way, and of what the task is blocked for now.
 */
export async function findToldTasks(
  sql: Runner,
  boardId: number,
  deliveryIds: readonly Uuid[],
): Promise<Map<Uuid, ToldTaskRow>> {
  const rows = await sql<ToldTaskRow[]>`
    /* deliveries.find_told_tasks */
    SELECT d.id AS delivery_id, detail.title, t.lane, left(r.summary, 16000) AS summary,
      CASE WHEN octet_length(r.result::text) <= ${RESULT_BYTES_MAX} THEN r.result END AS result, r.error, t.reviewer,
      CASE WHEN e.seq IS NULL AND d.kind = ANY (${BLOCKED_KINDS as string[]}::text[]) THEN t.blocked_kind END AS blocked_kind,
      CASE WHEN e.seq IS NULL AND d.kind = ANY (${BLOCKED_KINDS as string[]}::text[]) THEN t.blocked_reason END AS blocked_reason
    FROM unnest(${deliveryIds as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT id, seq, kind, task_id FROM deliveries WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS d
    LEFT JOIN LATERAL (SELECT seq, attempt FROM events WHERE board_id = ${boardId} AND seq = d.seq OFFSET 0) AS e ON true
    LEFT JOIN LATERAL (SELECT title FROM task_details WHERE board_id = ${boardId} AND task_id = d.task_id OFFSET 0) AS detail ON true
    LEFT JOIN LATERAL (SELECT lane, reviewer, blocked_kind, blocked_reason FROM tasks WHERE board_id = ${boardId} AND id = d.task_id OFFSET 0) AS t ON true
    LEFT JOIN LATERAL (
      SELECT summary, result, error FROM runs
      WHERE board_id = ${boardId} AND task_id = d.task_id AND attempt = CASE WHEN e.seq IS NOT NULL THEN e.attempt ELSE (
        SELECT ended.attempt FROM runs ended WHERE ended.board_id = ${boardId} AND ended.task_id = d.task_id AND ended.ended_at IS NOT NULL
        ORDER BY ended.outcome = CASE d.kind WHEN 'task.blocked' THEN 'blocked' WHEN 'task.cancelled' THEN 'cancelled' ELSE 'completed' END DESC,
          ended.attempt DESC
        LIMIT 1
      ) END OFFSET 0
    ) AS r ON true`;
  return new Map(rows.map((row) => [row.delivery_id, row]));
}

export interface ToldDelegationRow {
  readonly id: Uuid;
  readonly status: string;
  readonly reason: string | null;
  readonly goal: string | null;
  readonly context: string | null;
  readonly results: DelegationResult[] | null;
}

export async function findToldDelegations(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, ToldDelegationRow>> {
  const rows = await sql<ToldDelegationRow[]>`
    /* deliveries.find_told_delegations */
    SELECT d.* FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT id, status, reason, goal, context, results FROM delegations WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0
    ) AS d`;
  return new Map(rows.map((row) => [row.id, row]));
}
