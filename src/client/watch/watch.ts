/**
 * Follows the log of a board over a WebSocket: an async iterable of events that survives drops, drains and restarts
 * by resuming from its cursor. Drives the pure machine in machine.ts. Never skips: what it cannot deliver it either
 * fetches again or ends with an error; `cursor_expired` means that the log no longer reaches back to the cursor.
 */
import { CLOSE_CODES } from '../../contract/constants.ts';
import type { Event as LogEvent } from '../../contract/events.ts';
import type { ServerFrame } from '../../contract/frames.ts';
import { onAbort } from '../abort-hub.ts';
import { errorOfProblem, isObject, LanekeeperError, parseObject, UnreachableError } from '../errors.ts';
import { fullJitterMs } from '../timing.ts';
import type { Transport } from '../transport.ts';
import { fillPath } from '../transport.ts';
import { EventQueue } from './event-queue.ts';
import { asError, failureOf } from './failure.ts';
import { LostHello } from './lost-hello.ts';
import type { Effect, Ending, Event as MachineEvent, State, StateName } from './machine.ts';
import { INITIAL, transition } from './machine.ts';
import type { WatchLimits, WatchOptions } from './options.ts';
import { DEFAULT_LIMITS } from './options.ts';
import { admitEvents } from './sequence.ts';
import type { WebSocketConstructor, WebSocketLike } from './socket.ts';
import { loadSocketFactory, openSocket } from './socket.ts';

const WATCH_FRAME_ID = 'watch';
const HELLO_FRAME_ID = 'hello';
/** RFC 6455: normal closure. */
const NORMAL_CLOSE = 1000;

interface Waiter {
  readonly resolve: (result: IteratorResult<LogEvent, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class Watch implements AsyncIterableIterator<LogEvent, undefined> {
  readonly #transport: Transport;
  readonly #options: WatchOptions;
  readonly #board: string;
  readonly #webSocket: WebSocketConstructor | undefined;
  readonly #limits: WatchLimits;
  readonly #queue = new EventQueue<LogEvent>();
  readonly #isDense: boolean;
  readonly #lostHello: LostHello;
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
  /** Until when the first connection must have come about; null once it has. */
  #firstConnectUntil: number | null;
  #detach: () => void = () => undefined;

  constructor(
    context: {
      readonly transport: Transport;
      readonly board: string;
      readonly webSocket: WebSocketConstructor | undefined;
    },
    options: WatchOptions,
    signal: AbortSignal | undefined,
  ) {
    this.#transport = context.transport;
    this.#board = options.board ?? context.board;
    this.#webSocket = context.webSocket;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#resumeCursor = options.after ?? 'now';
    this.#firstConnectUntil = this.#transport.timing.now() + this.#limits.firstConnectMs;
    this.#lostHello = new LostHello(this.#transport.timing.now);
    this.#isDense = !options.lanes && !options.tasks && !options.kinds;
    this.#listenForAborts(signal);
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

  #listenForAborts(signal: AbortSignal | undefined): void {
    const sources = [signal, this.#transport.signal].filter((source) => source !== undefined);
    const abort = (): void => this.#dispatch({ type: 'abort' });
    const undo = sources.map((source) => onAbort(source, abort));
    this.#detach = () => {
      for (const step of undo) step();
    };
    if (sources.some((source) => source.aborted)) queueMicrotask(abort);
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
        this.#schedule(effect.attempts, effect.atLeastMs);
        return;
      case 'cancel_timer':
        clearTimeout(this.#timer);
        return;
      case 'end':
        this.#end(effect.ending);
        return;
    }
  }

  async #open(): Promise<void> {
    const factory = await loadSocketFactory(this.#webSocket);
    if (this.#state.name !== 'connecting') return;
    const path = fillPath('/v1/boards/{board}/watch', { board: this.#board });
    const socket = openSocket(
      factory,
      this.#transport.url.replace(/^http/, 'ws') + path,
      this.#transport.token,
    );
    this.#socket = socket;
    const whenCurrent = (act: () => void) => (): void => {
      if (this.#socket === socket) act();
    };
    socket.addEventListener(
      'open',
      whenCurrent(() => this.#dispatch({ type: 'opened' })),
    );
    socket.addEventListener('error', () => undefined); // A close follows, and that is what counts.
    socket.addEventListener('message', ({ data }) => whenCurrent(() => this.#receive(data))());
    socket.addEventListener('close', ({ code, reason }) =>
      whenCurrent(() => {
        const isExcused = code === CLOSE_CODES.superseded && this.#lostHello.excuse();
        this.#forgetSocket();
        this.#dispatch({ type: 'closed', code, reason, isExcused });
      })(),
    );
    this.#armSilence(this.#limits.connectMs);
  }

  #subscribe(): void {
    const { lanes, tasks, kinds, hello, onOutput } = this.#options;
    const output = onOutput !== undefined || undefined;
    if (hello !== undefined) {
      this.#send({ type: 'hello', id: HELLO_FRAME_ID, ...hello });
      this.#lostHello.onSaid();
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
        this.#firstConnectUntil = null;
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
        else if (frame.id === HELLO_FRAME_ID) this.#lostHello.onAnswered();
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

  /** A refused upgrade is a plain HTTP answer, which a browser hides: the board itself is asked instead. */
  async #probe(): Promise<void> {
    const error = await this.#askBoard();
    // Ended while the question was under way.
    if (this.#state.name !== 'probing') return;
    const isRefusal =
      error instanceof LanekeeperError && error.status >= 400 && error.status < 500 && !error.retryable;
    const isFinal = isRefusal || this.#firstConnectLeftMs() <= 0;
    if (!isFinal) this.#options.onConnectFailure?.(error);
    this.#dispatch({ type: 'probed', error: isFinal ? error : null });
  }

  /** Why there is no socket, as far as a plain request can tell. */
  async #askBoard(): Promise<Error> {
    const { url } = this.#transport;
    try {
      const options = { retry: { attemptsMax: 1 } };
      await this.#transport.request('getBoard', { params: { board: this.#board } }, options);
    } catch (error) {
      return asError(error);
    }
    return new UnreachableError('it answers requests, but opens no WebSocket', { url, cause: undefined });
  }

  #firstConnectLeftMs(): number {
    const until = this.#firstConnectUntil;
    return until === null ? Number.POSITIVE_INFINITY : until - this.#transport.timing.now();
  }

  #schedule(attempts: number, atLeastMs: number): void {
    const { backoffBaseMs: baseMs, backoffCapMs: capMs } = this.#limits;
    const jitterMs = fullJitterMs(attempts, { baseMs, capMs }, this.#transport.timing.random);
    const leftMs = this.#firstConnectLeftMs();
    // The last attempt to connect at all falls on the end of its time, not behind it.
    const delayMs = leftMs > 0 ? Math.min(atLeastMs + jitterMs, leftMs) : atLeastMs + jitterMs;
    this.#timer = setTimeout(() => this.#dispatch({ type: 'timer' }), delayMs);
  }

  #armSilence(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#dispatch({ type: 'silent' }), ms);
  }

  #forgetSocket(): void {
    clearTimeout(this.#silence);
    this.#lostHello.onSocketGone();
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
    this.#failure = failureOf(ending, this.#transport.url);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (this.#failure !== undefined) waiter?.reject(this.#failure);
    else waiter?.resolve({ done: true, value: undefined });
  }
}
