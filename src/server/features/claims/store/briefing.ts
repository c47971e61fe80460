/** What tasks were handed over with, for handoffs: theirs, and that of the whole delegation. */
import type { PendingQuery, Runner } from '../../../db/client.ts';
import { type ExcerptCaps, excerptColumn } from '../../../db/excerpt.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface BriefingRow {
  readonly task_id: Uuid;
  readonly delegation_id: Uuid;
  readonly place: number;
  readonly total: number;
  readonly whole_goal: string | null;
  readonly whole_context: string | null;
  readonly goal: string | null;
  readonly context: string | null;
  readonly toolsets: string[] | null;
  readonly model: string | null;
}

/** A text longer than its cap is so by a character. */
export async function listBriefings(
  sql: Runner,
  boardId: number,
  taskIds: readonly Uuid[],
  caps: ExcerptCaps,
): Promise<BriefingRow[]> {
  const text = (column: PendingQuery) => excerptColumn(sql, column, caps);
  return sql<BriefingRow[]>`
    /* claims.list_briefings */
    SELECT wanted.id AS task_id, member.delegation_id, member.place, whole.child_count AS total, whole.goal AS whole_goal,
      whole.context AS whole_context, member.goal, member.context, member.toolsets, member.model
    FROM unnest(${taskIds as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT delegation_id, place, ${text(sql`goal`)} AS goal, ${text(sql`context`)} AS context, toolsets, model
      FROM delegation_tasks WHERE board_id = ${boardId} AND task_id = wanted.id OFFSET 0
    ) AS member
    CROSS JOIN LATERAL (
      SELECT child_count, ${text(sql`goal`)} AS goal, ${text(sql`context`)} AS context
      FROM delegations WHERE board_id = ${boardId} AND id = member.delegation_id OFFSET 0
    ) AS whole`;
}
