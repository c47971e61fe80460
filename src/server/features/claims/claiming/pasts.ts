/** What tasks have behind them, for whoever works on them next: read in one snapshot, by index, and no more than will be shown. */
import { begin } from '../../../db/begin.ts';
import { pinPlans, type Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { listNewestComments, listParents } from '../../tasks/service.ts';
import { listNewestAttempts } from '../store/attempt.ts';
import { listBriefings } from '../store/briefing.ts';
import type { HandoffCaps, HandoffParts } from '../view.ts';

/** Messages are told to holders and not just read: whoever holds the task has them marked. */
export type Past = Omit<HandoffParts, 'messages'>;

interface Tasks {
  readonly ids: readonly Uuid[];
  /** Those of them that wait, or waited, for others. */
  readonly children: readonly Uuid[];
  /** Those of them that are of a delegation. */
  readonly delegated: readonly Uuid[];
}

/** One connection for all of it, whose plans do not depend on statistics: this stands between a claim and its answer. */
export async function readPasts(
  sql: Sql,
  boardId: number,
  { ids, children, delegated }: Tasks,
  caps: HandoffCaps,
): Promise<ReadonlyMap<Uuid, Past>> {
  const read = begin(sql, 'ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
    await pinPlans(tx);
    return Promise.all([
      children.length === 0 ? [] : listParents(tx, boardId, children, caps.parents),
      listNewestAttempts(tx, boardId, ids, caps.attempts),
      listNewestComments(tx, boardId, ids, caps.comments),
      delegated.length === 0 ? [] : listBriefings(tx, boardId, delegated, caps.comments),
    ]);
  });
  const [parents, attempts, comments, briefings] = await withinDeadline(read);
  const parentsOf = groupBy(parents, (row) => row.child_id);
  const attemptsOf = groupBy(attempts, (row) => row.task_id);
  const commentsOf = groupBy(comments, (row) => row.task_id);
  const briefingOf = new Map(briefings.map((row) => [row.task_id, row]));
  return new Map(
    ids.map((id) => [
      id,
      {
        parents: parentsOf.get(id) ?? [],
        attempts: attemptsOf.get(id) ?? [],
        comments: commentsOf.get(id) ?? [],
        briefing: briefingOf.get(id) ?? null,
      },
    ]),
  );
}

function groupBy<T>(rows: readonly T[], idOf: (row: T) => Uuid): ReadonlyMap<Uuid, readonly T[]> {
  const groups = new Map<Uuid, T[]>();
  for (const row of rows) {
    const id = idOf(row);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [row]);
    else group.push(row);
  }
  return groups;
}
