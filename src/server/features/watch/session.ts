/**
 * One watch socket: its subscriptions, its place in the log, the worker behind it. Events go out live while the peer keeps up; when it does
 * not, the subscription is parked where it stands and catches up from the log, so nothing is dropped and nothing piles up here.
 * Thousands of them are idle at any time: what only few need is made when it is needed, and nothing here has a timer of its own.
 */
import { randomUUID } from 'node:crypto';
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type {
  ClientFrame,
  CreditFrame,
  HelloFrame,
  RunFrame,
  ServerFrame,
  WatchFrame,
} from '../../../contract/frames.ts';
import { PROBLEMS } from '../../../contract/problems.ts';
import { asProblem, problemBody } from '../../http/on-error.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Connection } from '../../ws/connection.ts';
import { PreparedFrame } from '../../ws/prepared-frame.ts';
import type { BoardRef } from '../boards/service.ts';
import type { ReadFrame } from './client-frame.ts';
import type { EventBatch, EventsPortion } from './event-batch.ts';
import type { BatchFollower, EndCause } from './feed.ts';
import { FrameIntake } from './frame-intake.ts';
import type { HintListener, LaneHints } from './hints.ts';
import type { FollowOutput } from './output-link.ts';
import type { BoardFeeds } from './service.ts';
import { Subscription, type SubscriptionOwner } from './subscription.ts';
import { cursorAt, type EventFilter, kindsOf, setOf, sharedFilter, visibleTo } from './view.ts';
import type { WatchPlaces } from './watch-places.ts';
import type { CloseCause, OpenWorkerLink, WorkerLink } from './worker-link.ts';

/** What all sessions of a server share. */
export interface SessionServices {
  readonly feeds: BoardFeeds;
  readonly hints: LaneHints;
  readonly places: WatchPlaces;
  /** False: work of the lane comes by itself, so nobody need follow the log for hints. */
  readonly mayBeHinted: (board: BoardRef, lane: string) => Promise<boolean>;
  readonly onHello: (board: BoardRef, lane: string, worker: string, version: string | null) => void;
  readonly openWorker: OpenWorkerLink;
  readonly followOutput: FollowOutput;
  /** Rejects when the principal has used up its share; null: there are no shares. */
  readonly limit: ((caller: Principal) => Promise<unknown>) | null;
  readonly onError: (error: unknown) => void;
}

interface Peer {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly connection: Connection;
}

/** Watches on one socket; a client that needs more opens another. */
const SUBSCRIPTIONS_MAX = 100;
/** Of them with output: one filter says all that somebody wants to see, and every line is written for each of them. */
const OUTPUTS_MAX = 4;
/** Lanes that one socket says hello for; a worker of more opens another socket. */
const HELLOS_MAX = 100;
/** Pinned by the wire contract: a peer that for so long takes nothing of what it is sent is ended, whatever it follows. */
const STALLED_MS = 60_000;

export class WatchSession implements BatchFollower, HintListener, SubscriptionOwner {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly #connection: Connection;
  readonly #services: SessionServices;
  readonly #subscriptions = new Map<string, Subscription>();
  /** By watch: how to give its place back. */
  readonly #places = new Map<string, () => void>();
  /** By watch: how to leave its output. */
  #outputs: Map<string, () => void> | undefined;
  /** By lane. */
  #hellos: Map<string, HelloFrame> | undefined;
  /** Lanes with hints: of each watch by its id, and those it said hello for. */
  #watchedLanes: Map<string, readonly string[]> | undefined;
  #greetedLanes: Set<string> | undefined;
  #worker: WorkerLink | undefined;
  #leaveFeed: (() => void) | undefined;
  #following: Promise<void> | undefined;
  #isClosed = false;
  #closeCause: CloseCause = 'lost';

