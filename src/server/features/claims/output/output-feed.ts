/**
 * The output of one board's tasks as it grows, for whoever watches it here. Appends of this server are handed in at once; what other
 * servers append is read from the rings, by the headers that have changed. One order for both: each task has the number that everyone
 * has been sent up to (sent-numbers.ts), and what does not follow on it is read. Lines that the ring has lost are counted and said.
 *
 * What comes while the audience is still being handed what came before waits, a little of it there and the rest in the rings, which forget
 * the oldest of it.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import { isSliceOver, nextTurn } from '../../../kernel/time-slice.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { OutputWatch } from '../../watch/service.ts';
import { type HeaderRow, listGrown, listSpans, readClock } from '../store/output.ts';
import type { Growth } from './growth.ts';
import { OutputAudience } from './output-audience.ts';
import { parcelOf } from './output-parcel.ts';
import { SentNumbers } from './sent-numbers.ts';

interface OutputFeedParts {
  readonly sql: Sql;
  readonly onError: (error: unknown) => void;
}

const PAGE_ROWS = 1000;
/** A look reads so many headers at most; with more in ten seconds the board prints faster than anyone can watch, and the next look goes on. */
const PAGES_MAX = 10;
/** Rings read in one statement: 5 MB at most. */
const RINGS_MAX = 50;
/** A header may be committed as long after its time as a statement may take, which is 7 seconds. */
const OVERLAP_SECONDS = 10;
/** Between two looks: a board that prints all the time costs the database a few statements a second. */
const LOOK_INTERVAL_MS = 50;
const FIRST_ID = '00000000-0000-0000-0000-000000000000' as Uuid;

export class OutputFeed {
  readonly #board: BoardRef;
  readonly #parts: OutputFeedParts;
  readonly #audience: OutputAudience;
  readonly #sent = new SentNumbers();
  /** The newest change of a header that was seen. */
  #seenAt = '';
  #isLooking = false;
  #isDue = false;
  #isStopped = false;

  constructor(board: BoardRef, parts: OutputFeedParts) {
    this.#board = board;
    this.#parts = parts;
    this.#audience = new OutputAudience(parts.onError);
  }

  /** From when on lines are sent. Whoever waits for it before adding a watch misses none that is appended afterwards. */
  async begin(): Promise<void> {
    if (this.#sent.notBefore !== null) return;
    const at = await withinDeadline(readClock(this.#parts.sql));
    this.#seenAt = this.#sent.begin(at);
  }

  add(watch: OutputWatch): void {
    this.#audience.add(watch);
    this.look();
  }

  remove(watch: OutputWatch): void {
    this.#audience.remove(watch);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Appended here and committed. */
  publish(growth: Growth): void {
    const before = this.#sent.numberBefore(growth);
    if (before !== null && !this.#audience.isFull) this.#deliver(growth, before);
    else this.look(); // Something lies before it, or may.
  }

  look(): void {
    this.#isDue = true;
    if (!this.#isLooking && !this.#audience.isEmpty) void this.#lookWhileDue();
  }

  async #lookWhileDue(): Promise<void> {
    this.#isLooking = true;
    try {
      while (this.#isDue && !this.#isStopped) {
        this.#isDue = false;
        await this.#lookOnce();
        await this.#audience.untilHandedOut();
        await this.#audience.tellLosses();
        await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS).unref());
      }
    } catch (error) {
      this.#parts.onError(error); // The next nudge or poll looks again.
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookOnce(): Promise<void> {
    let after = { at: this.#seenAt, overlapSeconds: OVERLAP_SECONDS, taskId: FIRST_ID };
    for (let page = 0; page < PAGES_MAX && !this.#isStopped; page += 1) {
      const headers = await withinDeadline(listGrown(this.#parts.sql, this.#board.id, after, PAGE_ROWS));
      await this.#catchUp(headers);
      const last = headers.at(-1);
      if (last === undefined) return;
      if (last.updated_at > this.#seenAt) this.#seenAt = last.updated_at;
      if (headers.length < PAGE_ROWS) return;
      after = { at: last.updated_at, overlapSeconds: 0, taskId: last.task_id };
    }
  }

  async #catchUp(headers: readonly HeaderRow[]): Promise<void> {
    const notBefore = this.#sent.notBefore ?? '';
    const grown: HeaderRow[] = [];
    for (const header of headers) {
      if (!this.#sent.hasGrown(header, notBefore)) continue;
      const { task_id: taskId, lane, line_count: upToNumber, updated_at: at } = header;
      if (isSliceOver()) await nextTurn();
      if (this.#audience.wants(formatId('task', taskId), lane)) grown.push(header);
      else this.#sent.remember(taskId, { upToNumber, at });
    }
    for (let start = 0; start < grown.length && !this.#isStopped; start += RINGS_MAX) {
      await this.#audience.untilHandedOut();
      await this.#readRings(grown.slice(start, start + RINGS_MAX), notBefore);
    }
  }

  async #readRings(headers: readonly HeaderRow[], notBefore: string): Promise<void> {
    const spans = headers.map((header) => this.#sent.spanOf(header));
    const rows = await withinDeadline(listSpans(this.#parts.sql, this.#board.id, spans, notBefore));
    for (const header of headers) {
      const ring = rows.filter((row) => row.task_id === header.task_id);
      const { task_id: taskId, lane, updated_at: at, line_count: upToNumber } = header;
      const { lines, afterNumber } = this.#sent.continuationOf(header, ring);
      this.#deliver({ taskId, lane, at, lines, afterNumber, upToNumber }, afterNumber);
    }
  }

  /** @param before What everybody has been sent up to. */
  #deliver({ taskId, lane, at, lines, upToNumber }: Growth, before: number): void {
    if (upToNumber <= before) return;
    const fresh = lines
      .filter(({ number }) => number > before && number <= upToNumber)
      .slice(-LIMITS.outputLinesKept);
    this.#sent.remember(taskId, { upToNumber, at });
    this.#audience.send(parcelOf(taskId, lane, fresh, upToNumber - before - fresh.length));
  }
}
