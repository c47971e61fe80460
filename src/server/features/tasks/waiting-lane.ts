/** Whose turn an event of the log says it is. Pure. */
import type { Event } from '../../../contract/events.ts';

/** The lane for which a task waits after this event, to be worked on or to be reviewed; null: for nobody, or it does not say. */
export function waitingLaneOf({ lane, data }: Pick<Event, 'lane' | 'data'>): string | null {
  const status = data['status_after'];
  if (status !== 'ready' && status !== 'review') return null;
  // What a reviewer's end leaves is another lane's turn than the run's.
  if ('lane_after' in data) return stringOf(data['lane_after']);
  if (status === 'review' && data['reviewer'] === null) return null;
  return lane ?? null;
}

function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
