/** Claiming: requests of a board are gathered, each batch is one statement, every lane and every request in it gets its turn. */
import type { ClaimTasksBody } from '../../../../contract/claims.ts';
import type { EmptyClaimReason } from '../../../../contract/statuses.ts';
import type { WhyReason } from '../../../../contract/why.ts';
import type { Sql, Tx } from '../../../db/client.ts';
import { isConflict, isDatabaseAway, isStaleDecision } from '../../../db/failures.ts';
import { transaction, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import type { IdSource, Uuid } from '../../../kernel/ids.ts';
import { actorOf, type Principal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { boardNotFound } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { BoardConfig, ConfigCache, PresenceTracker } from '../../lanes/service.ts';
import type { TaskService } from '../../tasks/service.ts';
import { gateOf } from '../gate.ts';
import { type ClaimedRow, claimReady, countLaneClaims, lockLanes, type Slot } from '../store/claim.ts';
import { type Undelivered, undeliveredOf } from './returns.ts';

export interface ClaimRequest {
  readonly lane: string;
  readonly keyId: string;
  readonly worker: string;
  readonly max: number;
  readonly leaseSeconds: number | null;
  readonly isWaiting: boolean;
  /** Made by the server, against credits. */
  readonly isPush?: boolean;
  /** The claim is taken when the worker's socket closes. */
  readonly isCrashOnDisconnect?: boolean;
}

/** What one request got; `reason` says why it is empty. */
export interface ClaimedTasks {
  readonly rows: readonly ClaimedRow[];
  readonly reason: EmptyClaimReason | null;
}

interface ClaimingParts {
  readonly hot: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly configs: ConfigCache;
  readonly presence: PresenceTracker;
  readonly tasks: TaskService;
  /** Why a task is not running. */
  readonly explain: (caller: Principal, board: BoardRef, reference: string) => Promise<WhyReason[]>;
  readonly onClaimed: (rows: readonly ClaimedRow[]) => void;
  readonly onEmpty: (reason: EmptyClaimReason) => void;
  /** Claims that were made after their requests had been answered 503: nobody will ever work on them. Must not throw. */
  readonly giveBack: (board: BoardRef, undelivered: Undelivered, reason: string) => void;
}

/** Tasks in one statement: some 10 ms of work; larger ones would only make the others wait longer. */
export const GATHERED_TASKS_MAX = 300;
/** A claim weighs what it asks for. One lane may fill half of it: all long polls of a server, which may be woken at once. */
const WAITING_REQUESTS_MAX = 20_000;
/** Each retry follows a change of configuration; with more in a row than this somebody changes it in a loop. */
const DECISIONS_MAX = 10;

export class Claiming {
  readonly #parts: ClaimingParts;
  readonly #batcher: Batcher<BoardRef, ClaimRequest, ClaimedTasks>;

  constructor(parts: ClaimingParts) {
    this.#parts = parts;
    this.#batcher = new Batcher({
      sizeMax: GATHERED_TASKS_MAX,
      waitingMax: WAITING_REQUESTS_MAX,
      weigh: (request) => request.max,
      fairBy: (request) => request.lane,
      mayRunAlone: (error) => !isDatabaseAway(error) && !(error instanceof ProblemError),
      run: (board, requests) => this.#claimGathered(board, requests),
    });
  }

  requestOf(caller: Principal, lane: string, body: ClaimTasksBody, isWaiting: boolean): ClaimRequest {
    const keyId = actorOf(caller).id;
    return {
      lane,
      keyId,
      worker: body.worker ?? keyId,
      max: body.max ?? 1,
      leaseSeconds: body.lease_seconds ?? null,
      isWaiting,
      isCrashOnDisconnect: body.crash_on_disconnect ?? false,
    };
  }

  /** One try: what is ready now, or why nothing is handed out. Aborted while it waits for its batch, it claims nothing. */
  async claim(board: BoardRef, request: ClaimRequest, signal?: AbortSignal): Promise<ClaimedTasks> {
    this.#see(board, request);
    return this.#batcher.submit(board, request, signal && { signal });
  }

  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  /** In a transaction of the caller's, which remembers the answer under an Idempotency-Key. */
  async claimWithin(tx: Tx, board: BoardRef, request: ClaimRequest): Promise<ClaimedTasks> {
    this.#see(board, request);
    // Read afresh, and no second try in here: when the statement finds it out of date, the whole transaction is run again.
    const config = await this.#parts.configs.refresh(board.id);
    if (config === null) throw boardNotFound(board.name);
    const plan = this.#plan(board, config, [request]);
    const looksForReviews = config.reviewCount > 0;
    const filled =
      plan.slots.length === 0
        ? NOTHING_FILLED
        : await this.#fill(tx, board, config, plan.slots, { looksForReviews });
    return unwrap(this.#counted(plan.settle(filled))[0]);
  }

  /** Exactly this task, or the reasons why it cannot be claimed. */
  async claimNamed(
    caller: Principal,
    board: BoardRef,
    request: ClaimRequest,
    reference: string,
  ): Promise<ClaimedTasks> {
    this.#see(board, request);
    const taskId = await this.#parts.tasks.resolve(caller, board, reference);
    const [result] = await this.#decide(board, [{ ...request, max: 1 }], (config, slots, looksForReviews) =>
      this.#fillAlone(board, config, slots, { namedTaskId: taskId, looksForReviews }),
    );
    const claimed = unwrap(result);
    if (claimed.rows.length === 0) throw await this.#notClaimable(caller, board, request.lane, reference);
    this.#parts.wake.ring(board.id);
    return claimed;
  }

  /** What keeps the task from anybody, and what keeps it from this lane. Its place in the queue does not matter to who names it. */
  async #notClaimable(
    caller: Principal,
    board: BoardRef,
    lane: string,
    reference: string,
  ): Promise<ProblemError> {
    const task = await this.#parts.tasks.get(caller, board, reference);
    const since = task.status_since;
    const isClaimable = ({ code }: WhyReason): boolean => code === 'behind' || code === 'claimable';
    const why = (await this.#parts.explain(caller, board, reference)).filter((entry) => !isClaimable(entry));
    const reasons: (Omit<WhyReason, 'code'> & { readonly code: string })[] = [...why];
    if (task.status === 'running')
      reasons.unshift({ code: 'running', detail: 'The task is running: a run holds it.', since });
    const waitsFor = task.status === 'review' ? task.reviewer : task.lane;
    if (waitsFor !== null && waitsFor !== lane)
      reasons.push({ code: 'other_lane', detail: `It is lane ${waitsFor}'s turn.`, since });
    if (reasons.length === 0) {
      const detail = 'It became claimable a moment after this request; try again.';
      reasons.push({ code: 'claimable', detail, since });
    }
    return new ProblemError('task_not_claimable', reasons.map((entry) => entry.detail).join(' '), {
      extensions: { reasons },
    });
  }

  #see(board: BoardRef, { lane, worker }: ClaimRequest): void {
    this.#parts.presence.see({ boardId: board.id, lane, worker, version: null });
  }

  async #claimGathered(board: BoardRef, requests: readonly ClaimRequest[]): Promise<Settled<ClaimedTasks>[]> {
    const results = await this.#decide(board, requests, (config, slots, looksForReviews) => {
      const isCapped = slots.some((slot) => config.lanes.get(slot.lane)?.max_concurrent_claims != null);
      const mayReview = looksForReviews || slots.some((slot) => config.lanes.get(slot.lane)?.is_reviewer);
      // One statement is its own transaction; counting under a cap takes a lock and a second look, and reviews are looked for first.
      if (isCapped || mayReview) return this.#fillAlone(board, config, slots, { looksForReviews });
      const claimed = claimReady(this.#parts.hot, board.id, config.version, slots);
      return withinDeadline(claimed, (rows) => this.#giveBack(board, rows)).then((rows) => ({
        rows,
        full: NONE_FULL,
      }));
    });
    if (results.some((result) => result.ok && result.value.rows.length > 0)) this.#parts.wake.ring(board.id);
    return results;
  }

  #fillAlone(board: BoardRef, config: BoardConfig, slots: readonly Slot[], look: Look): Promise<Filled> {
    return transaction(
      this.#parts.hot,
      (tx) => this.#fill(tx, board, config, slots, look),
      ({ rows }) => this.#giveBack(board, rows),
    );
  }

  #giveBack(board: BoardRef, rows: readonly ClaimedRow[]): void {
    for (const row of rows)
      this.#parts.giveBack(
        board,
        undeliveredOf(row),
        'The claim was made after its request had been answered.',
      );
  }

  /** Decides on the known configuration, and again on a fresh one when the statement finds that it has changed. */
  async #decide(
    board: BoardRef,
    requests: readonly ClaimRequest[],
    fill: (config: BoardConfig, slots: readonly Slot[], looksForReviews: boolean) => Promise<Filled>,
  ): Promise<Settled<ClaimedTasks>[]> {
    let config = await this.#parts.configs.get(board.id);
    const isOpenForAll = (known: BoardConfig): boolean =>
      requests.every((request) => gateOf(known, { ...request, board: board.name }).kind === 'open');
    // A "no" from memory may be out of date; only a fresh one is given.
    let isFresh = config === null || !isOpenForAll(config);
    if (isFresh) config = await this.#parts.configs.refresh(board.id);
    let looksForReviews = false;
    for (let decision = 1; ; decision += 1) {
      if (config === null) throw boardNotFound(board.name);
      const { version } = config;
      const plan = this.#plan(board, config, requests);
      let filled: Filled | null = null;
      try {
        filled = plan.slots.length === 0 ? NOTHING_FILLED : await fill(config, plan.slots, looksForReviews);
      } catch (error) {
        assertWorthDeciding(error, decision, board);
      }
      // Rows prove the configuration they were claimed on. An empty hand proves nothing: the lane may be paused by now, or gone; and its
      // work may be reviews, which nobody looks for where there were none before.
      if (filled !== null && filled.rows.length > 0) return this.#counted(plan.settle(filled));
      if (filled !== null && isFresh && hasLooked(config, looksForReviews))
        return this.#counted(plan.settle(filled));
      config = await this.#parts.configs.refresh(board.id);
      if (filled !== null && config?.version === version && hasLooked(config, looksForReviews))
        return this.#counted(plan.settle(filled));
      looksForReviews = (config?.reviewCount ?? 0) > 0;
      isFresh = true;
    }
  }

  #counted(results: Settled<ClaimedTasks>[]): Settled<ClaimedTasks>[] {
    for (const result of results) {
      if (!result.ok) continue;
      if (result.value.reason === null) this.#parts.onClaimed(result.value.rows);
      else this.#parts.onEmpty(result.value.reason);
    }
    return results;
  }

  /** Slots lane by lane; within a lane the requests take turns, so that one asking for a hundred leaves some for the others. */
  #plan(board: BoardRef, config: BoardConfig, requests: readonly ClaimRequest[]): Plan {
    const gates = requests.map((request) => gateOf(config, { ...request, board: board.name }));
    const turns: Turn[] = [];
    requests.forEach((request, index) => {
      const gate = gates[index];
      if (gate?.kind !== 'open') return;
      for (let turn = 0; turn < request.max; turn += 1) {
        const slot = {
          lane: request.lane,
          runId: this.#parts.ids.next(board.id),
          worker: request.worker,
          keyId: request.keyId,
          leaseSeconds: request.leaseSeconds ?? gate.lane.lease_seconds,
          maxRuntimeSeconds: gate.lane.max_runtime_seconds,
          noProgressSeconds: gate.lane.no_progress_seconds,
          isCrashOnDisconnect: request.isCrashOnDisconnect ?? false,
        };
        turns.push({ lane: request.lane, turn, request: index, slot });
      }
    });
    turns.sort(byLaneAndTurn);
    const requestOfRun = new Map(turns.map((turn) => [turn.slot.runId, turn.request]));
    return {
      slots: turns.map((turn) => turn.slot),
      settle: ({ rows, full }) => {
        const mine = rowsByRequest(rows, requestOfRun);
        return requests.map((request, index): Settled<ClaimedTasks> => {
          const gate = gates[index];
          if (gate?.kind === 'refused') return { ok: false, error: gate.problem };
          if (gate?.kind === 'closed') return { ok: true, value: { rows: [], reason: gate.reason } };
          const got = mine.get(index);
          if (got !== undefined) return { ok: true, value: { rows: got, reason: null } };
          return {
            ok: true,
            value: { rows: [], reason: full.has(request.lane) ? 'at_capacity' : 'none_ready' },
          };
        });
      },
    };
  }

  /** Fills the slots under the caps: the lanes' rows are locked, then counted in a statement that sees every earlier claim. */
  async #fill(
    tx: Tx,
    board: BoardRef,
    config: BoardConfig,
    slots: readonly Slot[],
    { namedTaskId = null, looksForReviews }: Look,
  ): Promise<Filled> {
    const capOf = (lane: string): number | null => config.lanes.get(lane)?.max_concurrent_claims ?? null;
    const capped = [...new Set(slots.map((slot) => slot.lane))].filter((lane) => capOf(lane) !== null);
    const left = new Map<string, number>();
    if (capped.length > 0) {
      await lockLanes(tx, board.id, capped);
      const counts = await countLaneClaims(tx, board.id, capped);
      for (const lane of capped) left.set(lane, (capOf(lane) ?? 0) - (counts.get(lane) ?? 0));
    }
    const full = new Set<string>();
    const allowed = slots.filter((slot) => {
      const room = left.get(slot.lane);
      if (room === undefined) return true;
      left.set(slot.lane, room - 1);
      if (room <= 0) full.add(slot.lane);
      return room > 0;
    });
    const reviewing = allowed.filter(
      (slot) => looksForReviews || config.lanes.get(slot.lane)?.is_reviewer === true,
    );
    const reviews = await this.#claimReviews(tx, board, config, reviewing, namedTaskId);
    const used = new Set(reviews.map((row) => row.run_id));
    const open = allowed.filter((slot) => !used.has(slot.runId));
    const ready =
      open.length === 0 ? [] : await claimReady(tx, board.id, config.version, open, { namedTaskId });
    return { rows: [...reviews, ...ready], full };
  }

  /** Reviews come before new work: what is nearly done is worth most. Worker by worker: nobody is given his own work to review. */
  async #claimReviews(
    tx: Tx,
    board: BoardRef,
    config: BoardConfig,
    slots: readonly Slot[],
    namedTaskId: Uuid | null,
  ): Promise<ClaimedRow[]> {
    const rows: ClaimedRow[] = [];
    for (const worker of new Set(slots.map((slot) => slot.worker))) {
      const own = slots.filter((slot) => slot.worker === worker);
      rows.push(...(await claimReady(tx, board.id, config.version, own, { from: 'review', namedTaskId })));
    }
    return rows;
  }
}

