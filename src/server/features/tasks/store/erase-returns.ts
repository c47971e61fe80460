/**
 * Erases what tasks said on its way back to whoever asked: what of it stands in the results of their delegations, in the log of those, in
 * deliveries, in the mirrors of sessions, and in the tasks that made replies of it. A delegation stays decided as it was, and the other
 * children keep their words; of one whose last child is deleted nothing that anybody wrote is left.
 */
import type { Runner, Tx } from '../../../db/client.ts';
import { lockDelegationsOf } from '../../../db/erased-parts.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import { scrubEvents } from './delete.ts';

/** What stays of an entry of `results`: which task it was, its place, its lane and its times. */
const ERASED_RESULT = JSON.stringify({
  title: '',
  goal: null,
  context: null,
  toolsets: null,
  model: null,
  status: 'cancelled',
  outcome: 'deleted',
  summary: null,
  result: null,
  metadata: {},
  error: null,
  output_preview: null,
  truncated: [],
});

/** Of the events of a delegation that nothing is left of: ids, numbers and words of closed vocabularies. */
const KEPT_KEYS: readonly string[] = [
  'status',
  'tasks',
  'join',
  'depth',
  'deadline_seconds',
  'delivery_id',
  'subscription_id',
  'mode',
  'attempt',
  'failures',
  'results',
];

/** Before their deliveries, as whoever changes or ends one, or has something of it sent again. */
async function lockSubscriptionsOf(tx: Tx, boardId: number, subjectIds: readonly Uuid[]): Promise<void> {
  await tx`
    /* returns.lock_subscriptions */
    SELECT FROM (
      SELECT s.id FROM unnest(${subjectIds as Uuid[]}::uuid[]) AS wanted (id)
      CROSS JOIN LATERAL (SELECT id FROM subscriptions WHERE board_id = ${boardId} AND subject_id = wanted.id OFFSET 0) AS s
      ORDER BY 1
    ) AS wanted
    CROSS JOIN LATERAL (SELECT FROM subscriptions WHERE board_id = ${boardId} AND id = wanted.id FOR UPDATE) AS s`;
}

/**
 * In a statement of its own, before any that writes: whoever acks one of them meanwhile, or gives it out, or begins a reply, has committed by
 * then, and what it has written of them (a message of a session, a text) is seen by the statements behind.
 */
async function lockDeliveriesOf(
  tx: Tx,
  boardId: number,
  taskIds: readonly Uuid[],
  delegationIds: readonly Uuid[],
): Promise<void> {
  await tx`
    /* returns.lock_deliveries */
    SELECT FROM (
      SELECT told.id FROM unnest(${taskIds as Uuid[]}::uuid[]) AS wanted (id)
      CROSS JOIN LATERAL (SELECT id FROM deliveries WHERE board_id = ${boardId} AND task_id = wanted.id OFFSET 0) AS told
      UNION
      SELECT told.id FROM unnest(${delegationIds as Uuid[]}::uuid[]) AS wanted (id)
      CROSS JOIN LATERAL (SELECT id FROM deliveries WHERE board_id = ${boardId} AND delegation_id = wanted.id OFFSET 0) AS told
      ORDER BY 1
    ) AS wanted
    CROSS JOIN LATERAL (SELECT FROM deliveries WHERE board_id = ${boardId} AND id = wanted.id FOR UPDATE) AS d`;
}

/**
 * A reply of what is erased is being made, and whoever makes it may yet write, whether or not anybody waits for it. It must not go out. The
 * sweep of replies stops whoever makes it, erases what has come of it until then, and drops what has no subscription any more.
 */
const IS_BEING_MADE = (sql: Runner) =>
  sql`(d.synthesis_task_id IS NOT NULL AND d.synthesis_due_at IS NOT NULL)`;

/** Of a delivery `d`: the sweep is to look after its reply at once, if one is being made. */
const REPLY_IS_DUE = (sql: Runner) => sql`
  synthesis_due_at = CASE WHEN ${IS_BEING_MADE(sql)} THEN clock_timestamp() ELSE d.synthesis_due_at END`;

/** Of a delivery `d`: nothing is left of it, and what has not been told is told to nobody. */
const EMPTY = (sql: Runner) => sql`
  text = NULL, last_error = NULL, message_id = NULL, session_id = NULL, session_key = '',
  status = CASE WHEN d.finished_at IS NULL THEN 'acked' ELSE d.status END, mode = CASE WHEN d.finished_at IS NULL THEN 'silent' ELSE d.mode END,
  lease_id = CASE WHEN d.finished_at IS NULL THEN NULL ELSE d.lease_id END, finished_at = coalesce(d.finished_at, clock_timestamp()),
  ${REPLY_IS_DUE(sql)}`;

