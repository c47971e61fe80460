/**
 * Where the line of each lane begins, for times in which Postgres may not clear away what was claimed: while somebody holds an old snapshot (a
 * backup, a report, a forgotten session), every claimed task leaves an entry in the index of the ready ones, and each look for the next ones
 * passes all of them. With a snapshot of a minute that took the claim of 25 tasks from 1.6 ms to 17 and halved the throughput of a board.
 *
 * So where looks are slow, a lane is looked at from where the last look ended, and from its start only now and then. What became ready before
 * that place meanwhile (a task that was given back, or one of a higher priority) waits for that: a second, or ten times what such a look
 * takes where that is more; and nobody leaves empty-handed before it was looked at from the start (decisions.ts). Where looks are fast, all of
 * them are from the start, and exact, and nothing is remembered.
 */
import { LRUCache } from 'lru-cache';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { FROM_THE_START, type Heads, type Place } from '../store/ready-line.ts';
import type { Slot } from '../store/slot.ts';
import { type Found, intervalMs, Line } from './line.ts';

/** With slow lines. The one that claimed longest ago is forgotten: it is looked at from the start until it has shown once more that that is slow. */
const BOARDS_MAX = 100;
/** Of a board. More are looked at from their start. */
const LINES_MAX = 1000;

type Wanted = Pick<Slot, 'lane'>;
type Lines = Map<string, Line>;

/** A look for the next tasks of some lanes: begun, and then either ended or failed. */
export interface Looking {
  readonly heads: Heads;
  /** Once what it claimed is committed. Answers the lanes that were not looked at from their start, though they left slots empty. */
  ended(rows: readonly ClaimedRow[]): ReadonlySet<string>;
  failed(): void;
}

export class QueueHeads {
  readonly #boards = new LRUCache<number, Lines>({ max: BOARDS_MAX });
  readonly #now: () => number;

  /** @param now Milliseconds, monotonic. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  begin(
    boardId: number,
    wanted: readonly Wanted[],
    { isFromStart }: { readonly isFromStart: boolean },
  ): Looking {
    const begunAtMs = this.#now();
    const lines = this.#boards.get(boardId);
    const heads = lines === undefined ? FROM_THE_START : beginAll(lines, wanted, begunAtMs, isFromStart);
    return {
      heads,
      ended: (rows) => {
        for (const [lane, found] of findingsOf(rows)) this.#note(boardId, lane, heads.has(lane), found);
        return shortLanes(heads, wanted, rows);
      },
      failed: () => {
        for (const [lane, line] of lines ?? [])
          if (!heads.has(lane)) line.failedFromStart(begunAtMs, this.#now());
      },
    };
  }

  #note(boardId: number, lane: string, isFromPlace: boolean, found: Found): void {
    const lines = this.#boards.get(boardId) ?? new Map<string, Line>();
    const known = lines.get(lane);
    // Given up while this look was under way: what it found says nothing of the start.
    if (known === undefined && (isFromPlace || !Line.isSlow(found) || lines.size >= LINES_MAX)) return;
    const line = known ?? new Line();
    const isKept = isFromPlace ? line.foundFromPlace(found) : line.foundFromStart(found);
    if (isKept) lines.set(lane, line);
    else lines.delete(lane);
    if (lines.size > 0) this.#boards.set(boardId, lines);
    else this.#boards.delete(boardId);
  }
}

const NO_LANES: ReadonlySet<string> = new Set();

/** Answers the places in the lanes that need not be looked at from their start. */
function beginAll(lines: Lines, wanted: readonly Wanted[], nowMs: number, isFromStart: boolean): Heads {
  const heads = new Map<string, Place>();
  let sparedMs = 0;
  for (const line of lines.values()) sparedMs += line.sparedMs;
  const everyMs = intervalMs(sparedMs);
  for (const lane of new Set(wanted.map((slot) => slot.lane))) {
    const line = lines.get(lane);
    const place = isFromStart ? null : (line?.placeAt(nowMs, everyMs) ?? null);
    if (place === null) line?.beginFromStart(nowMs);
    else heads.set(lane, place);
  }
  return heads;
}

function shortLanes(
  heads: Heads,
  wanted: readonly Wanted[],
  rows: readonly ClaimedRow[],
): ReadonlySet<string> {
  if (heads.size === 0) return NO_LANES;
  const left = new Map<string, number>();
  for (const { lane } of wanted) left.set(lane, (left.get(lane) ?? 0) + 1);
  for (const { claim_lane: lane } of rows) if (lane !== null) left.set(lane, (left.get(lane) ?? 0) - 1);
  return new Set([...heads.keys()].filter((lane) => (left.get(lane) ?? 0) > 0));
}

/** What was found in each line. */
function findingsOf(rows: readonly ClaimedRow[]): Map<string, Found> {
  const findings = new Map<string, Found & { readonly lookMs: number }>();
  for (const { claim_lane: lane, priority, id, look_ms: lookMs } of rows) {
    // The work under review has a line of its own, as has a claim that is read again.
    if (lane === null || lookMs === null) continue;
    const before = findings.get(lane) ?? { count: 0, gapMs: 0, lookMs: 0 };
    const gapMs = Math.max(before.gapMs, lookMs - before.lookMs);
    findings.set(lane, { count: before.count + 1, last: { priority, id }, gapMs, lookMs });
  }
  return findings;
}
