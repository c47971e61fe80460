/** What a push link is asked for, and its bounds. */
import type { HelloFrame, PushedClaim } from '../../contract/frames.ts';
import type { LanekeeperError } from '../errors.ts';
import type { CancelFrame, SteerFrame } from '../watch/options.ts';
import type { PushStateName } from './push-machine.ts';

export interface PushOptions extends Pick<HelloFrame, 'lane' | 'worker' | 'version'> {
  /** false: claims come without a token; then nothing but a socket can speak for them. Default true: requests can while it is away. */
  readonly tokens?: boolean | undefined;
  /** What is held when the socket closes ends as crashed instead of going on. Default false. */
  readonly crashOnDisconnect?: boolean | undefined;
  /** Acknowledged already. Also one that was on its way when credits were taken back: work on it, or release it. */
  readonly onClaim: (claim: PushedClaim) => void;
  /** Each cancel once per socket; heartbeats repeat it. */
  readonly onCancel?: ((frame: CancelFrame) => void) | undefined;
  /** Each message once per socket; heartbeats repeat it until it is acknowledged. */
  readonly onSteer?: ((frame: SteerFrame) => void) | undefined;
  /** It was ended by somebody else, or taken back before our acknowledgement came: a heartbeat asks. */
  readonly onClaimLost?: ((runId: string, error: LanekeeperError) => void) | undefined;
  /** No claim will come any more: the lane is gone, or none to push to. The socket stays, for what is held. */
  readonly onCreditsEnded?: ((error: LanekeeperError) => void) | undefined;
  /** Another worker has taken the lane over; what it has taken of ours comes by itself. */
  readonly onTakenOver?: ((worker: string) => void) | undefined;
  /** On `live` after an interruption, a heartbeat for every run that is held tells which of them are still ours. */
  readonly onState?: ((state: PushStateName) => void) | undefined;
  /** Why an attempt to connect has failed that is going to be repeated. */
  readonly onConnectFailure?: ((error: Error) => void) | undefined;
  readonly limits?: Partial<PushLimits> | undefined;
}

export interface PushLimits {
  /** Nothing heard for so long: the server is asked for a sign of life. Its pings are not visible here. */
  readonly quietMs: number;
  /** Nothing heard for so long: the socket is given up. */
  readonly silenceMs: number;
  /** From opening the socket to the answer to our hello. */
  readonly connectMs: number;
  /** A socket that leaves a frame without its reply for so long is given up. */
  readonly replyMs: number;
  /** A socket that has lasted so long was no failed attempt: the backoff begins anew. */
  readonly steadyMs: number;
  /** Never connected for so long after the start, it fails with what the last attempt met. Once it was, it comes back for ever. */
  readonly firstConnectMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** How often the times above are looked at: one timer for all. */
  readonly lookMs: number;
  /** Sent and not answered. */
  readonly requestsMax: number;
}

/**
 * The backoff is that of a watch. Quiet and silence: below the minute after which the server takes a worker for gone. A reply: what the server gives
 * a database that is away, twice. Requests: for each of the most claims there are credits for an end, a heartbeat, output and an acknowledgement.
 */
export const PUSH_LIMITS: PushLimits = {
  quietMs: 20_000,
  silenceMs: 45_000,
  connectMs: 15_000,
  replyMs: 30_000,
  steadyMs: 15_000,
  firstConnectMs: Number.POSITIVE_INFINITY,
  backoffBaseMs: 250,
  backoffCapMs: 15_000,
  lookMs: 1000,
  requestsMax: 4000,
};
