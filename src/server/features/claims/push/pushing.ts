/**
 * Push mode: the server claims against the credits that workers gave it, and hands the claims over their sockets. All asks go through
 * the same batcher and the same gate as claim requests, so many sockets share few statements, and caps, pauses and the race hold
 * alike. The log is followed only while some lane has credits and nothing to do: with work at hand the answers themselves say
 * whether there is more, and reading every event of a busy board would cost as much as the claims.
 *
 * The nouns, from the socket inwards: a WorkerSocket is the worker behind one socket; OutgoingClaims are on their way to it; its Offer is
 * what it would take of one lane, its credits; a PushLane asks for claims on the offers of one lane; a PushBoard is the push lanes of one
 * board and its log; Pushing is all boards of this server. HeldRuns says for which runs a socket may speak, and Returns gives back what no
 * worker has taken on.
 */
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { actorOf } from '../../../kernel/principal.ts';
import { boardNotFound, type ClaimTokens } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { ConfigCache } from '../../lanes/service.ts';
import type { BoardFeeds, OpenWorkerLink, WorkerSocketListener } from '../../watch/service.ts';
import type { Claiming } from '../claiming/claiming.ts';
import type { HandingOver } from '../claiming/handing-over.ts';
import type { Returns } from '../claiming/returns.ts';
import type { ClaimedTasks } from '../claiming/slot-plan.ts';
import { gateOf } from '../gate.ts';
import type { RunVerbParts } from '../run/run-verbs.ts';
import type { LostClaims } from '../steering/lost-claims.ts';
import { findRunHolders, type RunHolder } from '../store/run.ts';
import { PushBoard } from './push-board.ts';
import type { Offer } from './push-lane.ts';
import { type PushDesk, WorkerSocket } from './worker-socket.ts';

interface PushingParts extends RunVerbParts {
  readonly sql: Sql;
  readonly claiming: Claiming;
  readonly handingOver: HandingOver;
  readonly returns: Returns;
  readonly tokens: ClaimTokens;
  readonly configs: ConfigCache;
  readonly feeds: BoardFeeds;
  /** How long a pushed claim may stay without its claim_ack. */
  readonly claimAckMs: number;
  readonly lostClaims: LostClaims;
  readonly socketListeners: readonly WorkerSocketListener[];
  readonly onError: (error: unknown) => void;
}

/** Pinned by the wire contract. */
export const CLAIM_ACK_MS = 5000;
/** One look-up by key each; a worker that comes back asks for all that it holds at once. */
const GATHERED_RUNS_MAX = 500;
const WAITING_RUNS_MAX = 10_000;

/** Whose run is it? Asked by a key. */
interface LookUp {
  readonly runId: Uuid;
  readonly keyId: string;
}

export class Pushing {
  readonly #parts: PushingParts;
  readonly #boards = new Map<BoardRef, PushBoard>();
  readonly #sockets = new Set<WorkerSocket>();
  /** Asks that have not been answered, and answers that have not been handed on. */
  readonly #pending = new Set<Promise<unknown>>();
  readonly #holders: Batcher<BoardRef, LookUp, RunHolder | null>;
  #isDraining = false;

  constructor(parts: PushingParts) {
    this.#parts = parts;
    this.#holders = new Batcher({
      sizeMax: GATHERED_RUNS_MAX,
      waitingMax: WAITING_RUNS_MAX,
      // One key that asks for runs it never held must not stand before the others.
      fairBy: ({ keyId }) => keyId,
      run: (board, lookUps) => this.#findHolders(board, lookUps),
    });
  }

  /** A new socket; it may never become a worker's. */
  readonly open: OpenWorkerLink = (port) => {
    const { board } = port;
    const keyId = actorOf(port.caller).id;
    const desk: PushDesk = {
      admit: (lane) => this.#admit(board, lane),
      update: (offer) => this.#groupOf(board)?.update(offer),
      retryLater: (offer) => this.#groupOf(board)?.retryLater(offer),
      remove: (offer) => this.#boards.get(board)?.remove(offer),
      giveBack: (claim, reason) => this.#parts.returns.give(board, claim, reason),
      track: (work) => void this.#track(work),
      findRun: (runId) => this.#holders.submit(board, { runId, keyId }),
      onClosed: () => void this.#sockets.delete(socket),
    };
    const socket = new WorkerSocket(port, { ...this.#parts, desk });
    this.#sockets.add(socket);
    return socket;
  };

  /** Called a few times a second. */
  sweep(): void {
    const now = performance.now();
    this.#parts.returns.sweep();
    for (const socket of this.#sockets) socket.releaseOverdue(now);
    for (const [board, group] of this.#boards) {
      group.sweep();
      if (group.isEmpty) this.#boards.delete(board);
    }
  }

  /** Nothing is pushed from now on; what no worker has acknowledged is released, also what is being claimed at this moment. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const group of this.#boards.values()) group.stop();
    for (const socket of this.#sockets) socket.stop('The server stopped before the claim was acknowledged.');
    this.#boards.clear();
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }

  async #admit(board: BoardRef, lane: string): Promise<void> {
    const { configs } = this.#parts;
    const ask = { board: board.name, lane, isWaiting: false, isPush: true };
    const known = await configs.get(board.id);
    if (known !== null && gateOf(known, ask).kind !== 'refused') return;
    // A "no" from memory may be out of date; only a fresh one is given.
    const fresh = await configs.refresh(board.id);
    if (fresh === null) throw boardNotFound(board.name);
    const gate = gateOf(fresh, ask);
    if (gate.kind === 'refused') throw gate.problem;
  }

  /** Null while draining: nothing is pushed any more. */
  #groupOf(board: BoardRef): PushBoard | null {
    if (this.#isDraining) return null;
    let group = this.#boards.get(board);
    if (group === undefined) {
      const { feeds, onError } = this.#parts;
      group = new PushBoard(board, { feeds, onError, ask: (asking, max) => this.#ask(board, asking, max) });
      this.#boards.set(board, group);
    }
    return group;
  }

  #ask(
    board: BoardRef,
    { lane, worker, keyId, isCrashOnDisconnect = false }: Offer,
    max: number,
  ): Promise<ClaimedTasks> {
    const ask = { leaseSeconds: null, isWaiting: false, isPush: true };
    const request = { lane, worker, keyId, max, isCrashOnDisconnect, ...ask };
    return this.#track(this.#parts.claiming.claim(board, request));
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#pending.add(work);
    const forget = (): void => void this.#pending.delete(work);
    work.then(forget, forget);
    return work;
  }

  async #findHolders(board: BoardRef, lookUps: readonly LookUp[]): Promise<Settled<RunHolder | null>[]> {
    const ids = lookUps.map(({ runId }) => runId);
    const rows = await withinDeadline(findRunHolders(this.#parts.sql, board.id, ids));
    return ids.map((id) => ({ ok: true, value: rows.get(id) ?? null }));
  }
}