  constructor(services: SessionServices, { board, caller, connection }: Peer) {
    this.board = board;
    this.caller = caller;
    this.#services = services;
    this.#connection = connection;
    const intake = new FrameIntake(connection, (read) => this.#handle(read));
    connection.onWritable(() => {
      for (const subscription of this.#subscriptions.values()) subscription.resume();
      this.#worker?.onWritable();
      intake.onWritable();
    });
    connection.onClose(() => this.#letGo());
  }

  get feeds(): BoardFeeds {
    return this.#services.feeds;
  }

  /** At once for everything here, however long the peer takes to answer the close: a revoked key must not go on for that time. */
  end(code: number, reason: string): void {
    if (code === CLOSE_CODES.superseded) this.#closeCause = 'superseded';
    // Our doing, and no sign that the worker is gone.
    else if (code === CLOSE_CODES.overload || code === CLOSE_CODES.drain) this.#closeCause = 'stopping';
    this.#letGo();
    this.#connection.close(code, reason);
  }

  drain(reconnectAfterMs: number): void {
    this.#closeCause = 'stopping';
    this.#answer({ type: 'drain', reconnect_after_ms: reconnectAfterMs });
    // Its worker is stopped by the pusher, which knows why.
    this.#connection.close(CLOSE_CODES.drain, 'the server is restarting');
  }

  /** Called every few seconds: a peer that does not read is ended, all others hear where they stand. */
  tick(): void {
    if (this.#isClosed) return;
    if (this.#connection.stalledMs() > STALLED_MS) {
      this.end(CLOSE_CODES.tooSlow, 'the peer has not read for a minute');
      return;
    }
    for (const subscription of this.#subscriptions.values()) subscription.bookmark();
    for (const { lane, worker, version } of this.#hellos?.values() ?? [])
      this.#services.onHello(this.board, lane, worker, version ?? null);
  }

  onBatch(batch: EventBatch): void {
    for (const subscription of this.#subscriptions.values()) subscription.onBatch(batch);
  }

  onEnd(cause: EndCause): void {
    if (cause === 'gone') this.end(CLOSE_CODES.policy, 'the board is gone');
    // On a new connection its cursor is refused, and it knows to begin anew.
    else this.end(CLOSE_CODES.drain, 'the log was replaced');
  }

  onHint(frame: PreparedFrame): void {
    this.#connection.send(frame);
  }

  sendEvents(id: string, portion: EventsPortion): boolean {
    // Asked before the frame is made: of a burst most would be made in vain for sockets that are full.
    return this.#connection.hasRoom() && this.#connection.send(portion.frameFor(id));
  }

  sendBookmark(id: string, cursor: string): void {
    this.#connection.send(prepare({ type: 'bookmark', id, cursor }));
  }

  onExpired(id: string, problem: ProblemError): void {
    this.#dropWatch(id);
    this.#sendError(id, problem, false);
  }

  onOverload(): void {
    this.end(CLOSE_CODES.overload, 'the server has too much to do');
  }

  onError(error: unknown): void {
    this.#services.onError(error);
  }

  async #handle(read: ReadFrame): Promise<void> {
    if (this.#isClosed) return;
    if (read.kind === 'refused') {
      if (read.by === 'reply') this.#refuse(read.id, read.problem);
      else this.#sendError(read.id, read.problem, false);
    } else if (read.kind === 'bad') {
      this.#sendError(read.id, new ProblemError('invalid_request', read.detail), true);
      this.end(CLOSE_CODES.badFrame, read.detail);
    } else {
      try {
        await this.#dispatch(read.frame, read.bytes);
      } catch (error) {
        const problem = asProblem(error);
        if (problem.code === 'internal') this.onError(error);
        this.#sendError('id' in read.frame ? read.frame.id : undefined, problem, false);
      }
    }
  }

  async #dispatch(frame: ClientFrame, bytes: number): Promise<void> {
    const { limit } = this.#services;
    switch (frame.type) {
      case 'claim_ack':
        // Not counted: the server asked for it, and refusing it would cost the worker its claim.
        return this.#workerLink().acknowledge(frame.run_id);
      case 'watch':
        await limit?.(this.caller);
        return this.#watch(frame);
      case 'unwatch':
        await limit?.(this.caller);
        return this.#unwatch(frame.id);
      case 'hello':
        await limit?.(this.caller);
        return this.#greet(frame);
      case 'credit':
        await limit?.(this.caller);
        return this.#setCredits(frame);
      default:
        return this.#operate(frame, bytes);
    }
  }

  async #operate(frame: RunFrame, bytes: number): Promise<void> {
    try {
      if (this.#services.limit !== null) await this.#services.limit(this.caller);
      const said = await this.#workerLink().operate(frame, bytes);
      this.#answer({ type: 'reply', id: frame.id, ok: true, ...said });
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === 'internal') this.onError(error);
      this.#refuse(frame.id, problem);
    }
  }

  #refuse(id: string, problem: ProblemError): void {
    this.#answer({ type: 'reply', id, ok: false, problem: problemBody(problem, randomUUID()) });
  }

  async #setCredits(frame: CreditFrame): Promise<void> {
    if (this.caller.kind !== 'key') throw mayNotGreet();
    const credits = await this.#workerLink().setCredits(frame.lane, frame.credits);
    this.#answer({ type: 'reply', id: frame.id, ok: true, credits });
  }

  async #watch(frame: WatchFrame): Promise<void> {
    const { feeds } = this.#services;
    if (this.#subscriptions.has(frame.id))
      throw new ProblemError(
        'invalid_request',
        `This socket has a watch ${JSON.stringify(frame.id)} already.`,
      );
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX)
      throw new ProblemError('invalid_request', `A socket has at most ${SUBSCRIPTIONS_MAX} watches.`);
    const filter = sharedFilter(
      visibleTo(this.caller, {
        kinds: kindsOf(frame.kinds),
        lanes: setOf(frame.lanes),
        tasks: setOf(frame.tasks),
      }),
    );
    if (frame.output && (this.#outputs?.size ?? 0) >= OUTPUTS_MAX)
      throw new ProblemError('invalid_request', `A socket has at most ${OUTPUTS_MAX} watches with output.`);
    const leavePlace = this.#services.places.take(this.caller, {
      words: wordsOf(filter),
      hasOutput: frame.output === true,
    });
    try {
      await this.#begin(frame, filter, feeds);
    } finally {
      if (this.#subscriptions.has(frame.id)) this.#places.set(frame.id, leavePlace);
      else leavePlace();
    }
  }

  async #begin(frame: WatchFrame, filter: EventFilter, feeds: BoardFeeds): Promise<void> {
    await this.#follow();
    const seq = await feeds.position(this.board, frame.after ?? 'now');
    if (frame.output) await this.#followOutput(frame.id, filter);
    if (this.#isClosed) return;
    const subscription = new Subscription(this, frame.id, filter, seq);
    this.#subscriptions.set(frame.id, subscription);
    this.#answer({ type: 'watching', id: frame.id, cursor: cursorAt(this.board, seq) });
    subscription.start();
    // A claim token has its own task and no business with what waits elsewhere.
    if (!frame.lanes || this.caller.kind !== 'key') return;
    this.#watchedLanes ??= new Map();
    this.#watchedLanes.set(frame.id, frame.lanes);
    this.#services.hints.add(this.board, frame.lanes, this);
  }

  async #followOutput(id: string, filter: EventFilter): Promise<void> {
    const connection = this.#connection;
    const begin = `{"type":"output","id":${JSON.stringify(id)},`;
    const leave = await this.#services.followOutput({
      board: this.board,
      filter,
      hasRoom: () => connection.hasRoom(),
      send: (tail, dropped) =>
        connection.send(tail.frameAfter(dropped > 0 ? `${begin}"dropped":${dropped},` : begin)),
    });
    this.#outputs ??= new Map();
    if (this.#isClosed) leave();
    else this.#outputs.set(id, leave);
  }

  #unwatch(id: string): void {
    if (!this.#dropWatch(id))
      throw new ProblemError('not_found', `This socket has no watch ${JSON.stringify(id)}.`, {
        extensions: { resource: 'watch' },
      });
    this.#answer({ type: 'reply', id, ok: true });
  }

  #dropWatch(id: string): boolean {
    this.#subscriptions.get(id)?.stop();
    this.#outputs?.get(id)?.();
    this.#outputs?.delete(id);
    this.#dropHints(id);
    this.#places.get(id)?.();
    this.#places.delete(id);
    return this.#subscriptions.delete(id);
  }

