/** What a task's reasons are read from. Set-based: some hundred tasks cost as many statements as one. */
import type { BlockKind, TaskStatus } from '../../../../contract/statuses.ts';
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface WaitingTask {
  readonly id: Uuid;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly reviewer: string | null;
  /** Its work was handed over, and nobody has decided on it: wherever it stands, it goes back to review. */
  readonly is_under_review: boolean;
  readonly implementer_lane: string | null;
  readonly implementer_worker: string | null;
  readonly unmet_parents: number;
  readonly run_at: string | null;
  readonly blocked_kind: BlockKind | null;
  readonly blocked_reason: string | null;
  readonly status_since: string;
  /** It is scheduled because its last attempt failed, not because somebody wanted it later. */
  readonly is_cooling_down: boolean;
}

/**
 * Both times are of the end's transaction, which takes far less than this; whoever schedules a task by hand after its last attempt failed
 * does so later.
 */
const SAME_END_SECONDS = 1;

/** One look-up for each, fenced by OFFSET 0: joined plainly, a plan made while the tables were empty reads all of the board. */
export async function readWaitingTasks(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<WaitingTask[]> {
  return sql<WaitingTask[]>`
    /* why.tasks */
    SELECT task.*, coalesce(failed.ended_at > task.status_since - make_interval(secs => ${SAME_END_SECONDS}), false) AS is_cooling_down
    FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT id, status, lane, reviewer, result_attempt IS NOT NULL AS is_under_review, implementer_lane, implementer_worker, unmet_parents,
        run_at, blocked_kind, blocked_reason, status_since, attempt
      FROM tasks WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0
    ) AS task
    LEFT JOIN LATERAL (
      SELECT ended_at FROM runs
      WHERE task.status = 'scheduled' AND board_id = ${boardId} AND task_id = wanted.id AND attempt = task.attempt
        AND outcome IN ('failed', 'crashed', 'timed_out') OFFSET 0
    ) AS failed ON true`;
}

export interface UnmetParent {
  readonly child_id: Uuid;
  readonly parent_id: Uuid;
  /** Null: it has been deleted. */
  readonly status: TaskStatus | null;
  readonly status_since: string | null;
}

/** What each of these tasks still waits for, the oldest first. */
export async function listUnmetParents(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
  perTaskMax: number,
): Promise<UnmetParent[]> {
  return sql<UnmetParent[]>`
    /* why.parents */
    SELECT wanted.id AS child_id, link.parent_id, parent.status, parent.status_since
    FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT parent_id FROM links WHERE board_id = ${boardId} AND child_id = wanted.id AND NOT is_met ORDER BY parent_id LIMIT ${perTaskMax}
    ) AS link
    LEFT JOIN LATERAL (
      SELECT status, status_since FROM tasks WHERE board_id = ${boardId} AND id = link.parent_id OFFSET 0
    ) AS parent ON true
    ORDER BY wanted.id, link.parent_id`;
}

/**
 * How many ready tasks of its lane come before each of these. Reads the head of each lane once, in the order of claims and from the index of
 * claims alone, however many of its tasks are asked for; who is not found there is further behind.
 */
export async function readPlaces(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
  ids: readonly Uuid[],
  perLaneMax: number,
): Promise<Map<Uuid, number>> {
  const rows = await sql<{ id: Uuid; ahead: number }[]>`
    /* why.places */
    SELECT place.id, place.ahead FROM unnest(${lanes as string[]}::text[]) AS lane (name)
    CROSS JOIN LATERAL (
      SELECT head.id, (row_number() OVER () - 1)::int AS ahead FROM (
        SELECT id FROM tasks WHERE board_id = ${boardId} AND lane = lane.name AND status = 'ready'
        ORDER BY priority DESC, id LIMIT ${perLaneMax}
      ) AS head
    ) AS place
    WHERE (place.id IN (SELECT id FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id))) IS TRUE`;
  return new Map(rows.map((row) => [row.id, row.ahead]));
}

export async function readBoardState(
  sql: Runner,
  boardId: number,
): Promise<{ readonly settings: Record<string, unknown>; readonly updated_at: string } | null> {
  const [row] = await sql<{ settings: Record<string, unknown>; updated_at: string }[]>`
    /* why.board */ SELECT settings, updated_at FROM boards WHERE id = ${boardId}`;
  return row ?? null;
}
