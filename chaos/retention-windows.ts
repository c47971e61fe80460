/** The moments in which pruning would take what is needed, or pass it over in silence: how often a run came through them. */
import { FINISHED_STATUSES } from '../src/contract/statuses.ts';
import { databaseClock } from './checkers/database-clock.ts';
import { groupBy } from './checkers/group-by.ts';
import { isPruning, KnownLog } from './checkers/known-log.ts';
import { measureReach } from './checkers/pruned-tasks.ts';
import type { HistoryEntry, PrunedState } from './history.ts';
import type { ReceivedEntry, ResumeEntry } from './watch-entries.ts';

export interface RetentionWindows {
  readonly toldExpired: number;
  readonly resumedAtEdge: number;
  readonly parentsOutlivingTheirTime: number;
  /** Of which the log says so. */
  readonly prunedTasks: number;
  /** Left at the end, and told of by the log. */
  readonly comparedTasks: number;
}

export function countRetentionWindows(
  entries: readonly HistoryEntry[],
  final: PrunedState,
): RetentionWindows {
  const log = new KnownLog(entries, final);
  return {
    toldExpired: entries.filter(({ entry }) => entry === 'expired').length,
    resumedAtEdge: countAtEdge(entries, final),
    parentsOutlivingTheirTime: countParents(final),
    prunedTasks: log.events.filter(isPruning).length,
    comparedTasks: measureReach(log, final).comparedTasks,
  };
}

/** Resumptions from a cursor whose next event was old enough to go when they asked for it, and was still there. */
function countAtEdge(entries: readonly HistoryEntry[], final: PrunedState): number {
  const atMs = databaseClock(final);
  const connections = groupBy(
    entries.filter((entry) => entry.entry === 'resume' || entry.entry === 'received'),
    ({ process, connection }) => `${process} ${connection}`,
  );
  return [...connections.values()].filter((own) => {
    const resumption = own.find((entry): entry is ResumeEntry => entry.entry === 'resume');
    const next = own.find((entry): entry is ReceivedEntry => entry.entry === 'received');
    if (resumption?.from !== 'cursor' || next === undefined) return false;
    return atMs(next.event.at) + final.keptSeconds.events * 1000 <= resumption.at;
  }).length;
}

/** Parents that were done for longer than finished tasks are kept, and were there for a child that was not. */
function countParents({ links, tasks, runs, readAt, keptSeconds }: PrunedState): number {
  const waiting = new Set(
    tasks.filter(({ status }) => !FINISHED_STATUSES.includes(status)).map(({ id }) => id),
  );
  const dueAt = Date.parse(readAt) - keptSeconds.finishedTasks * 1000;
  const overdue = new Set(
    runs
      .filter(({ outcome, endedAt }) => outcome === 'completed' && Date.parse(endedAt ?? '') < dueAt)
      .map(({ taskId }) => taskId),
  );
  const parents = links.filter(({ childId, parentId }) => waiting.has(childId) && overdue.has(parentId));
  return new Set(parents.map(({ parentId }) => parentId)).size;
}
