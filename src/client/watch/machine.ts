/**
 * The life of one watch as a pure state machine: which state it is in, what each event turns it into, and what the
 * driver has to do about it. No I/O, no clock, no dice. Complete by type: a new state or event does not compile
 * until every cell says what happens.
 */
import { FINAL_CLOSE_CODES } from './close-codes.ts';

export type StateName =
  /** Not started. */
  | 'idle'
  /** A socket is being opened. */
  | 'connecting'
  /** Open; the watch frame is sent and not answered yet. */
  | 'subscribing'
  /** Events flow. */
  | 'live'
  /** The upgrade failed, and a browser does not say why: a plain request is asking. */
  | 'probing'
  /** Waiting before the next attempt. */
  | 'backing_off'
  /** Closed by us because the consumer lags; goes on from its cursor when the queue is empty. */
  | 'paused'
  /** For good. */
  | 'ended';

export interface State {
  readonly name: StateName;
  /** Attempts since events last flowed: what the backoff grows with. */
  readonly attempts: number;
  /** Gaps in seq seen in a row. */
  readonly gaps: number;
}

export type Event =
  | { readonly type: 'start' }
  | { readonly type: 'opened' }
  /** `watching` arrived. */
  | { readonly type: 'subscribed' }
  /** Events or a bookmark arrived, in order. */
  | { readonly type: 'progress' }
  /** An event is missing between two that arrived. */
  | { readonly type: 'gap' }
  /** The server refused for a reason that trying again does not mend. */
  | { readonly type: 'refused'; readonly error: Error }
  /** `isExcused`: its code is final for others, and here there is a reason to try again. */
  | {
      readonly type: 'closed';
      readonly code: number;
      readonly reason?: string | undefined;
      readonly isExcused?: boolean;
    }
  | { readonly type: 'drain'; readonly reconnectAfterMs: number }
  /** Nothing arrived for longer than a live server stays silent. */
  | { readonly type: 'silent' }
  | { readonly type: 'queue_full' }
  | { readonly type: 'queue_empty' }
  | { readonly type: 'timer' }
  /** The plain request's verdict: an error is final, null means that it was only the network. */
  | { readonly type: 'probed'; readonly error: Error | null }
  | { readonly type: 'abort' };

export type Effect =
  | { readonly type: 'open' }
  | { readonly type: 'subscribe' }
  | { readonly type: 'close' }
  | { readonly type: 'probe' }
  /** Wait: with full jitter by attempts, or as long as the server asked for. */
  | { readonly type: 'schedule'; readonly attempts: number; readonly atLeastMs: number }
  | { readonly type: 'cancel_timer' }
  | { readonly type: 'end'; readonly ending: Ending };

export type Ending =
  | { readonly kind: 'aborted' }
  | { readonly kind: 'refused'; readonly error: Error }
  | { readonly kind: 'close_code'; readonly code: number; readonly reason?: string | undefined }
  | { readonly kind: 'gap' };

export interface Transition {
  readonly state: State;
  readonly effects: readonly Effect[];
}

type Handler<E> = (state: State, event: E) => Transition;
type Row = { readonly [T in Event['type']]: Handler<Extract<Event, { type: T }>> };

export const INITIAL: State = { name: 'idle', attempts: 0, gaps: 0 };

/** A second gap without progress in between is no accident of one connection: the log itself seems to have it. */
const GAPS_MAX = 1;

function to(state: State, name: StateName, ...effects: Effect[]): Transition {
  return { state: { ...state, name }, effects };
}

const stay: Handler<unknown> = (state) => ({ state, effects: [] });

function end(state: State, ending: Ending, ...before: Effect[]): Transition {
  return to(state, 'ended', ...before, { type: 'end', ending });
}

function backOff(state: State, atLeastMs: number, ...before: Effect[]): Transition {
  const attempts = state.attempts + 1;
  const schedule: Effect = { type: 'schedule', attempts, atLeastMs };
  return { state: { ...state, name: 'backing_off', attempts }, effects: [...before, schedule] };
}

const onOpenSocketClosed: Handler<Extract<Event, { type: 'closed' }>> = (
  state,
  { code, reason, isExcused = false },
) =>
  FINAL_CLOSE_CODES.has(code) && !isExcused
    ? end(state, { kind: 'close_code', code, reason })
    : backOff(state, 0);

const closeAndEnd: Handler<unknown> = (state) => end(state, { kind: 'aborted' }, { type: 'close' });
const closeAndRefuse: Handler<{ readonly error: Error }> = (state, { error }) =>
  end(state, { kind: 'refused', error }, { type: 'close' });
const closeAndBackOff: Handler<unknown> = (state) => backOff(state, 0, { type: 'close' });
const closeAndDrain: Handler<{ readonly reconnectAfterMs: number }> = (state, { reconnectAfterMs }) =>
  backOff({ ...state, attempts: 0 }, reconnectAfterMs, { type: 'close' });
const closeAndPause: Handler<unknown> = (state) => to(state, 'paused', { type: 'close' });

const onGap: Handler<unknown> = (state) =>
  state.gaps >= GAPS_MAX
    ? end(state, { kind: 'gap' }, { type: 'close' })
    : backOff({ ...state, gaps: state.gaps + 1 }, 0, { type: 'close' });

const progress: Handler<unknown> = (state) => ({ state: { ...state, attempts: 0, gaps: 0 }, effects: [] });

/** What nothing can bring about in a state without a socket, and what does not matter there. */
const NOTHING: Row = {
  start: stay,
  opened: stay,
  subscribed: stay,
  progress: stay,
  gap: stay,
  refused: stay,
  closed: stay,
  drain: stay,
  silent: stay,
  queue_full: stay,
  queue_empty: stay,
  timer: stay,
  probed: stay,
  abort: (state) => end(state, { kind: 'aborted' }),
};

const OPEN_SOCKET: Row = {
  ...NOTHING,
  refused: closeAndRefuse,
  closed: onOpenSocketClosed,
  drain: closeAndDrain,
  silent: closeAndBackOff,
  queue_full: closeAndPause,
  abort: closeAndEnd,
};

const TABLE: { readonly [S in StateName]: Row } = {
  idle: { ...NOTHING, start: (state) => to(state, 'connecting', { type: 'open' }) },
  connecting: {
    ...NOTHING,
    opened: (state) => to(state, 'subscribing', { type: 'subscribe' }),
    refused: closeAndRefuse,
    closed: (state) => to(state, 'probing', { type: 'probe' }),
    silent: (state) => to(state, 'probing', { type: 'close' }, { type: 'probe' }),
    abort: closeAndEnd,
  },
  subscribing: { ...OPEN_SOCKET, subscribed: (state) => to(state, 'live') },
  live: { ...OPEN_SOCKET, progress, gap: onGap },
  probing: {
    ...NOTHING,
    probed: (state, { error }) =>
      error === null ? backOff(state, 0) : end(state, { kind: 'refused', error }),
  },
  backing_off: {
    ...NOTHING,
    timer: (state) => to(state, 'connecting', { type: 'open' }),
    abort: (state) => end(state, { kind: 'aborted' }, { type: 'cancel_timer' }),
  },
  paused: {
    ...NOTHING,
    queue_empty: (state) => to({ ...state, attempts: 0 }, 'connecting', { type: 'open' }),
  },
  ended: { ...NOTHING, abort: stay },
};

export function transition(state: State, event: Event): Transition {
  // The row's handler of this very type; TypeScript cannot follow the pair through the lookup.
  const handler = TABLE[state.name][event.type] as Handler<Event>;
  return handler(state, event);
}
