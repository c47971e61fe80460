/**
 * Pruning finished tasks with all that belongs to them. They are found by going through the tasks in the order of their ids: an index by the time
 * of their end would be paid for by every completion. Locked first and looked at then, in a statement of its own: whoever makes a child, a
 * subscription or a delegation of one has its lock, so what goes on with it has been seen, or finds it gone.
 *
 * Events, deliveries and what sessions were told have times of their own. A decided delegation goes with the last of its tasks.
 */
import { FINISHED_STATUSES, type TaskStatus } from '../../../../contract/statuses.ts';
import type { Runner, Tx } from '../../../db/client.ts';
import { erasedParts } from '../../../db/erased-parts.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import type { WalkTurn } from '../portion.ts';

/** Rows looked at for each that may be pruned, before the portion is over all the same. */
const LOOKED_AT_FACTOR = 2;

export interface FinishedPage {
  /** Finished for long enough, and locked by us. */
  readonly ids: readonly Uuid[];
  readonly seen: number;
  readonly place: Uuid | null;
  readonly isCut: boolean;
}

/**
 * The next tasks on the way, and of those that are due the ones nobody else has locked. No more are looked at than it takes to have enough. One
 * statement, not a list whose ids come back to be locked: 3.6 µs a task against 6.0.
 */
export async function lockFinished(tx: Tx, boardId: number, turn: WalkTurn): Promise<FinishedPage> {
  const isDue = tx`status = ANY (${FINISHED_STATUSES as TaskStatus[]}::text[]) AND status_since < ${turn.horizon}::timestamptz`;
  const lookedAtMax = turn.rowsMax * LOOKED_AT_FACTOR;
  const [row] = await tx<{ ids: Uuid[] | null; seen: number; place: Uuid; is_full: boolean }[]>`
    /* retention.lock_finished */
    WITH page AS MATERIALIZED (
      SELECT id, is_due, row_number() OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS number FROM (
        SELECT id, ${isDue} AS is_due
        FROM tasks WHERE board_id = ${boardId} AND id > ${turn.place} AND id < ${turn.endId} ORDER BY id LIMIT ${lookedAtMax}
      ) AS task
    ),
    due AS MATERIALIZED (SELECT id, number FROM page WHERE is_due LIMIT ${turn.rowsMax}),
    locked AS MATERIALIZED (
      SELECT task.id FROM due
      CROSS JOIN LATERAL (SELECT id FROM tasks WHERE board_id = ${boardId} AND id = due.id AND ${isDue} FOR UPDATE SKIP LOCKED) AS task
    )
    SELECT (SELECT json_agg(id) FROM locked) AS ids, last.number::int AS seen, last.id AS place, whole.is_full
    FROM (SELECT count(*) = ${turn.rowsMax} AS is_full FROM due) AS whole
    CROSS JOIN LATERAL (
      (SELECT id, number FROM due WHERE whole.is_full ORDER BY number DESC LIMIT 1)
      UNION ALL (SELECT id, number FROM page WHERE NOT whole.is_full ORDER BY number DESC LIMIT 1)
    ) AS last`;
  const { ids, seen = 0, place = null, is_full: isFull = false } = row ?? {};
  return { ids: ids ?? [], seen, place, isCut: isFull || seen === lookedAtMax };
}

/** An operation on many tasks goes on: it has named them, and says of each what has become of it. */
export async function hasRunningOperation(sql: Runner, boardId: number): Promise<boolean> {
  const rows = await sql`
    /* retention.has_operation */ SELECT FROM operations WHERE board_id = ${boardId} AND status = 'running' LIMIT 1`;
  return rows.length > 0;
}

/** Of a task `t`: somebody who has not finished is to have its result, or waits for it, or would if he were reopened. */
const IS_AWAITED = (sql: Runner, boardId: number) => sql`
  (t.has_children AND EXISTS (
    SELECT FROM (SELECT child_id, is_met FROM links WHERE board_id = ${boardId} AND parent_id = t.id OFFSET 0) AS link
    CROSS JOIN LATERAL (SELECT status FROM tasks WHERE board_id = ${boardId} AND id = link.child_id OFFSET 0) AS child
    WHERE NOT link.is_met OR child.status <> ALL (${FINISHED_STATUSES as TaskStatus[]}::text[])
  ))`;

/** Of a task `t`: what was told of its end is still to be delivered, or its delegation is not over in every way. */
export const IS_TO_BE_TOLD = (sql: Runner, boardId: number) => sql`
  (t.is_followed AND (
    EXISTS (SELECT FROM deliveries WHERE board_id = ${boardId} AND task_id = t.id AND finished_at IS NULL OFFSET 0)
    OR EXISTS (
      SELECT FROM (SELECT delegation_id FROM delegation_tasks WHERE board_id = ${boardId} AND task_id = t.id OFFSET 0) AS member
      CROSS JOIN LATERAL (
        SELECT id, status, has_leftovers FROM delegations WHERE board_id = ${boardId} AND id = member.delegation_id OFFSET 0
      ) AS whole
      WHERE whole.status = 'running' OR whole.has_leftovers OR EXISTS (
        SELECT FROM deliveries WHERE board_id = ${boardId} AND delegation_id = whole.id AND finished_at IS NULL OFFSET 0
      )
    )
  ))`;

