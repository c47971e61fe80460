/**
 * One socket of a worker in push mode: says hello, takes what is pushed, and carries the verbs of the holder, through drops, drains and restarts.
 * Drives the pure machine in push-machine.ts; which claims can come, push-credits.ts keeps, and what is asked of the server, push-requests.ts.
 * Never decides about a claim: what is held, kept alive and ended is the worker's.
 */
import { CLOSE_CODES } from '../../contract/constants.ts';
import type { PushedClaim, ServerFrame } from '../../contract/frames.ts';
import { onAbort } from '../abort-hub.ts';
import { errorOfProblem, LanekeeperError, parseObject, UnreachableError } from '../errors.ts';
import { fullJitterMs } from '../timing.ts';
import type { Transport } from '../transport.ts';
import { fillPath } from '../transport.ts';
import { asError, failureOf } from '../watch/failure.ts';
import { LostHello } from '../watch/lost-hello.ts';
import { loadSocketFactory, openSocket } from '../watch/socket.ts';
import { CLAIM_KINDS } from './claim-events.ts';
import { PushArrivals } from './push-arrivals.ts';
import { PushCredits } from './push-credits.ts';
import type { PushEffect, PushEnding, PushEvent, PushState, PushStateName } from './push-machine.ts';
import { PUSH_INITIAL, pushTransition } from './push-machine.ts';
import type { PushContext, PushLimits, PushOptions } from './push-options.ts';
import { PUSH_LIMITS } from './push-options.ts';
import { PushPulse } from './push-pulse.ts';
import { PushRequests } from './push-requests.ts';
import { atEndOfTurn, PushSocket } from './push-socket.ts';
import type { EndAnswer, RunEnd } from './run-end.ts';
import type { HeartbeatAnswer, HeartbeatBody } from './run-line.ts';

const HELLO_ID = 'hello';
const CREDIT_ID = 'credit';
const WATCH_ID = 'lane';
/** Of a watch that does not exist: to end it is refused, which is a sign of life and costs the server nothing. */
const ALIVE_ID = 'alive';
/** RFC 6455: normal closure. */
const NORMAL_CLOSE = 1000;

interface EndReply {
  readonly outcome: string | null;
  readonly task_status: string;
}

export class PushLink {
  readonly #transport: Transport;
  readonly #context: PushContext;
  readonly #options: PushOptions;
  readonly #limits: PushLimits;
  readonly #credits = new PushCredits();
  readonly #requests: PushRequests;
  readonly #arrivals: PushArrivals;
  readonly #pulse: PushPulse;
  readonly #lostHello: LostHello;
  #state: PushState = PUSH_INITIAL;
  #socket: PushSocket | undefined;
  #isTurnEnding = false;
  /** false: they were refused a moment ago. */
  #areCreditsDue = true;
  /** It was refused for a reason that passes. */
  #isWatchDue = false;
  /** For good: none are asked for any more. */
  #areCreditsOver = false;
  /** When the credits were sent that are not answered yet; null: none. */
  #creditsSentAtMs: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looks: ReturnType<typeof setInterval> | undefined;
  /** Until when the first connection must have come about; null once it has. */
  #firstConnectUntil: number | null = null;
  /** Waits for the credits to run dry. */
  #whenDry: (() => void)[] = [];
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #detach: () => void = () => undefined;

