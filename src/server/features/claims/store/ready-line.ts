/** The line of a lane: its ready tasks by priority, then age, from its start or from a place on. */
import type { PendingQuery, Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/** A place in the line of a lane. */
export interface Place {
  readonly priority: number;
  readonly id: Uuid;
}

/** By lane: the last place that was passed. Lanes that are not in it are looked at from their start. */
export type Heads = ReadonlyMap<string, Place>;

export const FROM_THE_START: Heads = new Map();

/** Before every task: no priority is so high. */
const START: Place = { priority: 2 ** 31 - 1, id: '00000000-0000-0000-0000-000000000000' as Uuid };

/** What `want` has of each lane beside its name and counts. */
export function headArrays(sql: Runner, lanes: readonly string[], heads: Heads): PendingQuery {
  if (heads.size === 0) return sql``;
  const places = lanes.map((lane) => heads.get(lane) ?? START);
  return sql`, ${places.map(({ priority }) => priority)}::int[], ${places.map(({ id }) => id)}::uuid[]`;
}

export function headNames(sql: Runner, heads: Heads): PendingQuery {
  return heads.size === 0 ? sql`` : sql`, head_priority, head_id`;
}

/**
 * The next `want.count` tasks of `want.lane`, locked; what somebody else has locked is passed over. Behind a place there are two stretches of
 * the index, one after the other: younger tasks of the same priority, then those of lower ones. As one condition it would be a filter,
 * and everything before the place would be read all the same.
 * Where the statistics know one lane of one priority, and all of it ready, the younger tasks may come by the primary key, which then has them
 * in the same order: until the next ANALYZE it also reads those that have become something else.
 */
export function lineOf(sql: Runner, boardId: number, columns: PendingQuery, heads: Heads): PendingQuery {
  const stretch = (where: PendingQuery): PendingQuery => sql`
    SELECT ${columns} FROM tasks t WHERE t.board_id = ${boardId} AND t.lane = want.lane AND t.status = 'ready'${where}
    ORDER BY t.priority DESC, t.id LIMIT want.count FOR NO KEY UPDATE SKIP LOCKED`;
  if (heads.size === 0) return stretch(sql``);
  return sql`
    SELECT * FROM (
      SELECT * FROM (${stretch(sql` AND t.priority = want.head_priority AND t.id > want.head_id`)}) AS level
      UNION ALL
      SELECT * FROM (${stretch(sql` AND t.priority < want.head_priority`)}) AS below
    ) AS behind LIMIT want.count`;
}