/** Under the locks of the tasks, when their rows are gone. @returns Tasks that made replies of what is erased: their events are the caller's. */
export async function eraseReturns(tx: Tx, boardId: number, taskIds: readonly Uuid[]): Promise<Uuid[]> {
  const delegationIds = await lockDelegationsOf(tx, boardId, taskIds);
  await lockSubscriptionsOf(tx, boardId, [...taskIds, ...delegationIds]);
  await lockDeliveriesOf(tx, boardId, taskIds, delegationIds);
  const told = await eraseTold(tx, boardId, taskIds);
  if (delegationIds.length > 0) {
    told.push(...(await eraseFromDelegations(tx, boardId, delegationIds, taskIds)));
    await eraseChildless(tx, boardId, delegationIds);
  }
  if (told.length > 0) await eraseReplies(tx, boardId, told);
  return told;
}

/** What was not delivered yet is not delivered any more. */
async function eraseTold(tx: Tx, boardId: number, taskIds: readonly Uuid[]): Promise<Uuid[]> {
  const rows = await tx<{ id: Uuid }[]>`
    /* returns.erase_told */
    WITH gone AS MATERIALIZED (SELECT ${boardId}::int AS board_id, id FROM unnest(${taskIds as Uuid[]}::uuid[]) AS id),
    unsubscribed AS (DELETE FROM subscriptions s USING gone WHERE s.board_id = ANY (ARRAY[gone.board_id]) AND s.subject_id = gone.id),
    mirrored AS (DELETE FROM session_messages m USING gone WHERE m.board_id = ANY (ARRAY[gone.board_id]) AND m.task_id = gone.id),
    handed AS (
      UPDATE delegation_tasks c SET goal = NULL, context = NULL, toolsets = NULL, model = NULL
      FROM gone WHERE c.board_id = ANY (ARRAY[gone.board_id]) AND c.task_id = gone.id
    ),
    dropped AS (
      DELETE FROM deliveries d USING gone
      WHERE d.board_id = ANY (ARRAY[gone.board_id]) AND d.task_id = gone.id AND d.status NOT IN ('acked', 'dead') AND NOT ${IS_BEING_MADE(tx)}
      RETURNING d.synthesis_task_id
    ),
    emptied AS (
      UPDATE deliveries d SET ${EMPTY(tx)}
      FROM gone
      WHERE d.board_id = ANY (ARRAY[gone.board_id]) AND d.task_id = gone.id AND (d.status IN ('acked', 'dead') OR ${IS_BEING_MADE(tx)})
      RETURNING d.synthesis_task_id
    )
    SELECT synthesis_task_id AS id FROM dropped WHERE synthesis_task_id IS NOT NULL
    UNION ALL SELECT synthesis_task_id FROM emptied WHERE synthesis_task_id IS NOT NULL`;
  return rows.map((row) => row.id);
}

/** @param wireIds Null: of every task. */
const ERASED_FROM = (sql: Runner, results: 'results' | 'data', wireIds: readonly string[] | null) => {
  const isErased =
    wireIds === null ? sql`true` : sql`entry ->> 'task_id' = ANY (${wireIds as string[]}::text[])`;
  return sql`
  (
    SELECT coalesce(jsonb_agg(CASE WHEN ${isErased} THEN entry || ${ERASED_RESULT}::text::jsonb ELSE entry END ORDER BY place), '[]')
    FROM jsonb_array_elements(${results === 'results' ? sql`d.results` : sql`e.data -> 'results'`}) WITH ORDINALITY AS one (entry, place)
  )`;
};

/** What was told of the whole of it is told anew from what is left, unless it has been told: then it is empty. */
async function eraseFromDelegations(
  tx: Tx,
  boardId: number,
  ids: readonly Uuid[],
  taskIds: readonly Uuid[],
): Promise<Uuid[]> {
  const wireIds = taskIds.map((id) => formatId('task', id));
  const isAwaited = tx`(d.status = 'synthesizing' AND ${IS_BEING_MADE(tx)})`;
  const rows = await tx<{ id: Uuid }[]>`
    /* returns.erase_results */
    WITH whole AS MATERIALIZED (SELECT ${boardId}::int AS board_id, id FROM unnest(${ids as Uuid[]}::uuid[]) AS id),
    decided AS (
      UPDATE delegations d SET results = ${ERASED_FROM(tx, 'results', wireIds)}
      FROM whole WHERE d.board_id = ANY (ARRAY[whole.board_id]) AND d.id = whole.id AND d.results IS NOT NULL
    ),
    logged AS (
      UPDATE events e SET data = jsonb_set(e.data, '{results}', ${ERASED_FROM(tx, 'data', wireIds)})
      FROM whole WHERE e.board_id = ANY (ARRAY[whole.board_id]) AND e.delegation_id = whole.id AND e.kind = 'delegation.completed'
    ),
    mirrored AS (
      UPDATE session_messages m SET text = '' FROM whole WHERE m.board_id = ANY (ARRAY[whole.board_id]) AND m.delegation_id = whole.id
    ),
    emptied AS (
      UPDATE deliveries d SET text = NULL, last_error = NULL, ${REPLY_IS_DUE(tx)},
        status = CASE WHEN ${isAwaited} THEN 'pending' ELSE d.status END, mode = CASE WHEN ${isAwaited} THEN 'direct' ELSE d.mode END,
        is_fallback = d.is_fallback OR ${isAwaited}, due_at = CASE WHEN ${isAwaited} THEN clock_timestamp() ELSE d.due_at END
      FROM whole
      WHERE d.board_id = ANY (ARRAY[whole.board_id]) AND d.delegation_id = whole.id
      RETURNING d.synthesis_task_id
    )
    SELECT synthesis_task_id AS id FROM emptied WHERE synthesis_task_id IS NOT NULL`;
  return rows.map((row) => row.id);
}