  constructor(context: PushContext, options: PushOptions) {
    const { transport } = context;
    this.#context = context;
    this.#transport = transport;
    this.#options = options;
    this.#limits = { ...PUSH_LIMITS, ...options.limits };
    this.#lostHello = new LostHello(transport.timing.now);
    this.#requests = new PushRequests({
      limits: this.#limits,
      now: transport.timing.now,
      url: transport.url,
    });
    this.#pulse = new PushPulse(this.#limits, transport.timing.now);
    this.#arrivals = new PushArrivals({
      acknowledge: (claims) => this.#acknowledgeClaims(claims),
      handOn: (claim) => options.onClaim(claim),
    });
  }

  get state(): PushStateName {
    return this.#state.name;
  }

  /**
   * Connects, and stays connected until the signal is aborted or `close` is called. Rejects with LanekeeperError when trying again would
   * meet the same answer: `superseded`, `unauthenticated`, `forbidden`, `lane_not_found`, … Once in its life.
   */
  run(signal?: AbortSignal): Promise<void> {
    if (this.#settle !== undefined || this.#state.name !== 'idle')
      return Promise.reject(new TypeError('A push link runs once'));
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#firstConnectUntil = this.#transport.timing.now() + this.#limits.firstConnectMs;
      this.#listenForAborts(signal);
      this.#looks = setInterval(() => this.#look(), this.#limits.lookMs);
      this.#dispatch({ type: 'start' });
    });
  }

  /**
   * How many more claims the worker would take now: what it wants to hold less what it holds. To be called whenever that has changed; frames are
   * sent when they are due, one for many calls. Kept over reconnects.
   */
  setCredits(count: number): void {
    this.#credits.setRoom(count - this.#arrivals.unknownCount);
    this.#endTurnSoon();
  }

  /** Takes the credits back; resolves when no claim can come any more. Those that were on their way come before. */
  async stopClaims(): Promise<void> {
    this.setCredits(0);
    if (this.#state.name !== 'live' || this.#credits.isDry) return;
    await new Promise<void>((resolve) => this.#whenDry.push(resolve));
  }

  /**
   * One attempt on the socket there is. Rejects with UnreachableError when there is none, or it goes before the reply has come, and with
   * LanekeeperError as `client.runs` does. So do the other verbs.
   */
  async end(runId: string, end: RunEnd): Promise<EndAnswer> {
    const { outcome, task_status } = (await this.#requests.ask(runId, end)) as EndReply;
    return { outcome, taskStatus: task_status };
  }

  heartbeat(runId: string, body: HeartbeatBody): Promise<HeartbeatAnswer> {
    // The cast is the parser, as in the transport.
    return this.#requests.ask(runId, { verb: 'heartbeat', body }) as Promise<HeartbeatAnswer>;
  }

  async output(runId: string, lines: readonly string[]): Promise<void> {
    await this.#requests.ask(runId, { verb: 'output', body: { lines: [...lines] } });
  }

  /** Of steering messages. */
  async acknowledge(runId: string, ids: readonly string[]): Promise<void> {
    await this.#requests.ask(runId, { verb: 'ack', body: { ids: [...ids] } });
  }

  /** Leaves; `run` resolves. Whoever holds claims ends them first: afterwards only requests are left for them. */
  close(): void {
    this.#dispatch({ type: 'abort' });
  }

  #listenForAborts(signal: AbortSignal | undefined): void {
    const sources = [signal, this.#transport.signal].filter((source) => source !== undefined);
    const abort = (): void => this.close();
    const undo = sources.map((source) => onAbort(source, abort));
    this.#detach = () => {
      for (const step of undo) step();
    };
    if (sources.some((source) => source.aborted)) queueMicrotask(abort);
  }

  #dispatch(event: PushEvent): void {
    const before = this.#state.name;
    const { state, effects } = pushTransition(this.#state, event);
    this.#state = state;
    if (state.name !== before) this.#pulse.onState();
    for (const effect of effects) this.#perform(effect);
    if (this.#state.name !== before) this.#options.onState?.(this.#state.name);
  }

  #perform(effect: PushEffect): void {
    switch (effect.type) {
      case 'open':
        this.#open().catch((error: unknown) => this.#dispatch({ type: 'refused', error: asError(error) }));
        return;
      case 'greet':
        this.#greet();
        return;
      case 'resume':
        this.#firstConnectUntil = null;
        this.#requests.resume((text) => this.#send(text));
        this.#watch();
        this.#endTurnSoon();
        return;
      case 'strand':
        this.#strand();
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
    const { transport, board, webSocket } = this.#context;
    const factory = await loadSocketFactory(webSocket);
    if (this.#state.name !== 'connecting') return;
    const path = fillPath('/v1/boards/{board}/watch', { board });
    const raw = openSocket(factory, transport.url.replace(/^http/, 'ws') + path, transport.token);
    const socket = new PushSocket(raw);
    this.#socket = socket;
    this.#pulse.hear();
    const whenCurrent = (act: () => void): void => {
      if (this.#socket === socket) act();
    };
    raw.addEventListener('open', () => whenCurrent(() => this.#dispatch({ type: 'opened' })));
    raw.addEventListener('error', () => undefined); // A close follows, and that is what counts.
    raw.addEventListener('message', ({ data }) => whenCurrent(() => this.#receive(data)));
    raw.addEventListener('close', ({ code, reason }) =>
      whenCurrent(() => {
        const isExcused = code === CLOSE_CODES.superseded && this.#lostHello.excuse();
        this.#forgetSocket();
        this.#dispatch({ type: 'closed', code, reason, isExcused });
      }),
    );
  }

  #greet(): void {
    const { lane, worker, version, tokens, crashOnDisconnect } = this.#options;
    const flags = { tokens, crash_on_disconnect: crashOnDisconnect };
    this.#send(JSON.stringify({ type: 'hello', id: HELLO_ID, lane, worker, version, ...flags }));
    this.#lostHello.onSaid();
  }

  /** From now: what was missed before, a heartbeat for every run tells. */
  #watch(): void {
    const { lane, onEvent } = this.#options;
    this.#isWatchDue = false;
    if (onEvent === undefined) return;
    this.#send(JSON.stringify({ type: 'watch', id: WATCH_ID, lanes: [lane], kinds: CLAIM_KINDS }));
  }

  #send(text: string): void {
    this.#socket?.send(text);
    this.#endTurnSoon();
  }

  /** What is said in one turn leaves together, and credits are counted once for all that happened in it. */
  #endTurnSoon(): void {
    if (this.#isTurnEnding) return;
    this.#isTurnEnding = true;
    atEndOfTurn(() => {
      this.#isTurnEnding = false;
      this.#grant();
      this.#socket?.flush();
      this.#tellWhenDry();
    });
  }

  #grant(): void {
    if (this.#state.name !== 'live' || !this.#areCreditsDue || this.#areCreditsOver) return;
    const credits = this.#credits.next();
    if (credits === null) return;
    this.#creditsSentAtMs = this.#transport.timing.now();
    const { lane } = this.#options;
    this.#socket?.send(JSON.stringify({ type: 'credit', id: CREDIT_ID, lane, credits }));
  }

  #receive(data: unknown): void {
    this.#pulse.hear();
    const frame = typeof data === 'string' ? parseObject(data) : undefined;
    // Frame types that this version does not know are left alone, as the contract asks.
    if (frame !== undefined) this.#handle(frame as unknown as ServerFrame);
  }

  #handle(frame: ServerFrame): void {
    switch (frame.type) {
      case 'claim':
        this.#take(frame.claim);
        return;
      case 'reply':
        this.#takeReply(frame);
        return;
      case 'cancel':
        this.#arrivals.pass();
        this.#options.onCancel?.(frame);
        return;
      case 'steer':
        this.#arrivals.pass();
        this.#options.onSteer?.(frame);
        return;
      case 'error':
        this.#takeError(frame);
        return;
      case 'events':
        this.#arrivals.pass();
        for (const event of frame.events) this.#options.onEvent?.(event);
        return;
      case 'drain':
        this.#dispatch({ type: 'drain', reconnectAfterMs: frame.reconnect_after_ms });
        return;
      default:
        return;
    }
  }

  #take(claim: PushedClaim): void {
    this.#credits.onClaim();
    this.#arrivals.add(claim);
  }

  #acknowledgeClaims(claims: readonly PushedClaim[]): void {
    for (const { run_id } of claims) this.#socket?.send(JSON.stringify({ type: 'claim_ack', run_id }));
    this.#socket?.flush();
  }

  #takeReply(frame: Extract<ServerFrame, { type: 'reply' }>): void {
    if (frame.id === HELLO_ID) {
      this.#lostHello.onAnswered();
      this.#dispatch({ type: 'greeted' });
    } else if (frame.id === CREDIT_ID) {
      this.#creditsSentAtMs = null;
      this.#credits.onAnswered();
      this.#endTurnSoon();
    } else this.#requests.onReply(frame);
  }

  #takeError(frame: Extract<ServerFrame, { type: 'error' }>): void {
    const error = errorOfProblem(frame);
    if (frame.fatal || frame.id === HELLO_ID) this.#refuse(error);
    else if (frame.id === CREDIT_ID) {
      this.#creditsSentAtMs = null;
      this.#credits.onRefused();
      this.#onCreditsRefused(error);
    } else if (frame.id === WATCH_ID) this.#isWatchDue = error.retryable;
    else if (frame.run_id !== undefined) this.#options.onClaimLost?.(frame.run_id, error);
    else if (frame.id === undefined) {
      // The server has dropped them: the lane is gone, or not one to push to any more.
      this.#credits.reset();
      this.#onCreditsRefused(error);
    }
  }

  /**
   * What may pass is tried again at the next look. What does not ends the claims that come, and not the socket: claims without a token
   * have nothing else to speak for them.
   */
  #onCreditsRefused(error: LanekeeperError): void {
    this.#areCreditsDue = false;
    if (error.retryable || this.#areCreditsOver) return;
    this.#areCreditsOver = true;
    this.#credits.reset();
    this.#endTurnSoon();
    this.#options.onCreditsEnded?.(error);
  }

  #tellWhenDry(): void {
    if (this.#state.name === 'live' && !this.#credits.isDry) return;
    const waiting = this.#whenDry;
    this.#whenDry = [];
    for (const resolve of waiting) resolve();
  }

  #refuse(error: LanekeeperError): void {
    this.#dispatch(error.retryable ? { type: 'silent' } : { type: 'refused', error });
  }

  #strand(): void {
    this.#creditsSentAtMs = null;
    this.#credits.reset();
    this.#requests.strand();
    this.#tellWhenDry();
  }

  /** The one timer behind all bounds in time. */
  #look(): void {
    const verdict = this.#pulse.look(this.#state.name, this.#isOverdue);
    if (verdict === 'silent' || verdict === 'steady') this.#dispatch({ type: verdict });
    if (verdict === 'ask') this.#send(JSON.stringify({ type: 'unwatch', id: ALIVE_ID }));
    if (this.#isWatchDue && this.#state.name === 'live') this.#watch();
    this.#areCreditsDue = true;
    this.#endTurnSoon();
  }

  /** The server owes an answer for longer than a live one does. */
  get #isOverdue(): boolean {
    const sentAtMs = this.#creditsSentAtMs;
    const areCreditsOverdue =
      sentAtMs !== null && this.#transport.timing.now() - sentAtMs >= this.#limits.replyMs;
    return areCreditsOverdue || this.#requests.isOverdue;
  }

  /** A refused upgrade is a plain HTTP answer, which a browser hides: the lane is asked for instead. */
  async #probe(): Promise<void> {
    const error = await this.#askForLane();
    // Ended while the question was under way.
    if (this.#state.name !== 'probing') return;
    const isRefusal =
      error instanceof LanekeeperError && error.status >= 400 && error.status < 500 && !error.retryable;
    const isFinal = isRefusal || this.#firstConnectLeftMs() <= 0;
    if (!isFinal) this.#options.onConnectFailure?.(error);
    this.#dispatch({ type: 'probed', error: isFinal ? error : null });
  }

  /** Why there is no socket, as far as a plain request can tell. */
  async #askForLane(): Promise<Error> {
    const { url } = this.#transport;
    const params = { board: this.#context.board, lane: this.#options.lane };
    try {
      await this.#transport.request('getLane', { params }, { retry: { attemptsMax: 1 } });
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

  #forgetSocket(): void {
    this.#lostHello.onSocketGone();
    this.#socket = undefined;
    this.#credits.onForgotten(this.#arrivals.forget());
  }

  #dropSocket(): void {
    const socket = this.#socket;
    this.#forgetSocket();
    socket?.close(NORMAL_CLOSE);
  }

  #end(ending: PushEnding): void {
    clearTimeout(this.#timer);
    clearInterval(this.#looks);
    this.#detach();
    const failure = failureOf(ending, this.#transport.url);
    this.#tellWhenDry();
    if (failure === undefined) this.#settle?.resolve();
    else this.#settle?.reject(failure);
  }
}
