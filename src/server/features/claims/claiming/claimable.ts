/**
 * What events of the log say about work that can be claimed, for all who wait for some: long polls and push lanes. Pure. It may say
 * too much (another server was faster) but must not overlook anything that a claim would find.
 */
import type { Event } from '../../../../contract/events.ts';
import { waitingLaneOf } from '../../tasks/service.ts';

export interface Claimable {
  /** How many more tasks of a lane may be ready, by lane. */
  readonly ready: ReadonlyMap<string, number>;
  /** How many other claims of a lane have ended: under a cap, so many more may be made. */
  readonly room: ReadonlyMap<string, number>;
  /** Lanes whose gate may have opened; null stands for all lanes of the board. */
  readonly changed: ReadonlySet<string | null>;
}

/** Their transactions held the task's lock, and a claim that looked meanwhile skipped it. */
const MAY_HAVE_HIDDEN: ReadonlySet<string> = new Set(['task.updated', 'task.commented']);

/** Who is there decides nothing about what may be claimed. */
const OPENS_NO_GATE: ReadonlySet<string> = new Set(['lane.online', 'lane.offline']);

export function claimableOf(events: readonly Event[]): Claimable {
  const ready = new Map<string, number>();
  const room = new Map<string, number>();
  const changed = new Set<string | null>();
  const count = (counts: Map<string, number>, lane: string): void => {
    counts.set(lane, (counts.get(lane) ?? 0) + 1);
  };
  for (const { kind, lane, data } of events) {
    if ((kind.startsWith('lane.') && !OPENS_NO_GATE.has(kind)) || kind === 'board.updated')
      changed.add(lane ?? null);
    const waiting = waitingLaneOf({ lane, data });
    if (waiting !== null) count(ready, waiting);
    if (lane === undefined) continue;
    if (MAY_HAVE_HIDDEN.has(kind)) count(ready, lane);
    else if (waiting === lane) continue;
    else if (data['status_before'] === 'running' && data['status_after'] !== 'running') count(room, lane);
  }
  return { ready, room, changed };
}
