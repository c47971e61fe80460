/**
 * Tells the sockets behind this server at once what was taken from their workers: that a claim has ended by somebody else's hand, and that
 * another worker has taken the lane over. Which claims a socket holds it remembers itself: those that were pushed to it, and those that it
 * has spoken for. A nudge brings the look, and a floor under it makes up for a lost one.
 * Never decides anything, and is no worker's only way to know: its next heartbeat or end is answered with claim_lost.
 * The alternative, that workers watch their lanes for it, has the server read the whole log of a busy board for each of them.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import { PROBLEMS } from '../../../../contract/problems.ts';
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { parseId, type Uuid } from '../../../kernel/ids.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { WorkerGreeting, WorkerPort, WorkerSocketListener } from '../../watch/service.ts';
import { claimLost } from '../run/claim-lost.ts';
import { findRunsOver, listTakers, readEpochs } from '../store/lost.ts';
import { findRunEnds } from '../store/run.ts';
import { LookLoop } from './look-loop.ts';

interface LostClaimsParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly onError: (error: unknown) => void;
}

/** Of one socket, at some 0.2 KiB: two full windows of credits. Of more the oldest hear it with their heartbeats. */
const HELD_MAX = 2 * LIMITS.creditsMax;
/** Looked up by key in one statement: some 3 ms. */
const LOOKED_UP_MAX = 1000;
/** What a lost notification costs at most. Ten thousand held claims are some 30 ms of the database. */
const LOOK_INTERVAL_MS = 2000;
/** After a look that took a while there is none for as many times as long, however many nudges come: a fifth of one connection. */
const REST_SHARE = 4;

export class LostClaims implements WorkerSocketListener {
  readonly #parts: LostClaimsParts;
  readonly #boards = new Map<number, BoardLosses>();

  constructor(parts: LostClaimsParts) {
    this.#parts = parts;
  }

  async onHello(port: WorkerPort, greeting: WorkerGreeting): Promise<void> {
    await this.#of(port).greet(port, greeting);
  }

  /** From now on this socket hears when the run is taken from it. Not after onClose. */
  hold(port: WorkerPort, runId: string): void {
    this.#of(port).hold(port, runId);
  }

  /** It has ended the run itself, or knows that it is over. */
  letGo(port: WorkerPort, runId: string): void {
    this.#boards.get(port.board.id)?.letGo(port, runId);
  }

  onClose(port: WorkerPort): void {
    const board = this.#boards.get(port.board.id);
    board?.detach(port);
    if (!board?.isEmpty) return;
    board.stop();
    this.#boards.delete(port.board.id);
  }

  #of({ board: ref }: WorkerPort): BoardLosses {
    let board = this.#boards.get(ref.id);
    if (board === undefined) {
      board = new BoardLosses(ref, this.#parts);
      this.#boards.set(ref.id, board);
    }
    return board;
  }
}

interface Greeting {
  readonly worker: string;
  /** Of the lane, as it was last seen; null: there was no such lane. */
  epoch: number | null;
  /** Of the log: takeovers up to here are told, or were before the hello. */
  seq: number;
}

/** What one socket has to lose. */
interface Holder {
  readonly port: WorkerPort;
  /** Runs, the oldest first. */
  readonly held: Set<string>;
  /** By lane. */
  readonly greetings: Map<string, Greeting>;
}

