/**
 * The worker's ear: a watch on its lane. It hears at once that work waits, and that something happened to a claim
 * it holds. Both are hints: claims are made, and claims are asked after, by requests. A cancel and what people say to the holder of a
 * claim come as they are, and again with the heartbeats of whoever has missed them.
 */
import { LanekeeperError } from '../errors.ts';
import type { WatchOptions } from '../watch/options.ts';
import type { SteeringMessage } from './steering-message.ts';
import type { WorkerClient } from './worker-client.ts';

/** Events after which a running claim may be gone or unwanted. */
const CLAIM_KINDS = [
  'task.cancel_requested',
  'task.cancelled',
  'task.crashed',
  'task.timed_out',
  'task.reclaimed',
  'task.released',
  'task.deleted',
  'lane.taken_over',
];
/** Events after which an empty claim may become a full one. */
const LANE_KINDS = ['lane.resumed', 'lane.updated', 'lane.registered', 'board.updated'];

export interface EarListener {
  readonly onWork: () => void;
  readonly onRunChanged: (runId: string) => void;
  readonly onCancel: (runId: string) => void;
  readonly onSteer: (runId: string, message: SteeringMessage) => void;
  /** A worker has taken the lane over, maybe this one. */
  readonly onTakenOver: (worker: string) => void;
  /** Hints from before are lost: look at everything once. */
  readonly onConnected: () => void;
  /** The socket is not coming back. */
  readonly onGone: (error: unknown) => void;
}

/** Listens until the signal fires; never rejects. */
export async function listenToLane(
  client: WorkerClient,
  who: { readonly lane: string; readonly worker: string; readonly version?: string | undefined },
  listener: EarListener,
  signal: AbortSignal,
): Promise<void> {
  const options: WatchOptions = {
    lanes: [who.lane],
    kinds: [...CLAIM_KINDS, ...LANE_KINDS],
    hello: who,
    onAvailable: (_, ready) => {
      if (ready > 0) listener.onWork();
    },
    onCancel: (frame) => listener.onCancel(frame.run_id),
    onSteer: (frame) => listener.onSteer(frame.run_id, frame.message),
    onState: (state) => {
      if (state === 'live') listener.onConnected();
    },
  };
  while (!signal.aborted) {
    try {
      for await (const event of client.watch(options, signal)) {
        if (event.run_id !== undefined) listener.onRunChanged(event.run_id);
        if (event.kind === 'lane.taken_over' && event.worker !== undefined)
          listener.onTakenOver(event.worker);
        if (LANE_KINDS.includes(event.kind)) listener.onWork();
      }
      return;
    } catch (error) {
      // Without its cursor the watch starts again from now: what was missed is covered by onConnected.
      const canStartAgain = error instanceof LanekeeperError && error.code === 'cursor_expired';
      if (canStartAgain) continue;
      listener.onGone(error);
      return;
    }
  }
}
