/**
 * How a worker leaves in good order. It lets no claim come any more, settles what it may have claimed without hearing of it, lets what runs
 * finish for a while, then stops it and gives the claims back. A hard stop cuts that short: one round trip is left for all of it.
 */
import { LanekeeperError, UnreachableError } from '../errors.ts';
import type { Claimer } from './claimer.ts';
import type { LaneSocket } from './lane-socket.ts';
import { messageOf } from './plain-text.ts';
import type { RunningClaims } from './running-claims.ts';
import { firstAborted, within } from './waiting.ts';
import type { WorkerLog } from './worker-log.ts';

export interface LeavingOptions {
  /** How long what runs may go on after a drain. */
  readonly drainSeconds: number;
  /** Leaving for reasons of its own, it waits for what runs, however long; only a drain has a limit. */
  readonly isPatient?: boolean | undefined;
  /** It lets what runs finish, for a limited time. */
  readonly onDraining: (runningCount: number) => void;
  readonly log: WorkerLog;
  /** Claim no more, finish or give back what runs. */
  readonly drain: AbortSignal;
  /** Now. */
  readonly hardStop: AbortSignal;
}

/** What is left behind. */
interface Leaving {
  readonly running: RunningClaims;
  readonly socket: Pick<LaneSocket, 'stopClaims'>;
  readonly claimer: Pick<Claimer, 'settle'>;
  /** It has started as many tasks as it was to do. */
  readonly isDone: () => boolean;
}

/** After a hard stop: one round trip to give claims back. */
const HARD_STOP_MS = 2_000;

/** Of a worker that asks for nothing any more. */
export async function leaveInOrder(
  { drain, drainSeconds, hardStop, isPatient = false, onDraining, log }: LeavingOptions,
  { running, socket, claimer, isDone }: Leaving,
): Promise<void> {
  const killed = firstAborted(hardStop);
  await Promise.race([socket.stopClaims(), killed]);
  const settling = settleClaims(running, claimer, log);
  const hasTime = isDone() || (isPatient && !drain.aborted);
  if (running.count > 0 && !hasTime) onDraining(running.count);
  const finished = settling.then(() => running.finished());
  // After the last of as many tasks as it was to do, and for the patient, there is no hurry: the time starts with a signal.
  if (hasTime) await Promise.race([finished, firstAborted(drain, hardStop)]);
  await within(Promise.race([finished, killed]), drainSeconds * 1000);
  running.stopAll();
  await Promise.race([finished, killed]);
  if (hardStop.aborted) await within(finished, HARD_STOP_MS);
}

/** A claim request that was cut off may have claimed: ask, and give back. */
async function settleClaims(
  running: RunningClaims,
  claimer: Pick<Claimer, 'settle'>,
  log: WorkerLog,
): Promise<void> {
  try {
    await running.giveBack(await claimer.settle());
  } catch (error) {
    if (error instanceof UnreachableError || (error instanceof LanekeeperError && error.retryable)) {
      log.warn(
        `left without knowing whether a last claim was made: ${messageOf(error)}; its lease would run out`,
      );
    }
  }
}