class BoardLosses {
  readonly #board: BoardRef;
  readonly #sql: Sql;
  readonly #holders = new Map<WorkerPort, Holder>();
  readonly #looks: LookLoop;
  readonly #unsubscribe: () => void;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(board: BoardRef, { sql, wake, onError }: LostClaimsParts) {
    this.#board = board;
    this.#sql = sql;
    this.#looks = new LookLoop(() => this.#lookAndRest(), onError);
    this.#unsubscribe = wake.subscribeNudges(board.id, (isPoll) => {
      if (!isPoll || performance.now() - this.#lookedAtMs >= LOOK_INTERVAL_MS) this.#looks.look();
    });
  }

  get isEmpty(): boolean {
    return this.#holders.size === 0;
  }

  /** Waits for where the lane is now: what was before the hello is no news, and of what comes behind its answer nothing is missed. */
  async greet(port: WorkerPort, { lane, worker }: WorkerGreeting): Promise<void> {
    const { greetings } = this.#of(port);
    if (greetings.get(lane)?.worker === worker) return;
    const [row] = await withinDeadline(readEpochs(this.#sql, this.#board.id, [lane]));
    greetings.set(lane, { worker, epoch: row?.epoch ?? null, seq: row?.seq ?? 0 });
  }

  hold(port: WorkerPort, runId: string): void {
    const { held } = this.#of(port);
    held.add(runId);
    if (held.size <= HELD_MAX) return;
    const [oldest] = held;
    if (oldest !== undefined) held.delete(oldest);
  }

  letGo(port: WorkerPort, runId: string): void {
    this.#holders.get(port)?.held.delete(runId);
  }

  detach(port: WorkerPort): void {
    this.#holders.delete(port);
  }

  stop(): void {
    this.#looks.stop();
    this.#unsubscribe();
  }

  #of(port: WorkerPort): Holder {
    let holder = this.#holders.get(port);
    if (holder === undefined) {
      holder = { port, held: new Set(), greetings: new Map() };
      this.#holders.set(port, holder);
    }
    return holder;
  }

  async #lookAndRest(): Promise<void> {
    const startedAtMs = performance.now();
    this.#lookedAtMs = startedAtMs;
    await this.#lookForTakers();
    await this.#lookForRuns();
    const restMs = REST_SHARE * (performance.now() - startedAtMs);
    await new Promise((resolve) => setTimeout(resolve, restMs).unref());
  }

  async #lookForRuns(): Promise<void> {
    // A run may have been spoken for on two sockets.
    const held = new Map<Uuid, string>();
    for (const holder of this.#holders.values())
      for (const runId of holder.held) {
        const id = parseId('run', runId);
        if (id !== null) held.set(id, runId);
      }
    const ids = [...held.keys()];
    for (let start = 0; start < ids.length && !this.#looks.isStopped; start += LOOKED_UP_MAX) {
      const page = ids.slice(start, start + LOOKED_UP_MAX);
      const over = await withinDeadline(findRunsOver(this.#sql, this.#board.id, page));
      if (over.length > 0) await this.#tellOver(over, held);
    }
  }

  async #tellOver(ids: readonly Uuid[], held: ReadonlyMap<Uuid, string>): Promise<void> {
    const runs = await withinDeadline(findRunEnds(this.#sql, this.#board.id, ids));
    for (const id of ids) {
      const run = runs.get(id);
      const runId = held.get(id) ?? '';
      // What the holder has ended, on whatever way, it knows.
      const isOwn = run?.ended_by_type === 'claim';
      const problem = claimLost(this.#board, run);
      for (const { port, held: mine } of this.#holders.values())
        if (mine.delete(runId) && !isOwn)
          port.send({
            type: 'error',
            run_id: runId,
            code: problem.code,
            title: PROBLEMS[problem.code].title,
            detail: problem.message,
            fatal: false,
            ...problem.extensions,
          });
    }
  }

  async #lookForTakers(): Promise<void> {
    const greetings = [...this.#holders.values()].flatMap((holder) =>
      [...holder.greetings].map(([lane, greeting]) => ({ holder, lane, greeting })),
    );
    if (greetings.length === 0) return;
    const lanes = [...new Set(greetings.map(({ lane }) => lane))];
    const rows = new Map(
      (await withinDeadline(readEpochs(this.#sql, this.#board.id, lanes))).map((row) => [row.lane, row]),
    );
    const taken = greetings.filter(
      ({ lane, greeting: { epoch } }) => epoch !== null && (rows.get(lane)?.epoch ?? epoch) !== epoch,
    );
    for (const { lane, worker, seq } of await this.#listTakers(taken, rows))
      for (const { holder, lane: its, greeting } of taken)
        if (its === lane && greeting.worker !== worker && greeting.seq < seq && this.#isHere(holder))
          holder.port.send({ type: 'taken_over', lane, worker });
    for (const { lane, greeting } of greetings) {
      const row = rows.get(lane);
      // A hello that came meanwhile has seen more than this look.
      if (row === undefined || row.seq < greeting.seq) continue;
      greeting.epoch = row.epoch;
      greeting.seq = row.seq;
    }
  }

  async #listTakers(
    taken: readonly { readonly lane: string; readonly greeting: Greeting }[],
    rows: ReadonlyMap<string, { readonly seq: number }>,
  ): ReturnType<typeof listTakers> {
    if (taken.length === 0) return [];
    const lanes = [...new Set(taken.map(({ lane }) => lane))];
    const afterSeq = Math.min(...taken.map(({ greeting }) => greeting.seq));
    const upToSeq = Math.max(...lanes.map((lane) => rows.get(lane)?.seq ?? 0));
    return withinDeadline(listTakers(this.#sql, this.#board.id, lanes, { afterSeq, upToSeq }));
  }

  #isHere(holder: Holder): boolean {
    return this.#holders.get(holder.port) === holder;
  }
}
