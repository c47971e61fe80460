/** One claim at work, as a lane's loop looks at it: by a process or by a handler. And what the loop gives to whoever works on it. */
import type { PushedClaim } from '../../contract/frames.ts';
import type { LanekeeperError } from '../errors.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { StopReason } from './run-end.ts';
import type { RunLine } from './run-line.ts';
import type { SteeringMessage } from './steering-message.ts';
import type { WorkerClient } from './worker-client.ts';

export interface ClaimRun {
  readonly claim: { readonly run_id: string; readonly task: { readonly id: string } };
  /** Resolves to true when the server knows how it ended, or nobody may say so any more. Never rejects. */
  readonly ended: Promise<boolean>;
  stop(reason: StopReason): void;
  tell(messages: readonly SteeringMessage[]): void;
  /** Nobody waits for it any longer. */
  kill(): void;
}

export interface RunHost {
  readonly client: WorkerClient;
  readonly line: RunLine;
  readonly heartbeats: Heartbeats;
  readonly leaseSeconds: number;
  /** A request will be repeated until the server answers. */
  readonly onAway: (error: unknown) => void;
  /** The claim went with the lane: another worker has taken it over. */
  readonly onTakenOver: (error: LanekeeperError) => void;
  /** The worker leaves. */
  readonly leave: AbortSignal;
  /** Ends retries at once: nobody wants to wait. */
  readonly hardStop: AbortSignal;
}

/** Never throws: what cannot be started has a run that says so. */
export type StartRun<Claim = PushedClaim> = (claim: Claim, host: RunHost) => ClaimRun;
