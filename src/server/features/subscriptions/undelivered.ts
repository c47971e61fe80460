/**
 * What a subscription has not delivered yet, when it changes or ends.
 *
 * What tells an outcome is kept away by the lock of its subject. Other news is not (db/outbox.ts): it is told as the subscription stood until
 * this transaction has the counter row, and as it stands now afterwards. So the deliveries are gone through twice: all of them, and with the
 * counter row in hand those that came since, which are few. The board stands still only for these.
 */
import type { PendingQuery, Tx } from '../../db/client.ts';
import { lockCounter } from '../../db/event-log.ts';
import { sessionKeyOf, webhookHostOf } from '../../db/outbox.ts';
import type { Uuid } from '../../kernel/ids.ts';

/** Of a delivery `d` that a subscription may still change, or somebody may have sent again. */
const IS_LEFT = (sql: Tx) => sql`d.status IN ('pending', 'synthesizing', 'leased', 'dead')`;

/** Statements, not sent yet, that go through those of them that the fragment says, of a delivery `d`. */
type Pass = (which: PendingQuery) => PendingQuery[];

/**
 * Whoever acks one has it locked and waits for the counter row. That is waited for in the first pass; in the second we would wait for each
 * other, and so it is refused at once, and the whole of it begins anew.
 * @param seq What was told up to there is seen by now.
 */
async function goThroughTwice(tx: Tx, boardId: number, id: Uuid, seq: number, pass: Pass): Promise<void> {
  const lock = (which: PendingQuery, manner: PendingQuery) => tx`
    /* subscriptions.lock_deliveries */
    SELECT FROM deliveries d
    WHERE d.board_id = ${boardId} AND d.subscription_id = ${id} AND ${IS_LEFT(tx)} ${which}
    ORDER BY d.id FOR UPDATE ${manner}`;
  await lock(tx``, tx``);
  await Promise.all(pass(tx``));
  const isLate = tx`AND d.seq > ${seq}`;
  // At once, so that the board does not stand still for a round each. A statement is sent when it is first waited for: in one list, in this order.
  await Promise.all([lockCounter(tx, boardId), lock(isLate, tx`NOWAIT`), ...pass(isLate)]);
}

/**
 * Whose it is, which session it waits for, and that nothing of it is sent any more. What is with a gateway stays there, for it may have been
 * sent; if nothing is heard of it, whoever owns it by then sends it, or nobody does.
 */
export async function changeUndelivered(
  tx: Tx,
  boardId: number,
  id: Uuid,
  seq: number,
  isSilent: boolean,
): Promise<void> {
  const isUnsent = tx`d.status IN ('pending', 'synthesizing')`;
  const silenced = tx`
      mode = CASE WHEN d.status = 'dead' THEN d.mode ELSE 'silent' END, status = CASE WHEN ${isUnsent} THEN 'acked' ELSE d.status END,
      finished_at = CASE WHEN ${isUnsent} THEN clock_timestamp() ELSE d.finished_at END,
      synthesis_due_at = CASE WHEN NOT ${isUnsent} THEN d.synthesis_due_at
        WHEN d.synthesis_task_id IS NOT NULL AND d.synthesis_due_at IS NOT NULL THEN clock_timestamp() END`;
  const unsilenced = tx`mode = CASE WHEN d.mode = 'silent' THEN 'direct' ELSE d.mode END`;
  const isToChange = isSilent ? tx`(d.status <> 'dead' AND d.mode <> 'silent')` : tx`d.mode = 'silent'`;
  await goThroughTwice(tx, boardId, id, seq, (which) => [
    tx`
    /* subscriptions.update_deliveries */
    UPDATE deliveries d SET owner = s.told_by, is_webhook = s.is_webhook, webhook_host = s.webhook_host, wake = s.wake,
      session_id = s.session_id, session_key = s.session_key,
      ${isSilent ? silenced : unsilenced}
    FROM (
      SELECT coalesce(s.owner, (SELECT settings ->> 'default_owner' FROM boards WHERE id = ${boardId})) AS told_by,
        s.webhook_url IS NOT NULL AS is_webhook, ${webhookHostOf(tx)} AS webhook_host, s.wake,
        nullif(s.origin ->> 'session_id', '') AS session_id, ${sessionKeyOf(tx)} AS session_key
      FROM subscriptions s WHERE s.board_id = ${boardId} AND s.id = ${id} OFFSET 0
    ) AS s
    WHERE d.board_id = ${boardId} AND d.subscription_id = ${id} AND ${IS_LEFT(tx)} ${which}
      AND (${isToChange} OR (d.owner, d.is_webhook, d.webhook_host, d.wake, d.session_id, d.session_key)
        IS DISTINCT FROM (s.told_by, s.is_webhook, s.webhook_host, s.wake, s.session_id, s.session_key))`,
  ]);
}

/**
 * It is dropped. What a reply has been begun of stays, told to nobody, until the sweep of replies has erased that: its task has the words of what
 * it is made of, and nothing else leads to it when those are deleted.
 */
export async function dropUndelivered(tx: Tx, boardId: number, id: Uuid, seq: number): Promise<void> {
  await goThroughTwice(tx, boardId, id, seq, (which) => [
    tx`
      /* subscriptions.drop_deliveries */
      DELETE FROM deliveries d
      WHERE d.board_id = ${boardId} AND d.subscription_id = ${id} AND d.status IN ('pending', 'synthesizing', 'leased')
        AND d.synthesis_task_id IS NULL ${which}`,
    tx`
      /* subscriptions.withdraw_deliveries */
      UPDATE deliveries d SET status = 'acked', mode = 'silent', text = NULL, last_error = NULL, lease_id = NULL, lease_expires_at = NULL,
        finished_at = clock_timestamp(), synthesis_due_at = clock_timestamp()
      WHERE d.board_id = ${boardId} AND d.subscription_id = ${id} AND d.status IN ('pending', 'synthesizing', 'leased') ${which}`,
  ]);
}
