/** Claiming: requests of a board are gathered, each batch is one statement, every lane and every request in it gets its turn. */
import type { ClaimTasksBody } from '../../../../contract/claims.ts';
import type { EmptyClaimReason } from '../../../../contract/statuses.ts';
import type { WhyReason } from '../../../../contract/why.ts';
import type { Sql, Tx } from '../../../db/client.ts';
import { isDatabaseAway } from '../../../db/failures.ts';
import { transaction, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import type { IdSource } from '../../../kernel/ids.ts';
import { actorOf, type Principal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { BoardConfig, ConfigCache, PresenceTracker } from '../../lanes/service.ts';
import type { TaskService } from '../../tasks/service.ts';
import { claimReady } from '../store/claim.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import type { Heads } from '../store/ready-line.ts';
import { listReviewedLanes } from '../store/review.ts';
import type { Slot } from '../store/slot.ts';
import { Decisions, type Fill, reviewLanesOf } from './decisions.ts';
import { type Filled, type FilledWithin, fillSlots, NOTHING_FILLED, type Sought } from './filling.ts';
import type { QueueHeads } from './queue-heads.ts';
import { type Undelivered, undeliveredOf } from './returns.ts';
import type { ClaimedTasks, ClaimRequest } from './slot-plan.ts';

interface ClaimingParts {
  readonly hot: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly heads: QueueHeads;
  readonly configs: ConfigCache;
  readonly presence: PresenceTracker;
  readonly tasks: TaskService;
  /** Why a task is not running. */
  readonly explain: (caller: Principal, board: BoardRef, reference: string) => Promise<WhyReason[]>;
  readonly onClaimed: (board: BoardRef, rows: readonly ClaimedRow[]) => void;
  readonly onEmpty: (reason: EmptyClaimReason) => void;
  /** Claims that were made after their requests had been answered 503: nobody will ever work on them. Must not throw. */
  readonly giveBack: (board: BoardRef, undelivered: Undelivered, reason: string) => void;
}

/** Tasks in one statement: some 10 ms of work; larger ones would only make the others wait longer. */
export const GATHERED_TASKS_MAX = 300;
/** A claim weighs what it asks for. One lane may fill half of it: all long polls of a server, which may be woken at once. */
const WAITING_REQUESTS_MAX = 20_000;

/** What came of a claim under a key: null when it had been made before. */
interface Remembered<T> {
  readonly answer: T;
  readonly claimed: ClaimedTasks | null;
}

/** Makes the claim in a transaction of its own, again when that is taken back, or finds that it was made before; answers when that is committed. */
type Remember<T> = (claim: (tx: Tx) => Promise<ClaimedTasks>) => Promise<Remembered<T>>;

export class Claiming {
  readonly #parts: ClaimingParts;
  readonly #decisions: Decisions;
  readonly #batcher: Batcher<BoardRef, ClaimRequest, ClaimedTasks>;
  /** Of those who were passed over: their looks take longer, and the others need not wait for them. */
  readonly #fromStart: Batcher<BoardRef, ClaimRequest, ClaimedTasks>;

  constructor(parts: ClaimingParts) {
    this.#parts = parts;
    this.#decisions = new Decisions(parts);
    this.#batcher = this.#newBatcher(false);
    this.#fromStart = this.#newBatcher(true);
  }

  #newBatcher(isFromStart: boolean): Batcher<BoardRef, ClaimRequest, ClaimedTasks> {
    return new Batcher({
      sizeMax: GATHERED_TASKS_MAX,
      waitingMax: WAITING_REQUESTS_MAX,
      weigh: (request) => request.max,
      fairBy: (request) => request.lane,
      mayRunAlone: (error) => !isDatabaseAway(error) && !(error instanceof ProblemError),
      run: (board, requests) => this.#claimGathered(board, requests, isFromStart),
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
    const claimed = await this.#batcher.submit(board, request, signal && { signal });
    return mustLookAgain(claimed) ? this.#fromStart.submit(board, request, signal && { signal }) : claimed;
  }

  async drain(): Promise<void> {
    await this.#batcher.drain();
    await this.#fromStart.drain();
  }

  /** In a transaction of the caller's, which remembers the answer under an Idempotency-Key; a second one for who was passed over. */
  async claimOnce<T>(board: BoardRef, request: ClaimRequest, remember: Remember<T>): Promise<T> {
    this.#see(board, request);
    let remembered = await this.#claimRemembered(board, request, remember, false);
    if (remembered.claimed !== null && mustLookAgain(remembered.claimed))
      remembered = await this.#claimRemembered(board, request, remember, true);
    const { answer, claimed } = remembered;
    if (claimed !== null) this.#counted(board, [{ ok: true, value: claimed }]);
    return answer;
  }

  async #claimRemembered<T>(
    board: BoardRef,
    request: ClaimRequest,
    remember: Remember<T>,
    isFromStart: boolean,
  ): Promise<Remembered<T>> {
    const look = this.#parts.heads.look(board.id, isFromStart);
    try {
      const { answer, claimed } = await remember(async (tx) => {
        look.takeBack();
        return unwrap(
          (await this.#decisions.decideWithin(tx, board, request, (slots) => look.begin(slots)))[0],
        );
      });
      if (claimed === null) {
        look.takeBack();
        return { answer, claimed };
      }
      const isPassedOver = look.ended(claimed.rows).has(request.lane);
      return { answer, claimed: { ...claimed, isPassedOver } };
    } catch (error) {
      look.failed(error);
      throw error;
    }
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
    const results = await this.#decisions.decide(board, [{ ...request, max: 1 }], async (config, slots) => {
      const reviewLanes = new Set(reviewLanesOf(config, slots));
      const filled = await this.#fillAlone(board, config, slots, { namedTaskId: taskId, reviewLanes });
      return { ...NOTHING_FILLED, ...filled };
    });
    const claimed = unwrap(this.#counted(board, results)[0]);
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

  async #claimGathered(
    board: BoardRef,
    requests: readonly ClaimRequest[],
    isFromStart: boolean,
  ): Promise<Settled<ClaimedTasks>[]> {
    const fill: Fill = (config, slots) => this.#fill(board, config, slots, isFromStart);
    const results = this.#counted(board, await this.#decisions.decide(board, requests, fill));
    if (results.some((result) => result.ok && result.value.rows.length > 0)) this.#parts.wake.ring(board.id);
    return results;
  }

  /**
   * One statement is its own transaction. Counting under a cap takes a lock and a second look, and reviews are locked first; but of the
   * lanes that review most have nothing to review at most times, and for a look they are spared the transaction.
   */
  async #fill(
    board: BoardRef,
    config: BoardConfig,
    slots: readonly Slot[],
    isFromStart: boolean,
  ): Promise<Filled> {
    const { hot } = this.#parts;
    const isCapped = slots.some((slot) => config.lanes.get(slot.lane)?.max_concurrent_claims != null);
    const known = reviewLanesOf(config, slots);
    const isLookedFor = known.length > 0 && !isCapped;
    const lanes = isLookedFor ? await withinDeadline(listReviewedLanes(hot, board.id, known)) : known;
    const look = this.#parts.heads.look(board.id, isFromStart);
    const headsOf = (wanted: readonly Slot[]): Heads => look.begin(wanted);
    try {
      const filled =
        isCapped || lanes.length > 0
          ? await this.#fillAlone(board, config, slots, { reviewLanes: new Set(lanes), headsOf }, () =>
              look.takeBack(),
            )
          : { rows: await this.#claimReady(board, config, slots, headsOf(slots)) };
      return { ...NOTHING_FILLED, ...filled, passedOver: look.ended(filled.rows) };
    } catch (error) {
      look.failed(error);
      throw error;
    }
  }

  #claimReady(
    board: BoardRef,
    config: BoardConfig,
    slots: readonly Slot[],
    heads: Heads,
  ): Promise<ClaimedRow[]> {
    const { hot } = this.#parts;
    return withinDeadline(claimReady(hot, board.id, config.version, slots, { heads }), (late) =>
      this.#giveBack(board, late),
    );
  }

  #fillAlone(
    board: BoardRef,
    config: BoardConfig,
    slots: readonly Slot[],
    sought: Sought,
    onBegin: () => void = () => undefined,
  ): Promise<FilledWithin> {
    return transaction(
      this.#parts.hot,
      (tx) => {
        onBegin();
        return fillSlots(tx, board, config, slots, sought);
      },
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

  #counted(board: BoardRef, results: Settled<ClaimedTasks>[]): Settled<ClaimedTasks>[] {
    for (const result of results) {
      if (!result.ok) continue;
      if (result.value.reason === null) this.#parts.onClaimed(board, result.value.rows);
      else if (!mustLookAgain(result.value)) this.#parts.onEmpty(result.value.reason);
    }
    return results;
  }
}

/** Nobody leaves empty-handed before his lane was looked at from its start. */
function mustLookAgain({ rows, isPassedOver }: ClaimedTasks): boolean {
  return rows.length === 0 && isPassedOver === true;
}

function unwrap(result: Settled<ClaimedTasks> | undefined): ClaimedTasks {
  if (result === undefined) return { rows: [], reason: 'none_ready' };
  if (result.ok) return result.value;
  throw result.error;
}
