/**
 * Where the line of each lane begins, for times in which Postgres may not clear away what was claimed: while somebody holds an old snapshot (a
 * backup, a report, a forgotten session), every claimed task leaves an entry in the index of the ready ones, and each look for the next ones
 * passes all of them. With a snapshot of a minute that took the claim of 25 tasks from 1.6 ms to 17 and halved the throughput of a board.
 *
 * So once looks are slow, a lane is looked at from where the last look ended, and from its start only now and then. What became ready before
 * that place meanwhile (a task that was given back, or one of a higher priority) waits for that, a second at most; and nobody leaves
 * empty-handed before it was looked at from the start. As long as looks are fast, all of them are from the start, and exact.
 */
import { LRUCache } from 'lru-cache';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { FROM_THE_START, type Heads, type Place } from '../store/ready-line.ts';
import type { Slot } from '../store/slot.ts';

interface Head {
  readonly place: Place;
  readonly isFrom: number;
}

interface BoardState {
  /** Since this server knows the board. */
  claimed: number;
  slowLooks: number;
  lookMs: number;
  readonly heads: Map<string, Head>;
}

/** Of the look alone, some 0.5 ms for a batch with no more behind it than the last seconds' claims. */
const SLOW_LOOK_MS = 3;
/** One may have waited for the disk or for a core. */
const SLOW_LOOKS = 3;
/** So many entries are passed in half a millisecond: with fewer, it is something else that is slow. */
const CLAIMED_MIN = 2000;
/** Looks from the start take this share of the time at most... */
const LOOK_SHARE = 0.05;
/** ...as far as that leaves them often enough. */
const LOOK_INTERVAL_MS_MAX = 1000;
const LOOK_INTERVAL_MS_MIN = 100;
const BOARDS_MAX = 1000;

export class QueueHeads {
  readonly #boards = new LRUCache<number, BoardState>({ max: BOARDS_MAX });
  readonly #now: () => number;

  /** @param now Milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Fills the slots with ready tasks by one look, or by a second one from the start where the first was not and left some empty.
   * @param claim One statement.
   * @param isAtomic All of it is one transaction, so that a look that fails takes everything back. Else what was claimed is returned all the same.
   */
  async fill(
    boardId: number,
    slots: readonly Slot[],
    claim: (slots: readonly Slot[], heads: Heads) => Promise<ClaimedRow[]>,
    { isAtomic }: { readonly isAtomic: boolean },
  ): Promise<ClaimedRow[]> {
    const heads = this.#headsOf(boardId, slots);
    const rows = await claim(slots, heads);
    this.#note(boardId, slots, heads, rows);
    if (heads.size === 0 || rows.length === slots.length) return rows;
    const filled = new Set(rows.map((row) => row.run_id));
    const left = slots.filter(({ lane, runId }) => heads.has(lane) && !filled.has(runId));
    if (left.length === 0) return rows;
    for (const { lane } of left) this.#boards.get(boardId)?.heads.delete(lane);
    try {
      const more = await claim(left, FROM_THE_START);
      this.#note(boardId, left, FROM_THE_START, more);
      return [...rows, ...more];
    } catch (error) {
      if (isAtomic || rows.length === 0) throw error;
      return rows;
    }
  }

  /** Of the lanes of these slots that need not be looked at from their start. */
  #headsOf(boardId: number, slots: readonly Slot[]): Heads {
    const state = this.#boards.get(boardId);
    if (state === undefined || state.heads.size === 0) return FROM_THE_START;
    const interval = Math.min(
      LOOK_INTERVAL_MS_MAX,
      Math.max(LOOK_INTERVAL_MS_MIN, state.lookMs / LOOK_SHARE),
    );
    const since = this.#now() - interval;
    return new Map(
      [...new Set(slots.map((slot) => slot.lane))].flatMap((lane) => {
        const head = state.heads.get(lane);
        return head === undefined || head.isFrom <= since ? [] : [[lane, head.place] as const];
      }),
    );
  }

  #note(boardId: number, slots: readonly Slot[], heads: Heads, rows: readonly ClaimedRow[]): void {
    const [first] = rows;
    if (first === undefined) return;
    const state = this.#boards.get(boardId) ?? { claimed: 0, slowLooks: 0, lookMs: 0, heads: new Map() };
    this.#boards.set(boardId, state);
    state.claimed += rows.length;
    const isFromStart = slots.some((slot) => !heads.has(slot.lane));
    if (isFromStart) {
      state.lookMs = first.look_ms;
      state.slowLooks = first.look_ms > SLOW_LOOK_MS ? state.slowLooks + 1 : 0;
    }
    if (state.claimed < CLAIMED_MIN || state.slowLooks < SLOW_LOOKS) {
      state.heads.clear();
      return;
    }
    this.#move(state, heads, rows);
  }

  #move({ heads: known }: BoardState, used: Heads, rows: readonly ClaimedRow[]): void {
    const now = this.#now();
    for (const { claim_lane: lane, priority, id, reviewer } of rows) {
      // The work under review has a line of its own.
      if (reviewer !== null || lane === null) continue;
      const isFrom = used.has(lane) ? (known.get(lane)?.isFrom ?? now) : now;
      known.set(lane, { place: { priority, id }, isFrom });
    }
  }
}
