/** The last step of every transaction that moves tasks: delegations that wait for them are decided, and all of it goes to the log. */
import type { Tx } from '../../../db/client.ts';
import { appendEvents, type LogChange, type LogPosition } from '../../../db/event-log.ts';
import type { LockedTask } from '../store/change.ts';
import { type Departure, settleJoins } from './settle.ts';

export interface TaskChange extends LogChange {
  /** Tasks of it that may have ended; others do no harm. */
  readonly departures?: readonly Departure[];
  /** Tasks that wait for something new, which may have been cancelled. */
  readonly cut?: readonly LockedTask[];
}

export async function appendChange(
  tx: Tx,
  boardId: number,
  { departures = [], cut = [], ...change }: TaskChange,
): Promise<LogPosition> {
  const decided = await settleJoins(tx, boardId, departures, cut);
  return appendEvents(tx, boardId, { ...change, events: [...change.events, ...decided] });
}