  /** Those that no other watch of the socket has, nor a hello. */
  #dropHints(id: string): void {
    const lanes = this.#watchedLanes?.get(id);
    if (lanes === undefined) return;
    this.#watchedLanes?.delete(id);
    const kept = this.#hintedLanes();
    const dropped = lanes.filter((lane) => !kept.has(lane));
    this.#services.hints.remove(this.board, dropped, this);
  }

  #hintedLanes(): Set<string> {
    return new Set(
      [...(this.#watchedLanes?.values() ?? []), this.#greetedLanes ?? []].flatMap((lanes) => [...lanes]),
    );
  }

  async #greet(frame: HelloFrame): Promise<void> {
    const { caller } = this;
    const { id, lane, worker } = frame;
    const mayGreet =
      caller.kind === 'key' && (caller.role === 'admin' || (caller.role === 'lane' && caller.lane === lane));
    if (!mayGreet) throw mayNotGreet();
    this.#hellos ??= new Map();
    if (!this.#hellos.has(lane) && this.#hellos.size >= HELLOS_MAX)
      throw new ProblemError('invalid_request', `A socket says hello for at most ${HELLOS_MAX} lanes.`);
    const mayBeHinted = await this.#services.mayBeHinted(this.board, lane);
    if (this.#isClosed) return;
    await this.#workerLink().greet({
      lane,
      worker,
      version: frame.version ?? null,
      hasTokens: frame.tokens ?? true,
      isCrashOnDisconnect: frame.crash_on_disconnect ?? false,
    });
    if (this.#isClosed) return;
    this.#hellos.set(lane, frame);
    this.#services.onHello(this.board, lane, worker, frame.version ?? null);
    this.#answer({ type: 'reply', id, ok: true });
    if (!mayBeHinted) return;
    this.#greetedLanes ??= new Set();
    this.#greetedLanes.add(lane);
    this.#services.hints.add(this.board, [lane], this);
  }

  #workerLink(): WorkerLink {
    this.#worker ??= this.#services.openWorker({
      socketId: randomUUID() as Uuid,
      board: this.board,
      caller: this.caller,
      send: (frame) => this.#answer(frame),
      hasRoom: () => this.#connection.hasRoom(),
      end: (code, reason) => this.end(code, reason),
    });
    return this.#worker;
  }

  /** Joins the board's feed once per socket; later calls wait for the same. */
  async #follow(): Promise<void> {
    this.#following ??= this.#join();
    try {
      await this.#following;
    } catch (error) {
      this.#following = undefined;
      throw error;
    }
  }

  async #join(): Promise<void> {
    const { leave } = await this.#services.feeds.follow(this.board, this);
    this.#leaveFeed = leave;
    if (this.#isClosed) leave();
  }

  #answer(frame: ServerFrame): void {
    this.#connection.answer(prepare(frame));
  }

  #sendError(id: string | undefined, problem: ProblemError, isFatal: boolean): void {
    const { code } = problem;
    this.#answer({
      type: 'error',
      ...(id === undefined ? {} : { id }),
      code,
      title: PROBLEMS[code].title,
      detail: problem.message,
      fatal: isFatal,
    });
  }

  #letGo(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const subscription of this.#subscriptions.values()) subscription.stop();
    this.#subscriptions.clear();
    for (const leave of this.#outputs?.values() ?? []) leave();
    this.#outputs?.clear();
    for (const leavePlace of this.#places.values()) leavePlace();
    this.#places.clear();
    this.#services.hints.remove(this.board, this.#hintedLanes(), this);
    this.#leaveFeed?.();
    this.#worker?.onClose(this.#closeCause);
  }
}

function prepare(frame: ServerFrame): PreparedFrame {
  return new PreparedFrame(JSON.stringify(frame));
}

function wordsOf({ kinds, lanes, tasks }: EventFilter): number {
  return (kinds?.size ?? 0) + (lanes?.size ?? 0) + (tasks?.size ?? 0);
}

function mayNotGreet(): ProblemError {
  return new ProblemError(
    'forbidden',
    'Only a key of that lane, or an admin, may say hello as one of its workers.',
  );
}
