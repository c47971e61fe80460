/**
 * One watch socket: its subscriptions, its place in the log, its hints. Events go out live while the peer keeps up; when it does
 * not, the subscription is parked where it stands and catches up from the log, so nothing is dropped and nothing piles up here.
 */
import { randomUUID } from 'node:crypto';
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type { Event } from '../../../contract/events.ts';
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
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Connection } from '../../ws/connection.ts';
import type { BoardRef } from '../boards/service.ts';
import type { ReadFrame } from './client-frame.ts';
import { FrameIntake } from './frame-intake.ts';
import { Hints } from './hints.ts';
import { type BoardFeeds, cursorAt } from './service.ts';
import { Subscription } from './subscription.ts';
import { kindsOf, setOf, visibleTo } from './view.ts';
import type { OpenWorkerLink, WorkerLink } from './worker-link.ts';

export interface SessionParts {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly connection: Connection;
  readonly feeds: BoardFeeds;
  /** How many tasks wait for these lanes, for hints. */
  readonly countReady: (lanes: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  /** False: work of the lane comes by itself, so nothing is hinted at. */
  readonly isHinted: (lane: string) => Promise<boolean>;
  readonly onHello: (lane: string, worker: string, version: string | null) => void;
  readonly openWorker: OpenWorkerLink;
  readonly onError: (error: unknown) => void;
}

/** Watches on one socket; a client that needs more opens another. */
const SUBSCRIPTIONS_MAX = 100;
/** Lanes that one socket says hello for; a worker of more opens another socket. */
const HELLOS_MAX = 100;
/** Pinned by the wire contract: a bookmark at least this often while nothing happens. */
const BOOKMARK_INTERVAL_MS = 10_000;
/** A peer that leaves no room to send for this long is ended (4408), whatever it follows. */
const STALLED_MS = 60_000;

export class WatchSession {
  readonly #parts: SessionParts;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #hints: Hints;
  readonly #timer: NodeJS.Timeout;
  #leaveFeed: (() => void) | undefined;
  #following: Promise<number> | undefined;
  #isClosed = false;
  readonly #hellos = new Map<string, HelloFrame>();
  readonly #worker: WorkerLink;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#hints = new Hints({
      countReady: parts.countReady,
      send: (frame) => this.#send(frame),
      onError: parts.onError,
    });
    this.#timer = setInterval(() => this.#tick(), BOOKMARK_INTERVAL_MS);
    const { connection } = parts;
    this.#worker = parts.openWorker({
      board: parts.board,
      caller: parts.caller,
      send: (frame) => this.#answer(frame),
      hasRoom: () => connection.hasRoom(),
      end: (code, reason) => this.end(code, reason),
    });
    const intake = new FrameIntake(connection, (read) => this.#handle(read));
    connection.onWritable(() => {
      for (const subscription of this.#subscriptions.values()) subscription.resume();
      this.#worker.onWritable();
      intake.onWritable();
    });
    connection.onClose(() => this.#letGo());
  }

  get caller(): Principal {
    return this.#parts.caller;
  }

  /** At once for everything here, however long the peer takes to answer the close: a revoked key must not go on for that time. */
  end(code: number, reason: string): void {
    this.#letGo();
    this.#parts.connection.close(code, reason);
  }

  drain(reconnectAfterMs: number): void {
    this.#answer({ type: 'drain', reconnect_after_ms: reconnectAfterMs });
    // Its worker is stopped by the pusher, which knows why.
    this.#parts.connection.close(CLOSE_CODES.drain, 'the server is restarting');
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
        if (problem.code === 'internal') this.#parts.onError(error);
        this.#sendError('id' in read.frame ? read.frame.id : undefined, problem, false);
      }
    }
  }

  async #dispatch(frame: ClientFrame, bytes: number): Promise<void> {
    switch (frame.type) {
      case 'watch':
        return this.#watch(frame);
      case 'unwatch':
        return this.#unwatch(frame.id);
      case 'hello':
        return this.#greet(frame);
      case 'credit':
        return this.#setCredits(frame);
      case 'claim_ack':
        return this.#worker.acknowledge(frame.run_id);
      default:
        return this.#operate(frame, bytes);
    }
  }

  async #operate(frame: RunFrame, bytes: number): Promise<void> {
    try {
      const said = await this.#worker.operate(frame, bytes);
      this.#answer({ type: 'reply', id: frame.id, ok: true, ...said });
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === 'internal') this.#parts.onError(error);
      this.#refuse(frame.id, problem);
    }
  }

  #refuse(id: string, problem: ProblemError): void {
    this.#answer({ type: 'reply', id, ok: false, problem: problemBody(problem, randomUUID()) });
  }

  async #setCredits(frame: CreditFrame): Promise<void> {
    if (this.#parts.caller.kind !== 'key') throw mayNotGreet();
    const credits = await this.#worker.setCredits(frame.lane, frame.credits);
    this.#answer({ type: 'reply', id: frame.id, ok: true, credits });
  }

  async #watch(frame: WatchFrame): Promise<void> {
    const { board, caller, feeds } = this.#parts;
    if (this.#subscriptions.has(frame.id))
      throw new ProblemError(
        'invalid_request',
        `This socket has a watch ${JSON.stringify(frame.id)} already.`,
      );
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX)
      throw new ProblemError('invalid_request', `A socket has at most ${SUBSCRIPTIONS_MAX} watches.`);
    const filter = visibleTo(caller, {
      kinds: kindsOf(frame.kinds),
      lanes: setOf(frame.lanes),
      tasks: setOf(frame.tasks),
    });
    await this.#follow();
    const seq = await feeds.position(board, frame.after ?? 'now');
    if (this.#isClosed) return;
    const subscription = new Subscription(
      { id: frame.id, filter, feeds, board, send: (out) => this.#send(out), onError: this.#parts.onError },
      seq,
    );
    this.#subscriptions.set(frame.id, subscription);
    this.#answer({ type: 'watching', id: frame.id, cursor: cursorAt(board, seq) });
    subscription.resume();
    // A claim token has its own task and no business with what waits elsewhere.
    if (frame.lanes && caller.kind === 'key') this.#hints.add(frame.lanes);
  }

  #unwatch(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined)
      throw new ProblemError('not_found', `This socket has no watch ${JSON.stringify(id)}.`, {
        extensions: { resource: 'watch' },
      });
    subscription.stop();
    this.#subscriptions.delete(id);
    this.#answer({ type: 'reply', id, ok: true });
  }

  async #greet(frame: HelloFrame): Promise<void> {
    const { caller, onHello, isHinted } = this.#parts;
    const { id, lane, worker } = frame;
    const mayGreet =
      caller.kind === 'key' && (caller.role === 'admin' || (caller.role === 'lane' && caller.lane === lane));
    if (!mayGreet) throw mayNotGreet();
    if (!this.#hellos.has(lane) && this.#hellos.size >= HELLOS_MAX)
      throw new ProblemError('invalid_request', `A socket says hello for at most ${HELLOS_MAX} lanes.`);
    const hasHints = await isHinted(lane);
    if (this.#isClosed) return;
    this.#hellos.set(lane, frame);
    onHello(lane, worker, frame.version ?? null);
    this.#worker.greet({ lane, worker, hasTokens: frame.tokens ?? true });
    this.#answer({ type: 'reply', id, ok: true });
    if (!hasHints) return;
    void this.#follow().catch(this.#parts.onError);
    this.#hints.add([lane]);
  }

  /** Joins the board's feed once per socket; later calls wait for the same. */
  async #follow(): Promise<number> {
    this.#following ??= this.#parts.feeds
      .follow(this.#parts.board, {
        onEvents: (events, seq) => this.#onEvents(events, seq),
        onEnd: () => this.end(CLOSE_CODES.policy, 'the board is gone'),
      })
      .then(({ seq, leave }) => {
        this.#leaveFeed = leave;
        if (this.#isClosed) leave();
        return seq;
      });
    try {
      return await this.#following;
    } catch (error) {
      this.#following = undefined;
      throw error;
    }
  }

  #onEvents(events: readonly Event[], seq: number): void {
    for (const subscription of this.#subscriptions.values()) subscription.onEvents(events, seq);
    this.#hints.onEvents(events);
  }

  #tick(): void {
    if (this.#parts.connection.fullMs() > STALLED_MS) {
      this.end(CLOSE_CODES.tooSlow, 'the peer has not read for a minute');
      return;
    }
    for (const subscription of this.#subscriptions.values()) subscription.bookmark();
    for (const { lane, worker, version } of this.#hellos.values())
      this.#parts.onHello(lane, worker, version ?? null);
  }

  #send(frame: ServerFrame): boolean {
    return this.#parts.connection.send(JSON.stringify(frame));
  }

  #answer(frame: ServerFrame): void {
    this.#parts.connection.answer(JSON.stringify(frame));
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
    clearInterval(this.#timer);
    this.#hints.stop();
    for (const subscription of this.#subscriptions.values()) subscription.stop();
    this.#subscriptions.clear();
    this.#leaveFeed?.();
    this.#worker.onClose();
  }
}

function mayNotGreet(): ProblemError {
  return new ProblemError(
    'forbidden',
    'Only a key of that lane, or an admin, may say hello as one of its workers.',
  );
}
