/**
 * The life of a worker's socket as a pure state machine: which state it is in, what each event turns it into, and what the driver
 * has to do about it. No I/O, no clock, no dice. Complete by type: a new state or event does not compile until every cell says
 * what happens. docs/protocol.md shows the table. It is not that of a watch with more in it: a watch resumes from a cursor and pauses
 * for its consumer; a worker has requests under way, which a lost socket must give up at once.
 */
import { FINAL_CLOSE_CODES } from '../watch/close-codes.ts';

export type PushStateName =
  /** Not started. */
  | 'idle'
  /** A socket is being opened. */
  | 'connecting'
  /** Open; the hello is sent and not answered yet. */
  | 'greeting'
  /** The socket is the worker: claims come, and verbs go. */
  | 'live'
  /** The upgrade failed, and a browser does not say why: a plain request is asking. */
  | 'probing'
  /** Waiting before the next attempt. */
  | 'backing_off'
  /** For good. */
  | 'ended';

export interface PushState {
  readonly name: PushStateName;
  /** Attempts since a socket last was steady: what the backoff grows with. */
  readonly attempts: number;
}

export type PushEvent =
  | { readonly type: 'start' }
  | { readonly type: 'opened' }
  /** Our hello was answered. */
  | { readonly type: 'greeted' }
  /** The socket has been live for long enough that it was no failed attempt. */
  | { readonly type: 'steady' }
  /** The server refused for a reason that trying again does not mend. Not said of credits: what is held may need the socket. */
  | { readonly type: 'refused'; readonly error: Error }
  /** `isExcused`: its code is final for others, and here there is a reason to try again. */
  | {
      readonly type: 'closed';
      readonly code: number;
      readonly reason?: string | undefined;
      readonly isExcused?: boolean;
    }
  | { readonly type: 'drain'; readonly reconnectAfterMs: number }
  /** Nothing was heard, or a frame not answered, for longer than a live server takes. */
  | { readonly type: 'silent' }
  | { readonly type: 'timer' }
  /** The plain request's verdict: an error is final, null means that it was only the network. */
  | { readonly type: 'probed'; readonly error: Error | null }
  | { readonly type: 'abort' };

export type PushEffect =
  | { readonly type: 'open' }
  | { readonly type: 'greet' }
  /** Requests may go, and credits are sent anew. */
  | { readonly type: 'resume' }
  /** What was sent gets no answer from this socket any more: whoever asked finds another way. Credits are gone. */
  | { readonly type: 'strand' }
  | { readonly type: 'close' }
  | { readonly type: 'probe' }
  /** Wait: with full jitter by attempts, or as long as the server asked for. */
  | { readonly type: 'schedule'; readonly attempts: number; readonly atLeastMs: number }
  | { readonly type: 'cancel_timer' }
  | { readonly type: 'end'; readonly ending: PushEnding };

export type PushEnding =
  | { readonly kind: 'aborted' }
  | { readonly kind: 'refused'; readonly error: Error }
  | { readonly kind: 'close_code'; readonly code: number; readonly reason?: string | undefined };

export interface PushTransition {
  readonly state: PushState;
  readonly effects: readonly PushEffect[];
}

type Handler<E> = (state: PushState, event: E) => PushTransition;
type EventOf<Type extends PushEvent['type']> = Extract<PushEvent, { type: Type }>;
type Row = { readonly [T in PushEvent['type']]: Handler<EventOf<T>> };

export const PUSH_INITIAL: PushState = { name: 'idle', attempts: 0 };

function to(state: PushState, name: PushStateName, ...effects: PushEffect[]): PushTransition {
  return { state: { ...state, name }, effects };
}

const stay: Handler<unknown> = (state) => ({ state, effects: [] });

function end(state: PushState, ending: PushEnding, ...before: PushEffect[]): PushTransition {
  return to(state, 'ended', ...before, { type: 'end', ending });
}

function backOff(state: PushState, atLeastMs: number, ...before: PushEffect[]): PushTransition {
  const attempts = state.attempts + 1;
  const schedule: PushEffect = { type: 'schedule', attempts, atLeastMs };
  return { state: { ...state, name: 'backing_off', attempts }, effects: [...before, schedule] };
}

/** What nothing can bring about in a state without a socket, and what does not matter there. */
const NOTHING: Row = {
  start: stay,
  opened: stay,
  greeted: stay,
  steady: stay,
  refused: stay,
  closed: stay,
  drain: stay,
  silent: stay,
  timer: stay,
  probed: stay,
  abort: (state) => end(state, { kind: 'aborted' }),
};

/** @param leaving What there is to do when the socket is left, however that comes. */
function onOpenSocket(...leaving: PushEffect[]): Row {
  const close: PushEffect = { type: 'close' };
  return {
    ...NOTHING,
    refused: (state, { error }) => end(state, { kind: 'refused', error }, close, ...leaving),
    closed: (state, { code, reason, isExcused = false }) =>
      FINAL_CLOSE_CODES.has(code) && !isExcused
        ? end(state, { kind: 'close_code', code, reason }, ...leaving)
        : backOff(state, 0, ...leaving),
    drain: (state, { reconnectAfterMs }) =>
      backOff({ ...state, attempts: 0 }, reconnectAfterMs, close, ...leaving),
    silent: (state) => backOff(state, 0, close, ...leaving),
    abort: (state) => end(state, { kind: 'aborted' }, close, ...leaving),
  };
}

const TABLE: { readonly [S in PushStateName]: Row } = {
  idle: { ...NOTHING, start: (state) => to(state, 'connecting', { type: 'open' }) },
  connecting: {
    ...NOTHING,
    opened: (state) => to(state, 'greeting', { type: 'greet' }),
    refused: (state, { error }) => end(state, { kind: 'refused', error }, { type: 'close' }),
    closed: (state) => to(state, 'probing', { type: 'probe' }),
    silent: (state) => to(state, 'probing', { type: 'close' }, { type: 'probe' }),
    abort: (state) => end(state, { kind: 'aborted' }, { type: 'close' }),
  },
  greeting: { ...onOpenSocket(), greeted: (state) => to(state, 'live', { type: 'resume' }) },
  live: {
    ...onOpenSocket({ type: 'strand' }),
    steady: (state) => ({ state: { ...state, attempts: 0 }, effects: [] }),
  },
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
  ended: { ...NOTHING, abort: stay },
};

export function pushTransition(state: PushState, event: PushEvent): PushTransition {
  // The row's handler of this very type; TypeScript cannot follow the pair through the lookup.
  const handler = TABLE[state.name][event.type] as Handler<PushEvent>;
  return handler(state, event);
}
