/**
 * Where the line of each lane begins, for times in which Postgres may not clear away what was claimed: while somebody holds an old snapshot (a
 * backup, a report, a forgotten session), every claimed task leaves an entry in the index of the ready ones, and each look for the next ones
 * passes all of them. With a snapshot of a minute that took the claim of 25 tasks from 1.6 ms to 17 and halved the throughput of a board.
 *
 * So where looks are slow, a lane is looked at from where the last look ended, and from its start only now and then: one such lane of a board
 * at a time, the longest waiting first. What became ready before that place meanwhile (given back, freed by its parents, of a higher priority)
 * waits for that; and nobody leaves empty-handed before his lane was looked at from the start (claiming.ts). Of a lane whose looks are fast
 * nothing is remembered: all of them are from the start, and exact.
 */
import { LRUCache } from 'lru-cache';
import { isTooSlow } from '../../../db/failures.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { FROM_THE_START, type Heads, type Place } from '../store/ready-line.ts';
import type { Slot } from '../store/slot.ts';
import { type Begun, type Found, Line } from './line.ts';

/** With slow lines. The one that claimed longest ago is forgotten: it is looked at from the start until that has shown once more to be slow. */
const BOARDS_MAX = 100;
/** Of a board; likewise. */
const LINES_MAX = 1000;
/** Looks from the start that are spared otherwise take this share of a board's time... */
const LOOK_SHARE = 0.05;
const LOOK_INTERVAL_MS_MIN = 100;
/** ...as long as that leaves them often enough... */
const LOOK_INTERVAL_MS_MAX = 1000;
/** ...and where even that is too often, this share. */
const LOOK_SHARE_MAX = 0.1;

type Wanted = Pick<Slot, 'lane'>;

interface BoardLines {
  readonly lines: LRUCache<string, Line>;
  /** No look from the start before that, but of a line in which it has shown that there is more in front. */
  nextLookAtMs: number;
}

export class QueueHeads {
  readonly #boards = new LRUCache<number, BoardLines>({ max: BOARDS_MAX });
  readonly #now: () => number;

  /** @param now Milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param isFromStart At every lane, whenever that was last done. */
  look(boardId: number, isFromStart: boolean): Look {
    const known = (): BoardLines | undefined => this.#boards.get(boardId);
    return new Look(known, this.#now, isFromStart, (lane, line) => {
      const board = known() ?? { lines: new LRUCache({ max: LINES_MAX }), nextLookAtMs: 0 };
      board.lines.set(lane, line);
      this.#boards.set(boardId, board);
    });
  }
}

/** A look for the next tasks of some lanes of a board, by one statement: begun, and then ended or failed. It may be begun again when it was taken back. */
export class Look {
  readonly #known: () => BoardLines | undefined;
  readonly #now: () => number;
  readonly #isFromStart: boolean;
  readonly #remember: (lane: string, line: Line) => void;
  #begunAtMs = 0;
  #wanted: readonly Wanted[] = [];
  #begun: ReadonlyMap<string, Begun> = new Map();
  #isOver = false;

  constructor(
    known: () => BoardLines | undefined,
    now: () => number,
    isFromStart: boolean,
    remember: (lane: string, line: Line) => void,
  ) {
    this.#known = known;
    this.#now = now;
    this.#isFromStart = isFromStart;
    this.#remember = remember;
  }

