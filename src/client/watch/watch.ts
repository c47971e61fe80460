/**
 * Follows the log of a board over a WebSocket: an async iterable of events that survives drops, drains and restarts
 * by resuming from its cursor. Drives the pure machine in machine.ts. Never skips: what it cannot deliver it either
 * fetches again or ends with an error; `cursor_expired` means that the log no longer reaches back to the cursor.
 */
import type { Event as LogEvent } from '../../contract/events.ts';
import type { ServerFrame } from '../../contract/frames.ts';
import { errorOfProblem, isObject, parseObject } from '../errors.ts';
import { type DialContext, Dialing } from './dialing.ts';
import { EventQueue } from './event-queue.ts';
import { asError, failureOf } from './failure.ts';
import type { Effect, Ending, Event as MachineEvent, State, StateName } from './machine.ts';
import { INITIAL, transition } from './machine.ts';
import type { WatchLimits, WatchOptions } from './options.ts';
import { DEFAULT_LIMITS } from './options.ts';
import { admitEvents } from './sequence.ts';
import type { WebSocketLike } from './socket.ts';

const WATCH_FRAME_ID = 'watch';
const HELLO_FRAME_ID = 'hello';
/** RFC 6455: normal closure. */
const NORMAL_CLOSE = 1000;

interface Waiter {
  readonly resolve: (result: IteratorResult<LogEvent, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class Watch implements AsyncIterableIterator<LogEvent, undefined> {
  readonly #url: string;
  readonly #options: WatchOptions;
  readonly #limits: WatchLimits;
  readonly #queue = new EventQueue<LogEvent>();
  readonly #isDense: boolean;
  readonly #dialing: Dialing;
  #state: State = INITIAL;
  #socket: WebSocketLike | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Where reading goes on after a reconnect: behind everything in the queue. */
  #resumeCursor: string;
  #cursor: string | undefined;
  #lastSeq: number | null = null;
  #waiter: Waiter | undefined;
  #failure: Error | undefined;
  #isAborted = false;
  readonly #detach: () => void;

  constructor(context: DialContext, options: WatchOptions, signal: AbortSignal | undefined) {
    const { transport } = context;
    const board = options.board ?? context.board;
    const ask = () => transport.request('getBoard', { params: { board } }, { retry: { attemptsMax: 1 } });
    this.#url = transport.url;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#resumeCursor = options.after ?? 'now';
    this.#isDense = !options.lanes && !options.tasks && !options.kinds;
    const { onConnectFailure } = options;
    this.#dialing = new Dialing({ ...context, board, limits: this.#limits, ask, onConnectFailure });
    this.#dialing.begin();
    this.#detach = this.#dialing.onAbort(signal, () => this.#dispatch({ type: 'abort' }));
    this.#dispatch({ type: 'start' });
  }

  /** Everything up to here has been handed to the consumer; persist it to resume in another process. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  get state(): StateName {
    return this.#state.name;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Done once the signal is aborted; rejects when the watch cannot go on. One consumer at a time. */
  next(): Promise<IteratorResult<LogEvent, undefined>> {
    if (this.#isAborted) return Promise.resolve({ done: true, value: undefined });
    const event = this.#queue.shift();
    if (event !== undefined) {
      this.#cursor = event.cursor;
      if (this.#queue.length === 0) this.#dispatch({ type: 'queue_empty' });
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#waiter !== undefined)
      return Promise.reject(new TypeError('A watch has one consumer at a time'));
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<LogEvent, undefined>> {
    this.#dispatch({ type: 'abort' });
    return Promise.resolve({ done: true, value: undefined });
  }

  #dispatch(event: MachineEvent): void {
    const before = this.#state.name;
    const { state, effects } = transition(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (this.#state.name !== before) this.#options.onState?.(this.#state.name);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'open':
        this.#open().catch((error: unknown) => this.#dispatch({ type: 'refused', error: asError(error) }));
        return;
      case 'subscribe':
        this.#subscribe();
        return;
      case 'close':
        this.#dropSocket();
        return;
      case 'probe':
        void this.#probe();
        return;
      case 'schedule':
        this.#timer = setTimeout(
          () => this.#dispatch({ type: 'timer' }),
          this.#dialing.delayMs(effect.attempts, effect.atLeastMs),
        );
        return;
      case 'cancel_timer':
        clearTimeout(this.#timer);
        return;
      case 'end':
        this.#end(effect.ending);
        return;
    }
  }

  #open(): Promise<void> {
    return this.#dialing.open(() => this.#state.name === 'connecting', {
      onMade: (socket) => {
        this.#socket = socket;
        this.#armSilence(this.#limits.connectMs);
      },
      onOpen: () => this.#dispatch({ type: 'opened' }),
      onMessage: (data) => this.#receive(data),
      onClose: (closed) => {
        this.#forgetSocket();
        this.#dispatch({ type: 'closed', ...closed });
      },
    });
  }

  #subscribe(): void {
    const { lanes, tasks, kinds, hello, onOutput } = this.#options;
    const output = onOutput !== undefined || undefined;
    if (hello !== undefined) {
      this.#send({ type: 'hello', id: HELLO_FRAME_ID, ...hello });
      this.#dialing.hello.onSaid();
    }
    this.#send({ type: 'watch', id: WATCH_FRAME_ID, after: this.#resumeCursor, lanes, tasks, kinds, output });
    this.#armSilence(this.#limits.connectMs);
  }

  #send(frame: object): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #receive(data: unknown): void {
    this.#armSilence(this.#limits.silenceMs);
    const frame = typeof data === 'string' ? parseObject(data) : undefined;
    // Frame types that this version does not know are left alone, as the contract asks.
    if (frame !== undefined) this.#handle(frame as unknown as ServerFrame);
  }

  #handle(frame: ServerFrame): void {
    switch (frame.type) {
      case 'watching':
        this.#resumeCursor = frame.cursor;
        this.#cursor ??= frame.cursor;
        this.#dialing.onConnected();
        this.#dispatch({ type: 'subscribed' });
        return;
      case 'events':
        this.#admit(frame.events, frame.cursor);
        return;
      case 'bookmark':
        this.#admit([], frame.cursor);
        return;
      case 'available':
        this.#options.onAvailable?.(frame.lane, frame.ready);
        return;
      case 'output':
        this.#options.onOutput?.(frame);
        return;
      case 'cancel':
        this.#options.onCancel?.(frame);
        return;
      case 'steer':
        this.#options.onSteer?.(frame);
        return;
      case 'reply':
        if (!frame.ok) this.#refuse(frame['problem']);
        else if (frame.id === HELLO_FRAME_ID) this.#dialing.hello.onAnswered();
        return;
      case 'error':
        if (frame.fatal || frame.id === WATCH_FRAME_ID || frame.id === HELLO_FRAME_ID) this.#refuse(frame);
        return;
      case 'drain':
        this.#dispatch({ type: 'drain', reconnectAfterMs: frame.reconnect_after_ms });
        return;
      default:
        return;
    }
  }

