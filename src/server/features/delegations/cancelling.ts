/**
 * Stops delegations: whoever is asked decides it at once, with what the children have by then, and the children are cancelled in the same
 * transaction. What cannot be there (what a child has delegated itself, children that are left when a join is decided) is the sweep's.
 */
import type { Tx } from '../../db/client.ts';
import type { NewEvent } from '../../db/event-log.ts';
import { RaceError } from '../../db/failures.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';
import {
  addCounts,
  appendChange,
  lockTasks,
  mayMove,
  settleDelegations,
  type TaskChange,
  TaskOperation,
} from '../tasks/service.ts';
import { isRunning, listLeftTaskIds, listTaskIds, markLeftovers } from './store.ts';

export interface Stop {
  readonly board: BoardRef;
  readonly ids: IdSource;
  readonly actor: ActorRef;
  readonly reason: string | null;
}

/** What the caller must do after the commit. */
export interface Stopped {
  /** False: it was decided before. */
  readonly isDecided: boolean;
  readonly isHolderAddressed: boolean;
}

export async function cancelDelegation(tx: Tx, stop: Stop, id: Uuid): Promise<Stopped> {
  const { board, actor, reason } = stop;
  // Without a lock: what is decided stays so, and its children are none of this one's business.
  if (!(await isRunning(tx, board.id, id))) return { isDecided: false, isHolderAddressed: false };
  const { changes, isHolderAddressed } = await cancelChildren(tx, stop, await listTaskIds(tx, board.id, id));
  const decided = await settleDelegations(tx, board.id, [id], { overrule: 'cancelled', reason, actor });
  // Its children were cancelled for it: all of it again, from the look on.
  if (decided.length === 0) throw new RaceError('it was decided since it was looked at');
  await markLeftovers(tx, board.id, id);
  const cancelled: NewEvent = { kind: 'delegation.cancelled', delegationId: id, actor, data: { reason } };
  await appendAll(tx, board, [...changes, { events: [cancelled, ...decided] }]);
  return { isDecided: true, isHolderAddressed };
}

/** Of a decided delegation: those that have not ended. @returns Null: there was nothing to do. Else whether somebody who works on one is to be told. */
export async function cancelLeftChildren(
  tx: Tx,
  stop: Stop,
  id: Uuid,
): Promise<Pick<Stopped, 'isHolderAddressed'> | null> {
  const taskIds = await listLeftTaskIds(tx, stop.board.id, id);
  if (taskIds.length === 0) return null;
  const { changes, isHolderAddressed } = await cancelChildren(tx, stop, taskIds);
  await appendAll(tx, stop.board, changes);
  return { isHolderAddressed };
}

/** Locks them in the order of all tasks; what they have to say to the log is the caller's to write. */
async function cancelChildren(
  tx: Tx,
  { board, ids, actor, reason }: Stop,
  taskIds: readonly Uuid[],
): Promise<{ changes: TaskChange[]; isHolderAddressed: boolean }> {
  const tasks = await lockTasks(tx, board.id, taskIds);
  const changes: TaskChange[] = [];
  let isHolderAddressed = false;
  const append = (change: TaskChange): Promise<void> => {
    changes.push(change);
    return Promise.resolve();
  };
  for (const task of tasks) {
    const isCancellable = task.status === 'running' || mayMove(task.status, 'cancel', 'cancelled');
    if (!isCancellable) continue;
    const operation = await TaskOperation.begin({ tx, board, actor, ids, append }, task.id);
    await operation?.cancel(reason, null);
    isHolderAddressed ||= operation?.isHolderAddressed ?? false;
  }
  return { changes, isHolderAddressed };
}

async function appendAll(tx: Tx, board: BoardRef, changes: readonly TaskChange[]): Promise<void> {
  const events = changes.flatMap((change) => change.events);
  if (events.length === 0) return;
  await appendChange(tx, board.id, {
    events,
    counts: changes.reduce((sum, change) => addCounts(sum, change.counts ?? {}), {}),
    departures: changes.flatMap((change) => change.departures ?? []),
  });
}
