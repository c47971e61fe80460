/** What a watch is asked for, and its bounds. */
import type { HelloFrame, ServerFrame } from '../../contract/frames.ts';
import type { StateName } from './machine.ts';

type FrameOf<Type extends ServerFrame['type']> = Extract<ServerFrame, { type: Type }>;
/** Lines that a worker printed; `dropped`: how many before them are missing. No part of the log: lost with the socket. */
export type OutputFrame = FrameOf<'output'>;
/** A claim of this worker is to end: by itself until `deadline_at`, then it is taken. */
export type CancelFrame = FrameOf<'cancel'>;
/** What somebody says to the holder of a run; acknowledge it with `client.runs.acknowledge`. */
export type SteerFrame = FrameOf<'steer'>;

export interface WatchOptions {
  /** Default: the client's. */
  readonly board?: string | undefined;
  /** A cursor, "start" (the oldest retained event) or "now" (the default). */
  readonly after?: string | undefined;
  readonly lanes?: readonly string[] | undefined;
  readonly tasks?: readonly string[] | undefined;
  /** Event kinds; "task.*" stands for all of tasks. */
  readonly kinds?: readonly string[] | undefined;
  /** Says hello as this worker: presence, and hints for its lane. */
  readonly hello?: Pick<HelloFrame, 'lane' | 'worker' | 'version'> | undefined;
  /** Work waits for a lane that this socket watches. A hint: coalesced, and lost with the socket. */
  readonly onAvailable?: ((lane: string, ready: number) => void) | undefined;
  /** Also what workers of matching tasks print (filters: lanes and tasks). */
  readonly onOutput?: ((frame: OutputFrame) => void) | undefined;
  /** With `hello`: each cancel once per socket; heartbeats repeat it. */
  readonly onCancel?: ((frame: CancelFrame) => void) | undefined;
  /** With `hello`: each message once per socket; heartbeats repeat it until it is acknowledged. */
  readonly onSteer?: ((frame: SteerFrame) => void) | undefined;
  readonly onState?: ((state: StateName) => void) | undefined;
  /** Why an attempt to connect has failed that is going to be repeated. */
  readonly onConnectFailure?: ((error: Error) => void) | undefined;
  readonly limits?: Partial<WatchLimits> | undefined;
}

export interface WatchLimits {
  /** Events that wait for the consumer before the watch stops reading. One frame may go beyond it. */
  readonly queueEventsMax: number;
  /** Three bookmarks, which a live server sends at least every 15 s. */
  readonly silenceMs: number;
  /** From opening the socket to `watching`. */
  readonly connectMs: number;
  /** Never connected for so long after the start, it fails with what the last attempt met. Once it was, it comes back for ever. */
  readonly firstConnectMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}

/** The queue: about 1 MiB of events. The backoff: a restart is noticed within half a second, an outage costs 4 requests a minute. */
export const DEFAULT_LIMITS: WatchLimits = {
  queueEventsMax: 1000,
  silenceMs: 45_000,
  connectMs: 15_000,
  firstConnectMs: Number.POSITIVE_INFINITY,
  backoffBaseMs: 250,
  backoffCapMs: 15_000,
};
