/** Deliveries that wait for a reply to be made of them, and those that do not any more while it is still being made. */
import type { Runner, Tx } from '../../db/client.ts';
import { RaceError } from '../../db/failures.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { type DeliveryRow, deliveryColumns } from '../deliveries/service.ts';

/** Of more than there is room for any, not the same each time. */
export async function listBoardsWithSynthesis(
  sql: Runner,
  exceptIds: readonly number[],
  boardsMax: number,
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* synthesis.list_boards */
    SELECT board_id FROM deliveries WHERE synthesis_due_at IS NOT NULL AND board_id <> ALL (${exceptIds as number[]}::int[])
    GROUP BY board_id ORDER BY random() LIMIT ${boardsMax}`;
  return rows.map((row) => row.board_id);
}

/**
 * The next of each session of which none is being made, oldest first. After deliveries.lockGivingOut: nobody else begins one meanwhile. Locked
 * here, because a task is made of each, under the counter row, behind which nothing may be waited for; one that somebody else has locked is
 * the next turn's.
 */
export async function listStartable(tx: Tx, boardId: number, rowsMax: number): Promise<DeliveryRow[]> {
  return tx<DeliveryRow[]>`
    /* synthesis.list_startable */
    SELECT ${deliveryColumns(tx)} FROM (
      SELECT id FROM (
      SELECT DISTINCT ON (waiting.session_key) waiting.id, waiting.seq FROM deliveries waiting
      WHERE waiting.board_id = ${boardId} AND waiting.status = 'synthesizing' AND waiting.synthesis_task_id IS NULL
        AND waiting.synthesis_due_at > clock_timestamp()
        AND NOT EXISTS (
          SELECT FROM deliveries made WHERE made.board_id = ${boardId} AND made.session_key = waiting.session_key
            AND made.status = 'synthesizing' AND made.synthesis_due_at IS NOT NULL AND made.synthesis_task_id IS NOT NULL)
      ORDER BY waiting.session_key, waiting.seq, waiting.id
      ) AS head ORDER BY seq LIMIT ${rowsMax}
    ) AS first
    CROSS JOIN LATERAL (
      SELECT * FROM deliveries
      WHERE board_id = ${boardId} AND id = first.id AND status = 'synthesizing' AND synthesis_task_id IS NULL
      FOR NO KEY UPDATE SKIP LOCKED
    ) AS d
    ORDER BY d.seq`;
}

/** The delivery may have been dropped meanwhile: then nothing is to be made of it, and the transaction must not commit. */
export async function noteSynthesisTask(tx: Tx, boardId: number, id: Uuid, taskId: Uuid): Promise<void> {
  const rows = await tx`
    /* synthesis.note_task */
    UPDATE deliveries SET synthesis_task_id = ${taskId}
    WHERE board_id = ${boardId} AND id = ${id} AND status = 'synthesizing' AND synthesis_task_id IS NULL RETURNING 1`;
  if (rows.length === 0) throw new RaceError('the delivery was dropped while a reply was begun');
}

export interface SettledSynthesis {
  readonly id: Uuid;
  readonly task_id: Uuid | null;
}

/**
 * Whose reply is made, or cannot be any more: it failed, its time is over, or nobody is there to make it; and those that nobody waits for, of
 * which it is time to look. Most urgent first. The lane is read with them: read before, it could have been set meanwhile, and what came
 * after that would be told as if nobody were there.
 */
export async function listSettled(
  sql: Runner,
  boardId: number,
  rowsMax: number,
): Promise<SettledSynthesis[]> {
  return sql<SettledSynthesis[]>`
    /* synthesis.list_settled */
    SELECT d.id, d.synthesis_task_id AS task_id
    FROM (SELECT * FROM deliveries WHERE board_id = ${boardId} AND synthesis_due_at IS NOT NULL OFFSET 0) AS d
    LEFT JOIN LATERAL (SELECT status FROM tasks WHERE board_id = ${boardId} AND id = d.synthesis_task_id OFFSET 0) AS t ON true
    WHERE d.synthesis_due_at <= clock_timestamp()
      OR (d.status = 'synthesizing' AND d.synthesis_task_id IS NOT NULL AND coalesce(t.status, 'archived') NOT IN ('ready', 'running', 'scheduled', 'todo', 'review'))
      OR (d.status = 'synthesizing' AND NOT EXISTS (
        SELECT FROM lanes
        WHERE board_id = ${boardId} AND name = (SELECT settings ->> 'synthesizer_lane' FROM boards WHERE id = ${boardId})))
    ORDER BY d.synthesis_due_at LIMIT ${rowsMax}`;
}

/** What the last run of a task says, as text; null: nothing. */
export async function findReply(tx: Tx, boardId: number, taskId: Uuid): Promise<string | null> {
  const [row] = await tx<{ reply: string | null }[]>`
    /* synthesis.find_reply */
    SELECT coalesce(
      CASE jsonb_typeof(r.result) WHEN 'string' THEN r.result #>> '{}' WHEN 'object' THEN r.result ->> 'text' END, r.summary) AS reply
    FROM (SELECT attempt FROM tasks WHERE board_id = ${boardId} AND id = ${taskId} AND status = 'done') AS t
    CROSS JOIN LATERAL (SELECT result, summary FROM runs WHERE board_id = ${boardId} AND task_id = ${taskId} AND attempt = t.attempt OFFSET 0) AS r`;
  return row?.reply ?? null;
}

/** Not awaited: it was told, or nobody is told of it any more, and no reply may be used. Null: its reply needs nothing any more. */
export async function lockSynthesis(
  tx: Tx,
  boardId: number,
  id: Uuid,
): Promise<{ readonly is_awaited: boolean; readonly task_id: Uuid | null } | null> {
  const [row] = await tx<{ is_awaited: boolean; task_id: Uuid | null }[]>`
    /* synthesis.lock */
    SELECT status = 'synthesizing' AS is_awaited, synthesis_task_id AS task_id FROM deliveries
    WHERE board_id = ${boardId} AND id = ${id} AND synthesis_due_at IS NOT NULL FOR UPDATE`;
  return row ?? null;
}

export async function postponeSynthesis(
  tx: Tx,
  boardId: number,
  id: Uuid,
  delaySeconds: number,
): Promise<void> {
  await tx`
    /* synthesis.postpone */
    UPDATE deliveries SET synthesis_due_at = clock_timestamp() + make_interval(secs => ${delaySeconds})
    WHERE board_id = ${boardId} AND id = ${id}`;
}

/** Whoever makes its reply has ended, and writes nothing any more. */
export async function endSynthesis(tx: Tx, boardId: number, id: Uuid): Promise<void> {
  await tx`
    /* synthesis.end */ UPDATE deliveries SET synthesis_due_at = NULL WHERE board_id = ${boardId} AND id = ${id}`;
}

/** What was withdrawn because nobody is left to be told of it. */
export async function dropUnsubscribed(tx: Tx, boardId: number, id: Uuid): Promise<void> {
  await tx`
    /* synthesis.drop_unsubscribed */
    DELETE FROM deliveries d WHERE d.board_id = ${boardId} AND d.id = ${id} AND d.status = 'acked' AND d.mode = 'silent'
      AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.board_id = ${boardId} AND s.id = d.subscription_id)`;
}

/** With the reply, or without one as it would have been told directly. Under its lock. */
export async function settleSynthesis(
  tx: Tx,
  boardId: number,
  id: Uuid,
  reply: string | null,
): Promise<void> {
  await tx`
    /* synthesis.settle */
    UPDATE deliveries SET status = 'pending', due_at = clock_timestamp(), text = ${reply}, is_fallback = ${reply === null},
      mode = ${reply === null ? 'direct' : 'synthesize'}
    WHERE board_id = ${boardId} AND id = ${id} AND status = 'synthesizing'`;
}
