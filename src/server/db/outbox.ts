/**
 * The outbox: beside every event, in its statement, one delivery for each subscription that it is for. Nothing can come between the two.
 *
 * The statement sees the subscriptions of its snapshot. So a subscription is made under the lock of its subject (the task's row, written
 * anew, or the delegation's), and what moves a followed subject has locked it in an earlier statement: either it sees the subscription, or
 * the subscription is behind the event and not told of it.
 *
 * What moves nothing, as a heartbeat, locks no subject: it locks the counter row instead, in an earlier statement too (log.lock_counter). Whoever
 * changes or ends a subscription looks at its deliveries once more when the counter row is his, for those that were told as it stood before.
 *
 * One look at an index per event. The alternative, a process that follows the log and fills the outbox behind it, costs the boards that
 * have a subscription a read of each event, and every delivery a round more.
 */
import type { EventKind } from '../../contract/statuses.ts';
import type { Runner } from './client.ts';

/** What tells an outcome; a subscription may name others. */
export const OUTCOME_KINDS: readonly EventKind[] = [
  'task.completed',
  'task.review_requested',
  'task.blocked',
  'task.gave_up',
  'task.cancelled',
  'delegation.completed',
];

/** From the event on; pinned by the domain. */
const SYNTHESIS_SECONDS = 45;

/** Of a subscription `s`: the origin's session, or else the target itself. One at a time is given out of each. */
export const sessionKeyOf = (sql: Runner) => sql`
  coalesce('s' || nullif(s.origin ->> 'session_id', ''), concat_ws(E'\\x1f', 't', s.platform, s.chat_id, s.thread_id))`;

/** Of a subscription `s`: what shares room with others; null: the server does not deliver it. Never empty: it is stepped to from there. */
export const webhookHostOf = (sql: Runner) => sql`
  CASE WHEN s.webhook_url IS NOT NULL
    THEN coalesce(nullif(lower(substring(s.webhook_url FROM '^[^:]+:/*(?:[^/?#@]*@)?([^/?#]*)')), ''), '?') END`;

/** For a WITH that has `written`: seq, kind, at, task_id and delegation_id of the events that the statement inserts. */
export const outboxOf = (sql: Runner, boardId: number) => sql`
  outbox AS (
    INSERT INTO deliveries (board_id, id, subscription_id, seq, kind, task_id, delegation_id, mode, wake, status, owner, platform,
      session_key, session_id, is_webhook, webhook_host, due_at, is_fallback, synthesis_due_at, created_at, finished_at)
    SELECT ${boardId}, made.id, s.id, written.seq, written.kind, written.task_id, written.delegation_id, s.mode, s.wake,
      CASE WHEN s.mode = 'silent' THEN 'acked' WHEN s.mode = 'synthesize' AND board.has_synthesizer THEN 'synthesizing' ELSE 'pending' END,
      coalesce(s.owner, board.default_owner), s.platform,
      ${sessionKeyOf(sql)},
      nullif(s.origin ->> 'session_id', ''), s.webhook_url IS NOT NULL, ${webhookHostOf(sql)}, written.at, s.mode = 'synthesize' AND NOT board.has_synthesizer,
      CASE WHEN s.mode = 'synthesize' AND board.has_synthesizer THEN written.at + make_interval(secs => ${SYNTHESIS_SECONDS}) END,
      written.at, CASE WHEN s.mode = 'silent' THEN written.at END
    FROM written
    CROSS JOIN LATERAL (
      SELECT * FROM subscriptions
      WHERE board_id = ${boardId} AND subject_id = CASE WHEN written.kind LIKE 'delegation.%' THEN written.delegation_id ELSE written.task_id END
      OFFSET 0
    ) AS s
    CROSS JOIN LATERAL (
      SELECT b.settings ->> 'default_owner' AS default_owner,
        EXISTS (SELECT FROM lanes l WHERE l.board_id = ${boardId} AND l.name = b.settings ->> 'synthesizer_lane') AS has_synthesizer
      FROM boards b WHERE b.id = ${boardId} OFFSET 0
    ) AS board
    CROSS JOIN LATERAL (
      -- A UUIDv7 whose last 32 bits are the board's number, as all ids that find their board by themselves. Drawn for each row, because it
      -- looks at it: without, once for the statement.
      SELECT (lpad(to_hex(floor(extract(epoch FROM written.at) * 1000)::bigint), 12, '0') || '7' || substr(random, 1, 3) || '8'
        || substr(random, 4, 7) || lpad(to_hex(${boardId}::int), 8, '0'))::uuid AS id
      FROM (SELECT encode(uuid_send(gen_random_uuid()), 'hex') AS random WHERE s.id IS NOT NULL AND written.seq IS NOT NULL OFFSET 0) AS drawn
    ) AS made
    WHERE written.kind = ANY (coalesce(s.kinds, ${[...OUTCOME_KINDS]}::text[]))
      AND NOT (written.kind LIKE 'subscription.%' OR written.kind LIKE 'delivery.%')
    RETURNING 1
  )`;