/** It makes a reply, and the sweep of replies has not fetched it. */
const IS_REPLY = (sql: Runner, boardId: number) => sql`
  (t.is_system AND EXISTS (
    SELECT FROM deliveries WHERE board_id = ${boardId} AND synthesis_due_at IS NOT NULL AND synthesis_task_id = t.id OFFSET 0
  ))`;

/** Erased tasks: lists in one order, as Postgres writes them, so a thousand of them cost this process nothing on their way into the log. */
export interface Erased {
  readonly count: number;
  readonly done: number;
  readonly cancelled: number;
  readonly archived: number;
  /** Those that were told of, or in a delegation. */
  readonly followed: readonly Uuid[] | null;
  readonly ids: string;
  readonly lanes: string;
  readonly attempts: string;
  readonly versions: string;
  readonly statuses: string;
}

/** Those that nothing living needs, gone; null: none. What was once met for a child that is finished, too, stays met: that link goes with the child. */
export async function eraseFinished(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<Erased | null> {
  const [row] = await tx<Erased[]>`
    /* retention.erase_finished */
    WITH gone AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, t.id, t.is_followed FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
      CROSS JOIN LATERAL (
        SELECT id, has_children, is_followed, is_system FROM tasks WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0
      ) AS t
      WHERE NOT ${IS_AWAITED(tx, boardId)} AND NOT ${IS_TO_BE_TOLD(tx, boardId)} AND NOT ${IS_REPLY(tx, boardId)}
    ),
    ${erasedParts(tx)},
    unsubscribed AS (
      DELETE FROM subscriptions s USING gone WHERE gone.is_followed AND s.board_id = ANY (ARRAY[gone.board_id]) AND s.subject_id = gone.id
    ),
    erased AS (
      DELETE FROM tasks t USING gone WHERE t.board_id = ANY (ARRAY[gone.board_id]) AND t.id = gone.id
      RETURNING t.id, t.lane, t.attempt, t.version, t.status, t.is_followed
    )
    SELECT count(*)::int AS count, count(*) FILTER (WHERE status = 'done')::int AS done,
      count(*) FILTER (WHERE status = 'cancelled')::int AS cancelled, count(*) FILTER (WHERE status = 'archived')::int AS archived,
      json_agg(id) FILTER (WHERE is_followed) AS followed, array_agg(id)::text AS ids, array_agg(lane)::text AS lanes,
      array_agg(attempt)::text AS attempts, array_agg(version)::text AS versions, array_agg(status)::text AS statuses
    FROM erased`;
  return row === undefined || row.count === 0 ? null : row;
}

/**
 * An event for each, as of every deleted task: whoever folds the log has the tasks that there are, and the counts. As the last step, under the
 * counter row; false: the board is gone. Without an outbox: who was subscribed to these tasks went with them.
 */
export async function logErased(tx: Tx, boardId: number, erased: Erased, actor: ActorRef): Promise<boolean> {
  const { count } = await tx`
    /* retention.log_erased */
    WITH bumped AS (
      UPDATE board_seq SET seq = seq + ${erased.count}, done = done - ${erased.done}, cancelled = cancelled - ${erased.cancelled},
        archived = archived - ${erased.archived}
      WHERE board_id = ${boardId}
      RETURNING seq, clock_timestamp() AS at
    )
    INSERT INTO events (board_id, seq, kind, at, task_id, lane, attempt, task_version, actor_type, actor_id, data)
    SELECT ${boardId}, bumped.seq - ${erased.count} + task.ordinality, 'task.deleted', bumped.at, task.id, task.lane, task.attempt,
      task.version + 1, ${actor.type}, ${actor.id}, jsonb_build_object('status_before', task.status, 'pruned', true)
    FROM bumped, unnest(
      ${erased.ids}::text::uuid[], ${erased.lanes}::text::text[], ${erased.attempts}::text::int[], ${erased.versions}::text::int[],
      ${erased.statuses}::text::text[]
    ) WITH ORDINALITY AS task (id, lane, attempt, version, status, ordinality)`;
  return count > 0;
}

/** Of these delegations, which are locked, those that have no task left. They were decided, or their tasks would be there. */
export async function eraseEmptyDelegations(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<void> {
  await tx`
    /* retention.erase_delegations */
    WITH bare AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, whole.id FROM unnest(${ids as Uuid[]}::uuid[]) AS whole (id) WHERE NOT EXISTS (
        SELECT FROM (SELECT task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = whole.id OFFSET 0) AS member
        CROSS JOIN LATERAL (SELECT FROM tasks WHERE board_id = ${boardId} AND id = member.task_id OFFSET 0) AS task
      )
    ),
    members AS (
      DELETE FROM delegation_tasks m USING bare WHERE m.board_id = ANY (ARRAY[bare.board_id]) AND m.delegation_id = bare.id
    ),
    unsubscribed AS (
      DELETE FROM subscriptions s USING bare WHERE s.board_id = ANY (ARRAY[bare.board_id]) AND s.subject_id = bare.id
    )
    DELETE FROM delegations d USING bare WHERE d.board_id = ANY (ARRAY[bare.board_id]) AND d.id = bare.id`;
}

/** When the first task was made that is left at or behind a place; null: there is none. */
export async function findOldestAfter(sql: Runner, boardId: number, fromId: Uuid): Promise<string | null> {
  const [row] = await sql<{ created_at: string }[]>`
    /* retention.find_oldest */
    SELECT created_at FROM tasks WHERE board_id = ${boardId} AND id >= ${fromId} ORDER BY id LIMIT 1`;
  return row?.created_at ?? null;
}
