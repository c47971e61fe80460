/**
 * What hangs on a task, for whoever erases tasks, by hand or by their age: one list of its tables, so that none is forgotten by one of them, and
 * one order in which its delegations are locked.
 */
import type { Uuid } from '../kernel/ids.ts';
import type { Runner, Tx } from './client.ts';

/**
 * What hangs on the tasks of `gone` (board_id, id) but their events and the links of others to them: parts of a WITH that erases it. The counts of a
 * task's details never fall, so where one is zero there are no such rows, and lines of output have a row above them: where most tasks have
 * nothing of all this, looking for it in every table was a third of what erasing costs (15.1 → 10.2 µs a task).
 */
export const erasedParts = (sql: Runner) => sql`
    details AS (
      DELETE FROM task_details d USING gone WHERE d.board_id = ANY (ARRAY[gone.board_id]) AND d.task_id = gone.id
      RETURNING d.board_id, d.task_id AS id, d.comment_count, d.message_count, d.parent_count
    ),
    records AS (DELETE FROM runs r USING gone WHERE r.board_id = ANY (ARRAY[gone.board_id]) AND r.task_id = gone.id),
    remarks AS (
      DELETE FROM comments c USING details WHERE details.comment_count > 0 AND c.board_id = ANY (ARRAY[details.board_id]) AND c.task_id = details.id
    ),
    steering AS (
      DELETE FROM messages m USING details WHERE details.message_count > 0 AND m.board_id = ANY (ARRAY[details.board_id]) AND m.task_id = details.id
    ),
    heads AS (
      DELETE FROM outputs o USING gone WHERE o.board_id = ANY (ARRAY[gone.board_id]) AND o.task_id = gone.id RETURNING o.board_id, o.task_id AS id
    ),
    printed AS (DELETE FROM output_lines p USING heads WHERE p.board_id = ANY (ARRAY[heads.board_id]) AND p.task_id = heads.id),
    upward AS (
      DELETE FROM links l USING details WHERE details.parent_count > 0 AND l.board_id = ANY (ARRAY[details.board_id]) AND l.child_id = details.id
    )`;

/**
 * The delegations of these tasks, which are gone by now: after the tasks, in the order of all delegations. In a statement of its own: whoever
 * decides one meanwhile, subscribes to it, or erases another of its tasks has committed by then, and is seen by the statements behind, or waits
 * for us and finds these tasks gone.
 */
export async function lockDelegationsOf(tx: Tx, boardId: number, taskIds: readonly Uuid[]): Promise<Uuid[]> {
  const rows = await tx<{ id: Uuid }[]>`
    /* erase.lock_delegations */
    SELECT d.id FROM (
      SELECT DISTINCT member.delegation_id AS id FROM unnest(${taskIds as Uuid[]}::uuid[]) AS wanted (id)
      CROSS JOIN LATERAL (
        SELECT delegation_id FROM delegation_tasks WHERE board_id = ${boardId} AND task_id = wanted.id OFFSET 0
      ) AS member
      ORDER BY 1
    ) AS wanted
    CROSS JOIN LATERAL (SELECT id FROM delegations WHERE board_id = ${boardId} AND id = wanted.id FOR UPDATE) AS d`;
  return rows.map((row) => row.id);
}