  /** From where on the lanes of these slots are to be looked at. */
  begin(wanted: readonly Wanted[]): Heads {
    this.#takeBack(null);
    const board = this.#known();
    if (this.#isOver || board === undefined) return FROM_THE_START;
    this.#begunAtMs = this.#now();
    this.#wanted = wanted;
    const known = new Map<string, Line>();
    for (const lane of new Set(wanted.map((slot) => slot.lane))) {
      const line = board.lines.get(lane);
      if (line !== undefined) known.set(lane, line);
    }
    const due = this.#isFromStart ? null : dueLane(known, this.#begunAtMs >= board.nextLookAtMs);
    const begun = new Map<string, Begun>();
    const heads = new Map<string, Place>();
    for (const [lane, line] of known) {
      const isSpared = line.isSpared && !this.#isFromStart && lane !== due;
      const each = isSpared ? line.beginFromPlace() : line.beginFromStart(this.#begunAtMs);
      begun.set(lane, each);
      if (each.from !== null) heads.set(lane, each.from);
      else if (lane === due) board.nextLookAtMs = this.#begunAtMs + intervalAfter(line.lookMs);
    }
    this.#begun = begun;
    return heads;
  }

  /** Once what it claimed is committed. Answers the lanes that were not looked at from their start, though they left slots empty. */
  ended(rows: readonly ClaimedRow[]): ReadonlySet<string> {
    if (this.#isOver) return NO_LANES;
    this.#isOver = true;
    const lines = this.#known()?.lines;
    for (const [lane, found] of findingsOf(rows)) {
      const line = lines?.get(lane);
      const begun = this.#begun.get(lane);
      if (line === undefined) {
        // Given up while this look was under way: from a place it has seen nothing of the start.
        if (Line.isSlow(found) && (begun?.from ?? null) === null) this.#rememberNew(lane, found);
      } else if (!line.found(found, begun ?? FROM_AN_UNKNOWN_START)) lines?.delete(lane);
    }
    return this.#lanesPassedOver(rows);
  }

  failed(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#takeBack(isTooSlow(error) ? this.#now() - this.#begunAtMs : null);
  }

  #rememberNew(lane: string, found: Found): void {
    const line = new Line();
    line.found(found, FROM_AN_UNKNOWN_START);
    this.#remember(lane, line);
  }

  #takeBack(tooSlowMs: number | null): void {
    const board = this.#known();
    for (const [lane, { from }] of this.#begun) {
      const line = board?.lines.get(lane);
      if (board === undefined || line === undefined || from !== null) continue;
      line.failedFromStart(this.#begunAtMs, tooSlowMs);
      if (tooSlowMs !== null && line.isSpared) board.nextLookAtMs = this.#now() + intervalAfter(line.lookMs);
    }
    this.#begun = new Map();
  }

  #lanesPassedOver(rows: readonly ClaimedRow[]): ReadonlySet<string> {
    const left = new Map<string, number>();
    for (const [lane, { from }] of this.#begun) if (from !== null) left.set(lane, 0);
    if (left.size === 0) return NO_LANES;
    const count = (lane: string | null, by: number): void => {
      const before = lane === null ? undefined : left.get(lane);
      if (lane !== null && before !== undefined) left.set(lane, before + by);
    };
    for (const { lane } of this.#wanted) count(lane, 1);
    for (const { claim_lane: lane, look_ms: lookMs } of rows) if (lookMs !== null) count(lane, -1);
    return new Set([...left].filter(([, slots]) => slots > 0).map(([lane]) => lane));
  }
}

const NO_LANES: ReadonlySet<string> = new Set();
/** The line was not known when the look at it began. */
const FROM_AN_UNKNOWN_START: Begun = { from: null, slowUpTo: null };

/** The one lane that is looked at from its start though it could be spared that; null: none is. */
function dueLane(known: ReadonlyMap<string, Line>, isTime: boolean): string | null {
  let due: string | null = null;
  let dueSinceMs = Number.POSITIVE_INFINITY;
  for (const [lane, { isSpared, lookedAtMs }] of known) {
    const mayBe = isSpared && (isTime || lookedAtMs === Number.NEGATIVE_INFINITY);
    if (mayBe && lookedAtMs < dueSinceMs) [due, dueSinceMs] = [lane, lookedAtMs];
  }
  return due;
}

/** Until the next look from the start at a lane of a board, after one that takes so long. */
function intervalAfter(lookMs: number): number {
  const usual = Math.max(LOOK_INTERVAL_MS_MIN, lookMs / LOOK_SHARE);
  return Math.max(Math.min(usual, LOOK_INTERVAL_MS_MAX), lookMs / LOOK_SHARE_MAX);
}

/** What was found in each line. */
function findingsOf(rows: readonly ClaimedRow[]): Map<string, Found> {
  const findings = new Map<string, Found>();
  for (const { claim_lane: lane, priority, id, look_ms: lookMs } of rows) {
    // The work under review has a line of its own.
    if (lane === null || lookMs === null) continue;
    const before = findings.get(lane) ?? { count: 0, gapMs: 0, lookMs: 0 };
    const gapMs = Math.max(before.gapMs, lookMs - before.lookMs);
    findings.set(lane, { count: before.count + 1, last: { priority, id }, gapMs, lookMs });
  }
  return findings;
}
