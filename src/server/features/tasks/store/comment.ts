/** Comments of tasks: written under the lock of their task, read page by page, and the newest of many tasks at once. */
import type { Runner, Tx } from '../../../db/client.ts';
import { type ExcerptCaps, excerptColumn } from '../../../db/excerpt.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';

export interface NewComment {
  readonly id: Uuid;
  readonly taskId: Uuid;
  readonly body: string;
  readonly author: ActorRef;
}

/**
 * Under the lock of its task, whose row is written anew as it was, for the same reason as with a message (message.ts): a claim that saw
 * the task before this was committed finds it changed and is decided again, and then knows of a comment to hand over. Unchanged, the
 * log would have the comment before the claim, and the claim's holder would not. A task that is running nobody claims before its end has
 * changed it, and its end need not be decided again for a comment.
 */
export async function insertComment(tx: Tx, boardId: number, comment: NewComment): Promise<string> {
  const [row] = await tx<{ at: string }[]>`
    /* tasks.insert_comment */
    WITH rewritten AS (
      UPDATE tasks SET updated_at = updated_at WHERE board_id = ${boardId} AND id = ${comment.taskId} AND status <> 'running'
    ),
    counted AS (
      UPDATE task_details SET comment_count = comment_count + 1 WHERE board_id = ${boardId} AND task_id = ${comment.taskId}
    )
    INSERT INTO comments (board_id, task_id, id, body, author_type, author_id, at)
    VALUES (${boardId}, ${comment.taskId}, ${comment.id}, ${comment.body}, ${comment.author.type}, ${comment.author.id}, clock_timestamp())
    RETURNING at`;
  assert(row !== undefined, 'an insert returns its row');
  return row.at;
}

export interface CommentRow {
  readonly id: Uuid;
  readonly task_id: Uuid;
  readonly body: string;
  readonly author_type: 'key' | 'claim' | 'system';
  readonly author_id: string;
  readonly at: string;
}

export async function listComments(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  afterId: Uuid | null,
  rowsMax: number,
): Promise<CommentRow[]> {
  return sql<CommentRow[]>`
    /* tasks.list_comments */
    SELECT id, task_id, body, author_type, author_id, at FROM comments
    WHERE board_id = ${boardId} AND task_id = ${taskId} AND (${afterId}::uuid IS NULL OR id > ${afterId}::uuid) ORDER BY id LIMIT ${rowsMax}`;
}

export interface ToldCommentRow extends CommentRow {
  /** How many comments the task has, counted no further than one beyond those that may be read. */
  readonly found: number;
}

/** The newest comments of several tasks, each task's oldest first, for handoffs. A body longer than its cap is so by a character. */
export async function listNewestComments(
  sql: Runner,
  boardId: number,
  taskIds: readonly Uuid[],
  caps: ExcerptCaps,
): Promise<ToldCommentRow[]> {
  return sql<ToldCommentRow[]>`
    /* tasks.list_newest_comments */
    SELECT comment.id, comment.task_id, comment.body, comment.author_type, comment.author_id, comment.at, comment.found
    FROM unnest(${taskIds as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT newest.*, count(*) OVER ()::int AS found, row_number() OVER (ORDER BY newest.id DESC) AS place,
        sum(octet_length(newest.body)) OVER (ORDER BY newest.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
      FROM (
        SELECT id, task_id, ${excerptColumn(sql, sql`body`, caps)} AS body, author_type, author_id, at FROM comments
        WHERE board_id = ${boardId} AND task_id = task.id ORDER BY id DESC LIMIT ${caps.rows + 1}
      ) AS newest
    ) AS comment
    WHERE comment.place <= ${caps.rows} AND coalesce(comment.bytes_before, 0) < ${caps.bytes}
    ORDER BY comment.task_id, comment.id`;
}