/** What a claim looks for beyond ready tasks of its lane. */
interface Look {
  readonly namedTaskId?: Uuid | null;
  /** Also in lanes that were never known to review. */
  readonly looksForReviews: boolean;
}

/** Everywhere that there is something. */
function hasLooked({ reviewCount }: BoardConfig, looksForReviews: boolean): boolean {
  return looksForReviews || reviewCount === 0;
}

/** Throws what cannot be decided again, or has been too often. */
function assertWorthDeciding(error: unknown, decision: number, board: BoardRef): void {
  if (!isRolledBack(error)) throw error;
  if (decision >= DECISIONS_MAX) throw isStaleDecision(error) ? changesTooOften(board) : error;
}

function changesTooOften(board: BoardRef): ProblemError {
  const detail = `The lanes of board ${JSON.stringify(board.name)} are being changed faster than claims can be decided; retry shortly.`;
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}

/** Nothing of the statement has happened: it can be decided again. */
function isRolledBack(error: unknown): boolean {
  return isStaleDecision(error) || isConflict(error);
}

/** One slot of one request: its first, its second, … */
interface Turn {
  readonly lane: string;
  readonly turn: number;
  readonly request: number;
  readonly slot: Slot;
}

function rowsByRequest(
  rows: readonly ClaimedRow[],
  requestOfRun: ReadonlyMap<Uuid, number>,
): Map<number, ClaimedRow[]> {
  const byRequest = new Map<number, ClaimedRow[]>();
  for (const row of rows) {
    const request = requestOfRun.get(row.run_id);
    if (request === undefined) continue;
    const known = byRequest.get(request);
    if (known === undefined) byRequest.set(request, [row]);
    else known.push(row);
  }
  return byRequest;
}

function byLaneAndTurn(left: Turn, right: Turn): number {
  if (left.lane !== right.lane) return left.lane < right.lane ? -1 : 1;
  return left.turn - right.turn || left.request - right.request;
}

interface Filled {
  readonly rows: readonly ClaimedRow[];
  /** Lanes with more slots than room. */
  readonly full: ReadonlySet<string>;
}

const NONE_FULL: ReadonlySet<string> = new Set();
const NOTHING_FILLED: Filled = { rows: [], full: NONE_FULL };

interface Plan {
  readonly slots: readonly Slot[];
  readonly settle: (filled: Filled) => Settled<ClaimedTasks>[];
}

function unwrap(result: Settled<ClaimedTasks> | undefined): ClaimedTasks {
  if (result === undefined) return { rows: [], reason: 'none_ready' };
  if (result.ok) return result.value;
  throw result.error;
}
