/**
 * Decides what a batch of requests gets, on the board's configuration as this server remembers it, and again on a fresh one when the claim's
 * statement finds that it has changed. Who is left empty-handed though work waits for the review of his lane is decided about again: the lane
 * had not been known to review, and is from then on.
 */
import type { Sql, Tx } from '../../../db/client.ts';
import { raiseConfigVersion } from '../../../db/event-log.ts';
import { isConflict, isStaleDecision } from '../../../db/failures.ts';
import { transaction, withinDeadline } from '../../../db/tx.ts';
import type { Settled } from '../../../kernel/batcher.ts';
import type { IdSource } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { boardNotFound } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import { type BoardConfig, type ConfigCache, markReviewers } from '../../lanes/service.ts';
import { gateOf } from '../gate.ts';
import type { Heads } from '../store/ready-line.ts';
import { listReviewedLanes } from '../store/review.ts';
import type { Slot } from '../store/slot.ts';
import { type Filled, fillSlots, NOTHING_FILLED } from './filling.ts';
import { type ClaimedTasks, type ClaimRequest, planSlots } from './slot-plan.ts';

interface DecisionsParts {
  readonly hot: Sql;
  readonly ids: IdSource;
  readonly configs: ConfigCache;
}

/** Must fill on this very configuration, or fill nothing and say that it has changed. */
export type Fill = (config: BoardConfig, slots: readonly Slot[]) => Promise<Filled>;

/** Each retry follows a change of configuration; with more in a row than this somebody changes it in a loop. */
const DECISIONS_MAX = 10;

interface Decision {
  readonly results: readonly Settled<ClaimedTasks>[];
  /** What it was decided on. */
  readonly config: BoardConfig;
  /** Tasks of the board that waited for review then. */
  readonly reviewCount: number;
}

export class Decisions {
  readonly #parts: DecisionsParts;

  constructor(parts: DecisionsParts) {
    this.#parts = parts;
  }

  async decide(
    board: BoardRef,
    requests: readonly ClaimRequest[],
    fill: Fill,
  ): Promise<Settled<ClaimedTasks>[]> {
    const { results, config, reviewCount } = await this.#decideOnce(board, requests, fill);
    const settled = [...results];
    if (reviewCount === 0) return settled;
    const empty = requests.flatMap((request, index) => {
      const result = results[index];
      const isEmpty = result?.ok === true && result.value.reason === 'none_ready';
      return isEmpty && !isReviewer(config, request.lane) ? [{ request, index }] : [];
    });
    if (empty.length === 0) return settled;
    // What the others got must be answered, whatever becomes of these.
    const found = await this.#decideOnReviews(board, empty, fill).catch((error: unknown) =>
      empty.map(({ index }) => ({ index, result: { ok: false, error } as const })),
    );
    for (const { index, result } of found) settled[index] = result;
    return settled;
  }

  /** In a transaction of the caller's; when the statement finds the configuration out of date, all of that is run again. */
  async decideWithin(
    tx: Tx,
    board: BoardRef,
    request: ClaimRequest,
    headsOf: (slots: readonly Slot[]) => Heads,
  ): Promise<Settled<ClaimedTasks>[]> {
    const config = await this.#parts.configs.refresh(board.id);
    if (config === null) throw boardNotFound(board.name);
    const plan = planSlots(board, config, [request], this.#parts.ids);
    if (plan.slots.length === 0) return plan.settle(NOTHING_FILLED);
    const isUnknown = config.reviewCount > 0 && !isReviewer(config, request.lane);
    const unmarked = isUnknown ? await listReviewedLanes(tx, board.id, [request.lane]) : [];
    const isNewReviewer = await markReviewers(tx, board.id, unmarked);
    const reviewLanes = new Set([...reviewLanesOf(config, plan.slots), ...unmarked]);
    const filled = await fillSlots(tx, board, config, plan.slots, { reviewLanes, headsOf });
    if (isNewReviewer) await raiseConfigVersion(tx, board.id);
    return plan.settle({ ...NOTHING_FILLED, ...filled });
  }

  async #decideOnce(board: BoardRef, requests: readonly ClaimRequest[], fill: Fill): Promise<Decision> {
    const { configs, ids } = this.#parts;
    let config = await configs.get(board.id);
    const isOpenForAll = (known: BoardConfig): boolean =>
      requests.every((request) => gateOf(known, { ...request, board: board.name }).kind === 'open');
    // A "no" from memory may be out of date; only a fresh one is given.
    let isFresh = config === null || !isOpenForAll(config);
    if (isFresh) config = await configs.refresh(board.id);
    for (let decision = 1; ; decision += 1) {
      if (config === null) throw boardNotFound(board.name);
      const decidedOn = config;
      const plan = planSlots(board, decidedOn, requests, ids);
      let filled: Filled | null = null;
      try {
        filled = plan.slots.length === 0 ? NOTHING_FILLED : await fill(decidedOn, plan.slots);
      } catch (error) {
        assertWorthDeciding(error, decision, board);
      }
      const [first] = filled?.rows ?? [];
      // Rows prove the configuration they were claimed on. An empty hand proves nothing: the lane may be paused by now, or gone.
      if (filled !== null && (isFresh || first !== undefined)) {
        const reviewCount = first?.board_reviews ?? decidedOn.reviewCount;
        return { results: plan.settle(filled), config: decidedOn, reviewCount };
      }
      config = await configs.refresh(board.id);
      if (filled !== null && config?.version === decidedOn.version)
        return { results: plan.settle(filled), config, reviewCount: config.reviewCount };
      isFresh = true;
    }
  }

  /** The lanes that have something to review are marked, and those who asked for them have another try. */
  async #decideOnReviews(
    board: BoardRef,
    empty: readonly { readonly request: ClaimRequest; readonly index: number }[],
    fill: Fill,
  ): Promise<{ readonly index: number; readonly result: Settled<ClaimedTasks> }[]> {
    const { hot } = this.#parts;
    const asked = [...new Set(empty.map(({ request }) => request.lane))];
    const lanes = await withinDeadline(listReviewedLanes(hot, board.id, asked));
    if (lanes.length === 0) return [];
    await transaction(hot, async (tx) => {
      if (await markReviewers(tx, board.id, lanes)) await raiseConfigVersion(tx, board.id);
    });
    const again = empty.filter(({ request }) => lanes.includes(request.lane));
    const requests = again.map(({ request }) => request);
    const { results } = await this.#decideOnce(board, requests, fill);
    return again.flatMap(({ index }, place) => {
      const result = results[place];
      return result === undefined ? [] : [{ index, result }];
    });
  }
}

function isReviewer(config: BoardConfig, lane: string): boolean {
  return config.lanes.get(lane)?.is_reviewer === true;
}

/** Lanes of these slots that are known to review. */
export function reviewLanesOf(config: BoardConfig, slots: readonly Slot[]): string[] {
  return [...new Set(slots.map((slot) => slot.lane))].filter((lane) => isReviewer(config, lane));
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
