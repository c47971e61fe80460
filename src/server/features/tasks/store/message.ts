/**
 * Steering messages. Open means: neither acknowledged nor persisted as missed. Whether an open message of a finished task was missed
 * is said by the task's status, so that the end of a run need not touch them; a reopening, the only way back, writes it down first.
 * Claims of whoever is told are marked `has_messages`, so that a heartbeat need not look for messages where there are none.
 */
import type { MESSAGE_STATES } from '../../../../contract/messages.ts';
import { FINISHED_STATUSES } from '../../../../contract/statuses.ts';
import type { Runner, Tx } from '../../../db/client.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';

export interface MessageRow {
  readonly id: Uuid;
  readonly text: string;
  readonly at: string;
  readonly state: (typeof MESSAGE_STATES)[number];
  readonly author_type: 'key' | 'claim' | 'system';
  readonly author_id: string;
  readonly run_id: Uuid | null;
  readonly delivered_at: string | null;
  readonly acknowledged_at: string | null;
}

export interface NewMessage {
  readonly id: Uuid;
  readonly taskId: Uuid;
  readonly text: string;
  readonly author: ActorRef;
  /** The task has finished: nobody will ever read it. */
  readonly isMissed: boolean;
}

/**
 * Under the lock of its task, whose row is written anew as it was: a claim that saw the task before this was committed finds it changed
 * and is decided again (claim.ts), and then sees the message. Unchanged, the task would be claimed as one without messages, after
 * nobody was found who holds it, and nobody would ever look again.
 */
export async function insertMessage(tx: Tx, boardId: number, message: NewMessage): Promise<string> {
  const { id, taskId, text, author, isMissed } = message;
  const [row] = await tx<{ at: string }[]>`
    /* tasks.insert_message */
    WITH rewritten AS (
      UPDATE tasks SET updated_at = updated_at WHERE board_id = ${boardId} AND id = ${taskId}
    ),
    counted AS (
      UPDATE task_details SET message_count = message_count + 1 WHERE board_id = ${boardId} AND task_id = ${taskId}
    )
    INSERT INTO messages (board_id, task_id, id, text, author_type, author_id, at, missed_at)
    SELECT ${boardId}, ${taskId}, ${id}, ${text}, ${author.type}, ${author.id}, now, CASE WHEN ${isMissed} THEN now END
    FROM clock_timestamp() AS now
    RETURNING at`;
  assert(row !== undefined, 'an insert returns its row');
  return row.at;
}

export async function countOpenMessages(tx: Tx, boardId: number, taskId: Uuid): Promise<number> {
  const [row] = await tx<{ count: number }[]>`
    /* tasks.count_open_messages */
    SELECT count(*)::int AS count FROM messages
    WHERE board_id = ${boardId} AND task_id = ${taskId} AND acknowledged_at IS NULL AND missed_at IS NULL`;
  return row?.count ?? 0;
}

/** Under the lock of the task. Null: nobody holds it, or only in name, after a takeover. */
export async function markHolderAddressed(
  tx: Tx,
  boardId: number,
  taskId: Uuid,
): Promise<{ run_id: Uuid; worker: string } | null> {
  const [row] = await tx<{ run_id: Uuid; worker: string }[]>`
    /* tasks.mark_holder_addressed */
    UPDATE claims SET has_messages = true WHERE board_id = ${boardId} AND task_id = ${taskId} AND NOT is_superseded
    RETURNING run_id, worker`;
  return row ?? null;
}

/** The newest messages of a task, oldest first. */
export async function listMessages(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  rowsMax: number,
): Promise<MessageRow[]> {
  return sql<MessageRow[]>`
    /* tasks.list_messages */
    SELECT newest.* FROM (
      SELECT m.id, m.text, m.at, m.author_type, m.author_id, m.run_id, m.delivered_at, m.acknowledged_at,
        CASE
          WHEN m.acknowledged_at IS NOT NULL THEN 'acknowledged'
          WHEN m.missed_at IS NOT NULL OR t.status = ANY(${FINISHED_STATUSES as string[]}::text[]) THEN 'missed'
          WHEN m.delivered_at IS NOT NULL THEN 'delivered'
          ELSE 'queued'
        END AS state
      FROM messages m JOIN tasks t ON t.board_id = m.board_id AND t.id = m.task_id
      WHERE m.board_id = ${boardId} AND m.task_id = ${taskId} ORDER BY m.id DESC LIMIT ${rowsMax}
    ) AS newest ORDER BY newest.id`;
}

/** The open messages of a task, oldest first, as its next holder will be told them. Tells nobody. */
export async function listOpenMessages(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  rowsMax: number,
): Promise<ToldRow[]> {
  return sql<ToldRow[]>`
    /* tasks.list_open_messages */
    SELECT task_id, id, text, at FROM messages
    WHERE board_id = ${boardId} AND task_id = ${taskId} AND acknowledged_at IS NULL AND missed_at IS NULL
    ORDER BY id LIMIT ${rowsMax}`;
}