  #admit(events: readonly LogEvent[], cursor: string): void {
    const { fresh, hasGap, lastSeq } = admitEvents(events, this.#lastSeq, this.#isDense);
    this.#lastSeq = lastSeq;
    this.#resumeCursor = hasGap ? (fresh.at(-1)?.cursor ?? this.#resumeCursor) : cursor;
    this.#queue.push(fresh);
    if (!hasGap && this.#queue.length === 0) this.#cursor = cursor;
    this.#serveWaiter();
    this.#dispatch({ type: hasGap ? 'gap' : 'progress' });
    if (this.#queue.length >= this.#limits.queueEventsMax) this.#dispatch({ type: 'queue_full' });
  }

  #serveWaiter(): void {
    const waiter = this.#waiter;
    if (waiter === undefined || this.#queue.length === 0) return;
    this.#waiter = undefined;
    this.next().then(waiter.resolve, waiter.reject);
  }

  #refuse(problem: unknown): void {
    const error = errorOfProblem(isObject(problem) ? problem : {}, {});
    this.#dispatch(error.retryable ? { type: 'silent' } : { type: 'refused', error });
  }

  async #probe(): Promise<void> {
    const error = await this.#dialing.probe(() => this.#state.name === 'probing');
    if (error !== undefined) this.#dispatch({ type: 'probed', error });
  }

  #armSilence(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#dispatch({ type: 'silent' }), ms);
  }

  #forgetSocket(): void {
    clearTimeout(this.#silence);
    this.#dialing.forget();
    this.#socket = undefined;
  }

  #dropSocket(): void {
    const socket = this.#socket;
    this.#forgetSocket();
    socket?.close(NORMAL_CLOSE);
  }

  #end(ending: Ending): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#timer);
    this.#detach();
    this.#isAborted = ending.kind === 'aborted';
    this.#failure = failureOf(ending, this.#url);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (this.#failure !== undefined) waiter?.reject(this.#failure);
    else waiter?.resolve({ done: true, value: undefined });
  }
}
