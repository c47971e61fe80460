/**
 * Deletes tasks: everything that was written about them is erased, and whoever waits for them goes on as if unlinked. Must never leave a
 * word of a person behind in the log; what is remembered under an Idempotency-Key is found by that key alone, and is forgotten a day later.
 *
 * Some events of a task are written without its lock (that it is stranded). So the log is gone over twice: when the task is erased, and
 * behind where it ended then when this transaction has written its own events, and thereby holds the counter row.
 */
import type { Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { addCounts, lockFamily, releaseChildren } from './family.ts';
import { appendChange } from './join/append.ts';
import { eventTextOf, type OperationParts } from './operation.ts';
import { eraseTask, readLogSeq, scrubEvents } from './store/delete.ts';
import { lockTasks } from './store/link.ts';

/** Before the first task of a transaction is deleted: what its end has to be told. */
export function beginDeletion(tx: Tx, boardId: number): Promise<number> {
  return readLogSeq(tx, boardId);
}

/** After the last event of the transaction has been written. @param seq What its beginning has said. */
export async function finishDeletion(
  tx: Tx,
  boardId: number,
  seq: number,
  ids: readonly Uuid[],
): Promise<void> {
  if (ids.length > 0) await scrubEvents(tx, boardId, ids, seq);
}

/** False: there is no such task. */
export async function deleteTask(
  { tx, board, actor, append = (change) => appendChange(tx, board.id, change) }: OperationParts,
  id: Uuid,
  reason: string | null,
): Promise<boolean> {
  const family = await lockFamily(tx, board.id, [id], []);
  const before = family.get(id) ?? (await lockTasks(tx, board.id, [id]))[0];
  if (before === undefined) return false;
  if (before.status === 'running') throw isHeld();
  const released = await releaseChildren(tx, board.id, id, actor, family);
  await eraseTask(tx, board.id, id);
  await scrubEvents(tx, board.id, [id]);
  const counts: StatusCounts = {};
  countMove(counts, before.status, null);
  const deleted: NewEvent = {
    kind: 'task.deleted',
    taskId: id,
    lane: before.lane,
    attempt: before.attempt,
    taskVersion: before.version + 1,
    actor,
    data: { status_before: before.status, ...(reason === null ? {} : { reason: eventTextOf(reason) }) },
  };
  await append({
    events: [deleted, ...released.events],
    counts: addCounts(counts, released.counts),
    departures: [{ before, after: null }],
  });
  return true;
}

function isHeld(): ProblemError {
  return new ProblemError(
    'illegal_transition',
    'Somebody works on the task. Cancel or reclaim it first, then delete it.',
    { extensions: { status_before: 'running' } },
  );
}
