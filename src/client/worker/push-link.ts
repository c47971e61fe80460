/**
 * One socket of a worker in push mode: says hello, takes what is pushed, and carries the verbs of the holder, through drops, drains and restarts.
 * Drives the pure machine in push-machine.ts; which claims can come, push-credits.ts keeps, what is asked of the server, push-requests.ts, and
 * who is told what the server says, push-hearing.ts.
 * Never decides about a claim: what is held, kept alive and ended is the worker's.
 */
import type { PushedClaim } from '../../contract/frames.ts';
import type { LanekeeperError } from '../errors.ts';
import { type DialContext, Dialing } from '../watch/dialing.ts';
import { asError, failureOf } from '../watch/failure.ts';
import { PushArrivals } from './push-arrivals.ts';
import { PushGrants } from './push-grants.ts';
import { HELLO_ID, PushHearing } from './push-hearing.ts';
import type { PushEffect, PushEnding, PushEvent, PushState, PushStateName } from './push-machine.ts';
import { PUSH_INITIAL, pushTransition } from './push-machine.ts';
import type { PushLimits, PushOptions } from './push-options.ts';
import { PUSH_LIMITS } from './push-options.ts';
import { PushPulse } from './push-pulse.ts';
import { PushRequests } from './push-requests.ts';
import { atEndOfTurn, PushSocket } from './push-socket.ts';
import type { EndAnswer, RunEnd } from './run-end.ts';
import type { HeartbeatAnswer, HeartbeatBody } from './run-line.ts';

/** Of a watch that does not exist: to end it is refused, which is a sign of life and costs the server nothing. */
const ALIVE_ID = 'alive';
/** RFC 6455: normal closure. */
const NORMAL_CLOSE = 1000;

interface EndReply {
  readonly outcome: string | null;
  readonly task_status: string;
}

export class PushLink {
  readonly #url: string;
  readonly #options: PushOptions;
  readonly #limits: PushLimits;
  readonly #dialing: Dialing;
  readonly #grants: PushGrants;
  readonly #requests: PushRequests;
  readonly #arrivals: PushArrivals;
  readonly #hearing: PushHearing;
  readonly #pulse: PushPulse;
  #state: PushState = PUSH_INITIAL;
  #socket: PushSocket | undefined;
  #isTurnEnding = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looks: ReturnType<typeof setInterval> | undefined;
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #detach: () => void = () => undefined;

  constructor(context: DialContext, options: PushOptions) {
    const { transport, board } = context;
    const { lane, onCreditsEnded, onConnectFailure } = options;
    const { now } = transport.timing;
    const { url } = transport;
    const limits = { ...PUSH_LIMITS, ...options.limits };
    const question = { params: { board, lane } };
    const ask = () => transport.request('getLane', question, { retry: { attemptsMax: 1 } });
    this.#url = url;
    this.#options = options;
    this.#limits = limits;
    this.#dialing = new Dialing({ ...context, limits, ask, onConnectFailure });
    this.#grants = new PushGrants({
      lane,
      now,
      replyMs: limits.replyMs,
      onEnded: (error) => {
        this.#endTurnSoon();
        onCreditsEnded?.(error);
      },
    });
    this.#requests = new PushRequests({ limits, now, url });
    this.#pulse = new PushPulse(limits, now);
    this.#arrivals = new PushArrivals({
      acknowledge: (claims) => this.#acknowledgeClaims(claims),
      handOn: (claim) => options.onClaim(claim),
    });
    this.#hearing = new PushHearing({
      options,
      arrivals: this.#arrivals,
      grants: this.#grants,
      requests: this.#requests,
      onGreeted: () => {
        this.#dialing.hello.onAnswered();
        this.#dispatch({ type: 'greeted' });
      },
      onGranted: () => this.#endTurnSoon(),
      onRefused: (error) => this.#refuse(error),
      onDrain: (reconnectAfterMs) => this.#dispatch({ type: 'drain', reconnectAfterMs }),
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
      this.#dialing.begin();
      this.#detach = this.#dialing.onAbort(signal, () => this.close());
      this.#looks = setInterval(() => this.#look(), this.#limits.lookMs);
      this.#dispatch({ type: 'start' });
    });
  }

  /**
   * How many more claims the worker would take now: what it wants to hold less what it holds. To be called whenever that has changed; frames are
   * sent when they are due, one for many calls. Kept over reconnects.
   */
  setCredits(count: number): void {
    this.#grants.setRoom(count - this.#arrivals.unknownCount);
    this.#endTurnSoon();
  }

  /** Takes the credits back; resolves when no claim can come any more. Those that were on their way come before. */
  async stopClaims(): Promise<void> {
    this.setCredits(0);
    if (this.#state.name === 'live') await this.#grants.dry();
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
        this.#dialing.onConnected();
        this.#requests.resume((text) => this.#send(text));
        this.#endTurnSoon();
        return;
      case 'strand':
        this.#grants.strand();
        this.#requests.strand();
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
        this.#socket = new PushSocket(socket);
        this.#pulse.hear();
      },
      onOpen: () => this.#dispatch({ type: 'opened' }),
      onMessage: (data) => this.#receive(data),
      onClose: (closed) => {
        this.#forgetSocket();
        this.#dispatch({ type: 'closed', ...closed });
      },
    });
  }

  #greet(): void {
    const { lane, worker, version, tokens, crashOnDisconnect } = this.#options;
    const flags = { tokens, crash_on_disconnect: crashOnDisconnect };
    this.#send(JSON.stringify({ type: 'hello', id: HELLO_ID, lane, worker, version, ...flags }));
    this.#dialing.hello.onSaid();
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
      this.#grants.tellWhenDry();
    });
  }

  #grant(): void {
    const frame = this.#state.name === 'live' ? this.#grants.next() : null;
    if (frame !== null) this.#socket?.send(frame);
  }

  #receive(data: unknown): void {
    this.#pulse.hear();
    this.#hearing.hear(data);
  }

  #acknowledgeClaims(claims: readonly PushedClaim[]): void {
    for (const { run_id } of claims) this.#socket?.send(JSON.stringify({ type: 'claim_ack', run_id }));
    this.#socket?.flush();
  }

  #refuse(error: LanekeeperError): void {
    this.#dispatch(error.retryable ? { type: 'silent' } : { type: 'refused', error });
  }

  /** The one timer behind all bounds in time. */
  #look(): void {
    const verdict = this.#pulse.look(this.#state.name, this.#isOverdue);
    if (verdict === 'silent' || verdict === 'steady') this.#dispatch({ type: verdict });
    if (verdict === 'ask') this.#send(JSON.stringify({ type: 'unwatch', id: ALIVE_ID }));
    this.#grants.onLook();
    this.#endTurnSoon();
  }

  get #isOverdue(): boolean {
    return this.#grants.isOverdue || this.#requests.isOverdue;
  }

  async #probe(): Promise<void> {
    const error = await this.#dialing.probe(() => this.#state.name === 'probing');
    if (error !== undefined) this.#dispatch({ type: 'probed', error });
  }

  #forgetSocket(): void {
    this.#dialing.forget();
    this.#socket = undefined;
    this.#grants.onForgotten(this.#arrivals.forget());
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
    const failure = failureOf(ending, this.#url);
    if (failure === undefined) this.#settle?.resolve();
    else this.#settle?.reject(failure);
  }
}