/** What was open when the task finished stays missed, whatever becomes of the task. Under its lock. */
export async function missOpenMessages(tx: Tx, boardId: number, taskIds: readonly Uuid[]): Promise<void> {
  await tx`
    /* tasks.miss_open_messages */
    WITH open AS MATERIALIZED (
      SELECT task_id, id FROM messages
      WHERE board_id = ${boardId} AND task_id = ANY(${taskIds as Uuid[]}::uuid[]) AND acknowledged_at IS NULL AND missed_at IS NULL
      ORDER BY task_id, id FOR NO KEY UPDATE
    )
    UPDATE messages m SET missed_at = clock_timestamp() FROM open
    WHERE m.board_id = ANY (ARRAY[${boardId}::int]) AND m.task_id = open.task_id AND m.id = open.id`;
}

/** A run that is to be told what is open for its task. */
export interface Listener {
  readonly taskId: Uuid;
  readonly runId: Uuid;
}

export interface ToldRow {
  readonly task_id: Uuid;
  readonly id: Uuid;
  readonly text: string;
  readonly at: string;
}

/**
 * The open messages of these tasks, oldest first, marked as told to these runs. Commits without waiting for the disk: what a crash takes
 * back is the mark, and until it is acknowledged a message is told again.
 * With `isHandoff` the claims learn that there are some, so that their heartbeats repeat them.
 * Locks as everybody does who locks several: claims before messages, both in the order of their keys.
 */
export async function tellMessages(
  sql: Runner,
  boardId: number,
  listeners: readonly Listener[],
  { perTaskMax, isHandoff = false }: { readonly perTaskMax: number; readonly isHandoff?: boolean },
): Promise<ToldRow[]> {
  return sql<ToldRow[]>`
    /* tasks.tell_messages */
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
    listener AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, listener.* FROM unnest(
        ${listeners.map(({ taskId }) => taskId)}::uuid[], ${listeners.map(({ runId }) => runId)}::uuid[]
      ) AS listener (task_id, run_id)
      WHERE (SELECT value FROM quick) = 'off'
    ),
    open AS MATERIALIZED (
      SELECT listener.board_id, listener.task_id, listener.run_id, message.* FROM listener
      CROSS JOIN LATERAL (
        SELECT m.id, m.text, m.at, m.run_id AS told_run_id FROM messages m
        WHERE m.board_id = ${boardId} AND m.task_id = listener.task_id AND m.acknowledged_at IS NULL AND m.missed_at IS NULL
        ORDER BY m.id LIMIT ${perTaskMax}
      ) AS message
    ),
    held AS MATERIALIZED (
      SELECT holder.* FROM (
        SELECT DISTINCT board_id, task_id, run_id FROM open WHERE ${isHandoff} ORDER BY task_id
      ) AS holder
      CROSS JOIN LATERAL (
        SELECT FROM claims c WHERE c.board_id = ${boardId} AND c.task_id = holder.task_id AND c.run_id = holder.run_id
        FOR NO KEY UPDATE
      ) AS claim
    ),
    addressed AS (
      UPDATE claims c SET has_messages = true FROM held
      WHERE c.board_id = ANY (ARRAY[held.board_id]) AND c.task_id = held.task_id AND c.run_id = held.run_id
    ),
    untold AS MATERIALIZED (
      SELECT unheard.* FROM (
        SELECT board_id, task_id, run_id, id FROM open
        WHERE told_run_id IS DISTINCT FROM run_id AND (SELECT count(*) FROM held) >= 0 ORDER BY task_id, id
      ) AS unheard
      CROSS JOIN LATERAL (
        SELECT FROM messages m
        WHERE m.board_id = ${boardId} AND m.task_id = unheard.task_id AND m.id = unheard.id AND m.acknowledged_at IS NULL AND m.missed_at IS NULL
        FOR NO KEY UPDATE
      ) AS message
    ),
    told AS (
      UPDATE messages m SET run_id = untold.run_id, delivered_at = clock_timestamp() FROM untold
      WHERE m.board_id = ANY (ARRAY[untold.board_id]) AND m.task_id = untold.task_id AND m.id = untold.id
    )
    SELECT task_id, id, text, at FROM open ORDER BY task_id, id`;
}

/** Those of these messages of the task that are open, acknowledged now; others are left alone. Under the lock of the claim. */
export async function acknowledgeMessages(
  tx: Tx,
  boardId: number,
  taskId: Uuid,
  runId: Uuid,
  ids: readonly Uuid[],
): Promise<number> {
  const rows = await tx`
    /* tasks.acknowledge_messages */
    WITH open AS MATERIALIZED (
      SELECT id FROM messages
      WHERE board_id = ${boardId} AND task_id = ${taskId} AND id = ANY(${ids as Uuid[]}::uuid[]) AND acknowledged_at IS NULL AND missed_at IS NULL
      ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE messages m SET acknowledged_at = clock_timestamp(), run_id = ${runId},
      delivered_at = coalesce(m.delivered_at, clock_timestamp())
    FROM open WHERE m.board_id = ${boardId} AND m.task_id = ${taskId} AND m.id = open.id
    RETURNING 1`;
  return rows.length;
}

/** A statement of its own: it sees what was acknowledged before it. Under the lock of the claim. */
export async function markHolderAnswered(tx: Tx, boardId: number, taskId: Uuid): Promise<void> {
  await tx`
    /* tasks.mark_holder_answered */
    UPDATE claims c SET has_messages = false
    WHERE c.board_id = ${boardId} AND c.task_id = ${taskId} AND NOT EXISTS (
      SELECT FROM messages m
      WHERE m.board_id = ${boardId} AND m.task_id = ${taskId} AND m.acknowledged_at IS NULL AND m.missed_at IS NULL
    )`;
}
