/**
 * One watch socket, from its first frame to its close: who may say what on it, what it follows (session-watches.ts), and the worker behind it.
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
} from '../../../contract/frames.ts';
import { PROBLEMS } from '../../../contract/problems.ts';
import { asProblem, problemBody } from '../../http/on-error.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { STALLED_MS_MAX } from '../../kernel/peer-patience.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Connection } from '../../ws/connection.ts';
import { prepareFrame } from '../../ws/prepared-frame.ts';
import type { BoardRef } from '../boards/service.ts';
import type { ReadFrame } from './client-frame.ts';
import { FrameIntake } from './frame-intake.ts';
import { SessionWatches, type WatchPort, type WatchServices } from './session-watches.ts';
import type { CloseCause, OpenWorkerLink, WorkerLink } from './worker-link.ts';

/** What all sessions of a server share. */
export interface SessionServices extends WatchServices {
  /** False: work of the lane comes by itself, so nobody need follow the log for hints. */
  readonly mayBeHinted: (board: BoardRef, lane: string) => Promise<boolean>;
  readonly onHello: (board: BoardRef, lane: string, worker: string, version: string | null) => void;
  readonly openWorker: OpenWorkerLink;
  /** Rejects when the principal has used up its share; null: there are no shares. */
  readonly limit: ((caller: Principal) => Promise<unknown>) | null;
}

interface Peer {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly connection: Connection;
  /** It has said what it may not. */
  readonly onRefused: (error: unknown) => void;
}

/** Lanes that one socket says hello for; a worker of more opens another socket. */
const HELLOS_MAX = 100;

export class WatchSession implements WatchPort {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly connection: Connection;
  readonly #services: SessionServices;
  readonly #onRefused: Peer['onRefused'];
  readonly #watches: SessionWatches;
  /** By lane. */
  #hellos: Map<string, HelloFrame> | undefined;
  #worker: WorkerLink | undefined;
  #isClosed = false;
  #closeCause: CloseCause = 'lost';

  constructor(services: SessionServices, { board, caller, connection, onRefused }: Peer) {
    this.board = board;
    this.caller = caller;
    this.connection = connection;
    this.#services = services;
    this.#onRefused = onRefused;
    this.#watches = new SessionWatches(services, this);
    const intake = new FrameIntake(connection, (read) => this.#handle(read));
    connection.onWritable(() => {
      this.#watches.resume();
      this.#worker?.onWritable();
      intake.onWritable();
    });
    connection.onClose(() => this.#letGo());
  }

  /** At once for everything here, however long the peer takes to answer the close: a revoked key must not go on for that time. */
  end(code: number, reason: string): void {
    if (code === CLOSE_CODES.superseded) this.#closeCause = 'superseded';
    // Our doing, and no sign that the worker is gone.
    else if (code === CLOSE_CODES.overload || code === CLOSE_CODES.drain) this.#closeCause = 'stopping';
    this.#letGo();
    this.connection.close(code, reason);
  }

  drain(reconnectAfterMs: number): void {
    this.#closeCause = 'stopping';
    this.answer({ type: 'drain', reconnect_after_ms: reconnectAfterMs });
    // Its worker is stopped by the pusher, which knows why.
    this.connection.close(CLOSE_CODES.drain, 'the server is restarting');
  }

  /** Called every few seconds: a peer that does not read is ended, whatever it follows; all others hear where they stand. */
  tick(): void {
    if (this.#isClosed) return;
    if (this.connection.stalledMs() > STALLED_MS_MAX) {
      this.end(CLOSE_CODES.tooSlow, 'the peer has not read for a minute');
      return;
    }
    this.#watches.bookmark();
    for (const { lane, worker, version } of this.#hellos?.values() ?? [])
      this.#services.onHello(this.board, lane, worker, version ?? null);
  }

  async #handle(read: ReadFrame): Promise<void> {
    if (this.#isClosed) return;
    if (read.kind === 'refused') {
      if (read.by === 'reply') this.#refuse(read.id, read.problem);
      else this.sendError(read.id, read.problem);
    } else if (read.kind === 'bad') {
      this.sendError(read.id, new ProblemError('invalid_request', read.detail), true);
      this.end(CLOSE_CODES.badFrame, read.detail);
    } else {
      try {
        await this.#dispatch(read.frame, read.bytes);
      } catch (error) {
        const problem = this.#problemOf(error);
        this.sendError('id' in read.frame ? read.frame.id : undefined, problem);
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
        return this.#watches.watch(frame);
      case 'unwatch':
        await limit?.(this.caller);
        return this.#watches.unwatch(frame.id);
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
      this.answer({ type: 'reply', id: frame.id, ok: true, ...said });
    } catch (error) {
      this.#refuse(frame.id, this.#problemOf(error));
    }
  }

  #problemOf(error: unknown): ProblemError {
    const problem = asProblem(error);
    if (problem.code === 'internal') this.#services.onError(error);
    else if (problem.status === 403) this.#onRefused(problem);
    return problem;
  }

  #refuse(id: string, problem: ProblemError): void {
    this.answer({ type: 'reply', id, ok: false, problem: problemBody(problem, randomUUID()) });
  }

  async #setCredits(frame: CreditFrame): Promise<void> {
    if (this.caller.kind !== 'key') throw mayNotGreet();
    const credits = await this.#workerLink().setCredits(frame.lane, frame.credits);
    this.answer({ type: 'reply', id: frame.id, ok: true, credits });
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
    this.answer({ type: 'reply', id, ok: true });
    if (mayBeHinted) this.#watches.addGreetedLane(lane);
  }

  #workerLink(): WorkerLink {
    this.#worker ??= this.#services.openWorker({
      socketId: randomUUID() as Uuid,
      board: this.board,
      caller: this.caller,
      send: (frame) => this.answer(frame),
      hasRoom: () => this.connection.hasRoom(),
      end: (code, reason) => this.end(code, reason),
    });
    return this.#worker;
  }

  answer(frame: ServerFrame): void {
    this.connection.answer(prepareFrame(frame));
  }

  sendError(id: string | undefined, problem: ProblemError, isFatal = false): void {
    const { code } = problem;
    this.answer({
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
    this.#watches.stop();
    this.#worker?.onClose(this.#closeCause);
  }
}

function mayNotGreet(): ProblemError {
  return new ProblemError(
    'forbidden',
    'Only a key of that lane, or an admin, may say hello as one of its workers.',
  );
}
