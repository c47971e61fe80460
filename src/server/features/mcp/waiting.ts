/**
 * How a tool waits: for events of the log, never longer than its client, and never so that it harms whoever waits. The holder of a run is
 * heard of while it waits, so that its claim does not run out during its own call, and stops waiting when it is to hear something.
 */

import type { Event } from '../../../contract/events.ts';
import type { HeartbeatReply } from '../../../contract/runs.ts';
import { EVENT_KINDS } from '../../../contract/statuses.ts';
import type { ClaimPrincipal } from '../../kernel/principal.ts';
import { waitForEvent } from '../watch/service.ts';
import { beat, isToHear } from './holding.ts';
import type { ToolCall } from './tool.ts';

/** All that may change how a task stands, or tell its holder something. */
export const TASK_KINDS: ReadonlySet<string> = new Set(
  EVENT_KINDS.filter(
    (kind) => kind.startsWith('task.') && !['heartbeat', 'progress', 'commented'].includes(kind.slice(5)),
  ),
);

export const TELLING_KINDS = ['task.steered', 'task.cancel_requested'] as const;

interface Wait<T> {
  readonly board: string;
  /** Whose claim is kept meanwhile; null: who waits holds none. */
  readonly holder: ClaimPrincipal | null;
  readonly waitSeconds: number;
  /** Which events are worth another look. null: of every task. */
  readonly kinds: ReadonlySet<string>;
  readonly tasks: ReadonlySet<string> | null;
  readonly isMeant?: (event: Event) => boolean;
  readonly read: () => Promise<T>;
  readonly isDone: (value: T) => boolean;
}

export interface Waited<T> {
  readonly value: T;
  /** Of its holder; null: there is none. */
  readonly heard: HeartbeatReply | null;
}

/** Looks again after every event that may have changed it, until it is done; at the end of the wait, as it is then. */
export async function waitFor<T>(call: ToolCall, wait: Wait<T>): Promise<Waited<T>> {
  const { board, holder, waitSeconds, kinds, tasks, isMeant, read, isDone } = wait;
  const { parts, exchange } = call;
  const { signal } = exchange;
  const deadline = performance.now() + waitSeconds * 1000;
  const look = async (): Promise<Waited<T>> => ({
    value: await read(),
    heard: holder === null ? null : await beat(call, holder),
  });
  const isOver = ({ value, heard }: Waited<T>): boolean =>
    isDone(value) || isToHear(heard) || signal.aborted || performance.now() >= deadline;
  // Who may not see it is told so before anything is followed.
  const first = await look();
  if (isOver(first)) return first;
  const followed = async (): Promise<Waited<T>> => {
    const ref = await parts.boards.resolve(board);
    const filter = { kinds, lanes: null, tasks };
    for (;;) {
      const { seq } = await parts.feeds.ends(ref);
      const found = await look();
      if (isOver(found)) return found;
      const leftSeconds = (deadline - performance.now()) / 1000;
      await waitForEvent({
        feeds: parts.feeds,
        board: ref,
        afterSeq: seq,
        filter,
        ...(isMeant === undefined ? {} : { isMeant }),
        waitSeconds: Math.min(leftSeconds, beatSecondsOf(found.heard)),
        signal,
      });
    }
  };
  return parts.waits.during(call.caller, () => call.whileWaiting(followed()));
}

/**
 * Leases are counted by the database's clock, and what is left of one is seen here by this machine's: at most so long, so that clocks which
 * are some seconds apart do no harm to a lease of a minute or more.
 */
const BEAT_SECONDS_MAX = 15;
/** The shortest lease is a second. */
const BEAT_SECONDS_MIN = 0.25;

/** Until the holder must be heard of again: a third of its lease. */
export function beatSecondsOf(heard: HeartbeatReply | null): number {
  if (heard === null) return Number.POSITIVE_INFINITY;
  const leaseSeconds = (Date.parse(heard.lease_expires_at) - Date.now()) / 1000;
  return Math.min(BEAT_SECONDS_MAX, Math.max(BEAT_SECONDS_MIN, leaseSeconds / 3));
}
