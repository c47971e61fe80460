/**
 * Where the line of each lane begins, for times in which Postgres may not clear away what was claimed: while somebody holds an old snapshot (a
 * backup, a report, a forgotten session), every claimed task leaves an entry in the index of the ready ones, and each look for the next ones
 * passes all of them. With a snapshot of a minute that took the claim of 25 tasks from 1.6 ms to 17 and halved the throughput of a board.
 *
 * So where looks are slow, a lane is looked at from where the last look ended, and from its start only now and then: by one statement one such
 * lane at a time, the longest waiting first. What became ready before that place meanwhile (given back, freed by its parents, of a higher priority)
 * waits for that; and nobody leaves empty-handed before his lane was looked at from the start (claiming.ts). Of a lane whose looks are fast
 * nothing is remembered: all of them are from the start, and exact.
 */
import { isTooSlow } from '../../../db/failures.ts';
import { boundedCache } from '../../../kernel/bounded-cache.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { FROM_THE_START, type Heads, type Place } from '../store/ready-line.ts';
import type { Slot } from '../store/slot.ts';
import { type Begun, type Found, FROM_AN_UNKNOWN_START, Line } from './line.ts';

/** With slow lines. The one that claimed longest ago is forgotten: it is looked at from the start until that has shown once more to be slow. */
const BOARDS_MAX = 100;
/** Of a board; likewise. */
const LINES_MAX = 1000;
/** Between two counts of the slow lines of a board that are in use. */
const COUNT_INTERVAL_MS = 100;

type Wanted = Pick<Slot, 'lane'>;

export class QueueHeads {
  readonly #boards = boundedCache<number, SlowLines>(BOARDS_MAX);
  readonly #now: () => number;

  /** @param now Milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param isFromStart At every lane, whenever that was last done. */
  look(boardId: number, isFromStart: boolean): Look {
    const known = (): SlowLines | undefined => this.#boards.get(boardId);
    return new Look(known, this.#now, isFromStart, (lane, line) => {
      const lines = known() ?? new SlowLines();
      lines.set(lane, line);
      this.#boards.set(boardId, lines);
    });
  }
}

/** The lines of a board in which looks are slow. */
class SlowLines {
  readonly #lines = boundedCache<string, Line>(LINES_MAX);
  #sharing = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;

  get(lane: string): Line | undefined {
    return this.#lines.get(lane);
  }

  set(lane: string, line: Line): void {
    this.#lines.set(lane, line);
  }

  delete(lane: string): void {
    this.#lines.delete(lane);
  }

  /** How many share the time for looks from the start. */
  countSharing(nowMs: number): number {
    if (nowMs - this.#countedAtMs >= COUNT_INTERVAL_MS) {
      this.#countedAtMs = nowMs;
      this.#sharing = [...this.#lines.values()].filter((line) => line.isSharing(nowMs)).length;
    }
    return Math.max(1, this.#sharing);
  }
}

/** A look for the next tasks of some lanes of a board, by one statement: begun, and then ended or failed; or taken back, and begun again. */
export class Look {
  readonly #known: () => SlowLines | undefined;
  readonly #now: () => number;
  readonly #isFromStart: boolean;
  readonly #remember: (lane: string, line: Line) => void;
  #begunAtMs = 0;
  #wanted: readonly Wanted[] = [];
  #begun: ReadonlyMap<string, Begun> = new Map();
  #isOver = false;

  constructor(
    known: () => SlowLines | undefined,
    now: () => number,
    isFromStart: boolean,
    remember: (lane: string, line: Line) => void,
  ) {
    this.#known = known;
    this.#now = now;
    this.#isFromStart = isFromStart;
    this.#remember = remember;
  }

  /** From where on the lanes of these slots are to be looked at. Throws when whoever wanted to know has been answered. */
  begin(wanted: readonly Wanted[]): Heads {
    this.takeBack();
    if (this.#isOver) throw new Error('The look is over: its request was answered.');
    const lines = this.#known();
    if (lines === undefined) return FROM_THE_START;
    this.#begunAtMs = this.#now();
    this.#wanted = wanted;
    const known = new Map<string, Line>();
    for (const lane of new Set(wanted.map((slot) => slot.lane))) {
      const line = lines.get(lane);
      if (line !== undefined) known.set(lane, line);
    }
    const due = this.#isFromStart ? null : dueLane(known, this.#begunAtMs, lines);
    const begun = new Map<string, Begun>();
    const heads = new Map<string, Place>();
    for (const [lane, line] of known) {
      const isSpared = line.isSpared && !this.#isFromStart && lane !== due && !line.isMoreInFront;
      const each = isSpared ? line.beginFromPlace(this.#begunAtMs) : line.beginFromStart(this.#begunAtMs);
      begun.set(lane, each);
      if (each.from !== null) heads.set(lane, each.from);
    }
    this.#begun = begun;
    return heads;
  }

  /** What it was begun in was taken back, or is made anew. */
  takeBack(): void {
    this.#failed(null);
  }

  /** Once what it claimed is committed. Answers the lanes that were not looked at from their start, though they left slots empty. */
  ended(rows: readonly ClaimedRow[]): ReadonlySet<string> {
    if (this.#isOver) return NO_LANES;
    this.#isOver = true;
    const lines = this.#known();
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
    // A look at every lane from its start says nothing of one.
    this.#failed(isTooSlow(error) && !this.#isFromStart ? this.#now() - this.#begunAtMs : null);
  }

  #rememberNew(lane: string, found: Found): void {
    const line = new Line();
    line.found(found, FROM_AN_UNKNOWN_START);
    this.#remember(lane, line);
  }

  #failed(tooSlowMs: number | null): void {
    const lines = this.#known();
    for (const [lane, begun] of this.#begun)
      if (begun.from === null) lines?.get(lane)?.failedFromStart(this.#begunAtMs, begun, tooSlowMs);
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

/** The one lane that is looked at from its start because it is time, the longest waiting first; null: none is. */
function dueLane(known: ReadonlyMap<string, Line>, nowMs: number, lines: SlowLines): string | null {
  let due: string | null = null;
  let dueSinceMs = Number.POSITIVE_INFINITY;
  for (const [lane, line] of known) {
    if (!line.isSpared || line.isMoreInFront || line.lookedAtStartMs >= dueSinceMs) continue;
    if (line.isDueAtStart(nowMs, lines.countSharing(nowMs))) [due, dueSinceMs] = [lane, line.lookedAtStartMs];
  }
  return due;
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
