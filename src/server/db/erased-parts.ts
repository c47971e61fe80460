/** The tables that hang on a task, for whoever erases tasks: one list, so that no table is forgotten by one of them. */
import type { Runner } from './client.ts';

/** What hangs on the tasks of `gone` (board_id, id) but their events and the links of others to them: parts of a WITH that erases it. */
export const erasedParts = (sql: Runner) => sql`
    details AS (DELETE FROM task_details d USING gone WHERE d.board_id = ANY (ARRAY[gone.board_id]) AND d.task_id = gone.id),
    records AS (DELETE FROM runs r USING gone WHERE r.board_id = ANY (ARRAY[gone.board_id]) AND r.task_id = gone.id),
    remarks AS (DELETE FROM comments c USING gone WHERE c.board_id = ANY (ARRAY[gone.board_id]) AND c.task_id = gone.id),
    steering AS (DELETE FROM messages m USING gone WHERE m.board_id = ANY (ARRAY[gone.board_id]) AND m.task_id = gone.id),
    heads AS (DELETE FROM outputs o USING gone WHERE o.board_id = ANY (ARRAY[gone.board_id]) AND o.task_id = gone.id),
    printed AS (DELETE FROM output_lines p USING gone WHERE p.board_id = ANY (ARRAY[gone.board_id]) AND p.task_id = gone.id),
    upward AS (DELETE FROM links l USING gone WHERE l.board_id = ANY (ARRAY[gone.board_id]) AND l.child_id = gone.id)`;