/**
 * Those of them that have no child left. One that runs is decided by that, and whoever asked is told so; of one that was decided nobody is
 * told any more. Children that were pruned before have left their words in it, and nobody else erases them.
 */
async function eraseChildless(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<void> {
  await tx`
    /* returns.erase_childless */
    WITH childless AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, whole.id, whole.status = 'running' AS is_running
      FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
      CROSS JOIN LATERAL (SELECT id, status FROM delegations WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS whole
      WHERE NOT EXISTS (
        SELECT FROM (SELECT task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = whole.id OFFSET 0) AS member
        CROSS JOIN LATERAL (SELECT FROM tasks WHERE board_id = ${boardId} AND id = member.task_id OFFSET 0) AS t
      )
    ),
    unsubscribed AS (
      DELETE FROM subscriptions s USING childless
      WHERE s.board_id = ANY (ARRAY[childless.board_id]) AND s.subject_id = childless.id AND NOT childless.is_running
    ),
    muted AS (
      UPDATE subscriptions s SET origin = s.origin - 'context' FROM childless
      WHERE s.board_id = ANY (ARRAY[childless.board_id]) AND s.subject_id = childless.id AND childless.is_running
    ),
    dropped AS (
      DELETE FROM deliveries d USING childless
      WHERE d.board_id = ANY (ARRAY[childless.board_id]) AND d.delegation_id = childless.id AND d.status NOT IN ('acked', 'dead')
        AND NOT ${IS_BEING_MADE(tx)}
    ),
    mirrored AS (
      DELETE FROM session_messages m USING childless WHERE m.board_id = ANY (ARRAY[childless.board_id]) AND m.delegation_id = childless.id
    ),
    emptied AS (
      UPDATE deliveries d SET ${EMPTY(tx)} FROM childless
      WHERE d.board_id = ANY (ARRAY[childless.board_id]) AND d.delegation_id = childless.id AND (d.status IN ('acked', 'dead') OR ${IS_BEING_MADE(tx)})
    ),
    handed AS (
      UPDATE delegation_tasks c SET goal = NULL, context = NULL, toolsets = NULL, model = NULL
      FROM childless WHERE c.board_id = ANY (ARRAY[childless.board_id]) AND c.delegation_id = childless.id
    ),
    bare AS (
      UPDATE delegations d SET goal = NULL, context = NULL, reason = NULL, origin = NULL, session_id = NULL, capacity_key = NULL,
        results = CASE WHEN d.results IS NOT NULL THEN ${ERASED_FROM(tx, 'results', null)} END
      FROM childless WHERE d.board_id = ANY (ARRAY[childless.board_id]) AND d.id = childless.id
    )
    UPDATE events e SET data = (
      SELECT coalesce(jsonb_object_agg(key, CASE WHEN key = 'results' THEN ${ERASED_FROM(tx, 'data', null)} ELSE value END), '{}')
      FROM jsonb_each(e.data) WHERE key = ANY (${KEPT_KEYS as string[]}::text[])
    )
    FROM childless WHERE e.board_id = ANY (ARRAY[childless.board_id]) AND e.delegation_id = childless.id`;
}

/** Of one that nobody waited for any more, when it has ended: what it was made of and what has come of it. */
export async function eraseReply(tx: Tx, boardId: number, taskId: Uuid): Promise<void> {
  await eraseReplies(tx, boardId, [taskId]);
  await scrubEvents(tx, boardId, [{ id: taskId, afterSeq: 0 }]);
}

async function eraseReplies(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<void> {
  await tx`
    /* returns.erase_replies */
    WITH made AS MATERIALIZED (SELECT ${boardId}::int AS board_id, id FROM unnest(${ids as Uuid[]}::uuid[]) AS id),
    details AS (
      UPDATE task_details d SET body = NULL, payload = NULL FROM made WHERE d.board_id = ANY (ARRAY[made.board_id]) AND d.task_id = made.id
    ),
    printed AS (DELETE FROM output_lines p USING made WHERE p.board_id = ANY (ARRAY[made.board_id]) AND p.task_id = made.id)
    UPDATE runs r SET summary = NULL, result = NULL, metadata = NULL, error = NULL, checkpoint = NULL, evidence = NULL
    FROM made WHERE r.board_id = ANY (ARRAY[made.board_id]) AND r.task_id = made.id`;
}
