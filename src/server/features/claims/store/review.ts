/** Work that waits for review, as claims look for it. */
import type { Runner, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/** Of these lanes, those that have work to review. */
export async function listReviewedLanes(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<string[]> {
  const rows = await sql<{ lane: string }[]>`
    /* claims.list_reviewed_lanes */
    SELECT wanted.lane FROM unnest(${lanes as string[]}::text[]) AS wanted (lane)
    CROSS JOIN LATERAL (
      SELECT FROM tasks WHERE board_id = ${boardId} AND reviewer = wanted.lane AND status = 'review' LIMIT 1
    ) AS waiting`;
  return rows.map((row) => row.lane);
}

/** How much of a lane's. */
export interface ReviewWant {
  readonly lane: string;
  /** Whose own work is left out; null: nobody's is. */
  readonly worker: string | null;
  readonly count: number;
}

export interface ReviewRow {
  readonly id: Uuid;
  readonly unmet_parents: number;
  readonly lane: string;
  readonly implementer_lane: string | null;
  readonly implementer_worker: string | null;
}

interface ReviewFilter {
  /** This task and no other, which is waited for; else what somebody has locked is passed over. */
  readonly namedTaskId: Uuid | null;
  /** Locked by this transaction already. */
  readonly exceptIds: readonly Uuid[];
}

/**
 * Reviews that are looked at beyond those that are wanted: some milliseconds. A lane whose only worker has handed over more than that to its
 * own lane would else read through all of it for every claim, and the board's next claims wait meanwhile. The price: what another has done
 * stands behind so many of its own, with no higher priority, until somebody else comes for them; named, it is found all the same.
 */
const PASSED_OVER_MAX = 1000;

/**
 * Locks reviews of these lanes in the order in which they are claimed. A worker is one of a lane: the same name on another lane is another.
 * The head of the lane is read without locks, or a worker's own work would be hidden from the others; each task is then locked where it was
 * found (ctid), and held against all conditions there: one that was changed in between has to meet them still.
 * What is looked up is compared with want.status, so that it cannot be planned on the index of all reviews.
 */
export async function lockReviews(
  tx: Tx,
  boardId: number,
  wants: readonly ReviewWant[],
  { namedTaskId, exceptIds }: ReviewFilter,
): Promise<ReviewRow[]> {
  const isOpen = tx`t.reviewer = want.lane AND (want.worker IS NULL OR NOT (
          t.implementer_lane IS NOT DISTINCT FROM want.lane AND t.implementer_worker IS NOT DISTINCT FROM want.worker))`;
  const columns = tx`t.id, t.unmet_parents, t.implementer_lane, t.implementer_worker`;
  const reviews =
    namedTaskId === null
      ? tx`SELECT ${columns} FROM (
            SELECT ctid, id, priority FROM tasks
            WHERE board_id = ${boardId} AND status = 'review' AND reviewer = want.lane AND id <> ALL (${exceptIds as Uuid[]}::uuid[])
            ORDER BY priority DESC, id LIMIT want.count + ${PASSED_OVER_MAX}::int
          ) AS head
          JOIN tasks t ON t.ctid = head.ctid
          WHERE t.board_id + 0 = ${boardId} AND t.status = want.status AND ${isOpen}
          ORDER BY head.priority DESC, head.id LIMIT want.count FOR NO KEY UPDATE OF t SKIP LOCKED`
      : tx`SELECT ${columns} FROM tasks t
          WHERE t.board_id = ${boardId} AND t.id = ${namedTaskId} AND t.status = want.status AND ${isOpen} FOR NO KEY UPDATE`;
  return tx<ReviewRow[]>`
    /* claims.lock_reviews */
    SELECT want.lane, review.* FROM (
      SELECT *, 'review' AS status FROM unnest(
        ${wants.map((want) => want.lane)}::text[], ${wants.map((want) => want.worker)}::text[], ${wants.map((want) => want.count)}::int[]
      ) AS want (lane, worker, count) OFFSET 0
    ) AS want
    CROSS JOIN LATERAL (${reviews}) AS review`;
}
