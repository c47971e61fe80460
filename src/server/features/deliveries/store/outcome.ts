/** What becomes of a delivery that was given out. Each under its row lock. */
import type { Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/** Sent: it is a message of its session from now on. */
export async function ackRow(tx: Tx, boardId: number, id: Uuid, messageId: string | null): Promise<void> {
  await tx`
    /* deliveries.ack */
    WITH acked AS (
      UPDATE deliveries SET status = 'acked', failures = 0, last_error = NULL, message_id = ${messageId}, finished_at = clock_timestamp()
      WHERE board_id = ${boardId} AND id = ${id} RETURNING *
    )
    INSERT INTO session_messages (board_id, session_id, at, delivery_id, task_id, delegation_id, platform, chat_id, thread_id, message_id, text)
    SELECT ${boardId}, acked.session_id, acked.finished_at, acked.id, acked.task_id, acked.delegation_id, s.platform, s.chat_id, s.thread_id,
      acked.message_id, coalesce(acked.text, '')
    FROM acked CROSS JOIN LATERAL (
      SELECT platform, chat_id, thread_id FROM subscriptions WHERE board_id = ${boardId} AND id = acked.subscription_id OFFSET 0
    ) AS s
    WHERE acked.session_id IS NOT NULL`;
}

/** Again after so long; what has become silent meanwhile, never. */
export async function postponeRow(
  tx: Tx,
  boardId: number,
  id: Uuid,
  { delaySeconds, failures, error }: { delaySeconds: number; failures: number; error: string | null },
): Promise<void> {
  await tx`
    /* deliveries.postpone */
    UPDATE deliveries SET status = CASE WHEN mode = 'silent' THEN 'acked' ELSE 'pending' END, lease_id = NULL, lease_expires_at = NULL, failures = ${failures},
      last_error = coalesce(${error}, last_error), due_at = clock_timestamp() + make_interval(secs => ${delaySeconds}),
      finished_at = CASE WHEN mode = 'silent' THEN clock_timestamp() END
    WHERE board_id = ${boardId} AND id = ${id}`;
}

export async function buryRow(
  tx: Tx,
  boardId: number,
  id: Uuid,
  { failures, error }: { failures: number; error: string },
): Promise<void> {
  await tx`
    /* deliveries.bury */
    UPDATE deliveries SET status = 'dead', lease_id = NULL, lease_expires_at = NULL, failures = ${failures}, last_error = ${error},
      finished_at = clock_timestamp()
    WHERE board_id = ${boardId} AND id = ${id}`;
}

/**
 * Of those that were just given out: what nobody follows any more. A server before this version could tell a heartbeat to a subscription that
 * ended in the same moment, and everything later of its session would wait behind that. What a reply has been begun of is withdrawn, as where a
 * subscription ends.
 */
export async function dropUnfollowed(
  tx: Tx,
  boardId: number,
  ids: readonly Uuid[],
): Promise<ReadonlySet<Uuid>> {
  const rows = await tx<{ id: Uuid }[]>`
    /* deliveries.drop_unfollowed */
    WITH gone AS MATERIALIZED (
      SELECT d.id, d.synthesis_task_id FROM unnest(${ids as Uuid[]}::uuid[]) AS given (id)
      CROSS JOIN LATERAL (SELECT * FROM deliveries WHERE board_id = ${boardId} AND id = given.id OFFSET 0) AS d
      WHERE NOT EXISTS (SELECT FROM subscriptions WHERE board_id = ${boardId} AND id = d.subscription_id OFFSET 0)
    ),
    dropped AS (
      DELETE FROM deliveries WHERE board_id = ${boardId} AND id = ANY (ARRAY(SELECT id FROM gone WHERE synthesis_task_id IS NULL))
    ),
    withdrawn AS (
      UPDATE deliveries SET status = 'acked', mode = 'silent', text = NULL, last_error = NULL, lease_id = NULL, lease_expires_at = NULL,
        finished_at = clock_timestamp(), synthesis_due_at = clock_timestamp()
      WHERE board_id = ${boardId} AND id = ANY (ARRAY(SELECT id FROM gone WHERE synthesis_task_id IS NOT NULL))
    )
    SELECT id FROM gone`;
  return new Set(rows.map(({ id }) => id));
}
