/**
 * The output of one board's tasks as it grows, for whoever watches it here. Appends of this server are handed in at once; what other
 * servers append is read from the rings, by the headers that have changed. One order for both: each task has the number that everyone
 * has been sent up to, and what does not follow on it is read. Each line goes to a watch once; one that the ring has lost, or that the
 * socket had no room for, is counted and said.
 *
 * What one worker prints may go to ten thousand watches: it is handed out in slices, and what comes meanwhile waits, a little of it here and
 * the rest in the rings, which forget the oldest of it.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import { isSliceOver, nextTurn } from '../../../kernel/time-slice.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { OutputWatch } from '../../watch/service.ts';
import {
  type HeaderRow,
  type LineSpan,
  listGrown,
  listSpans,
  readClock,
  type SpanLineRow,
} from '../store/output.ts';
import { emptyTail, type NumberedLine, type Parcel, parcelOf } from './output-parcel.ts';

/** New lines of one task: of those behind `afterNumber` and up to `upToNumber` the last, as many as are kept. */
export interface Growth {
  readonly taskId: Uuid;
  readonly lane: string | null;
  /** By the database's clock. */
  readonly at: string;
  readonly lines: readonly NumberedLine[];
  readonly afterNumber: number;
  readonly upToNumber: number;
}

interface OutputFeedParts {
  readonly sql: Sql;
  readonly onError: (error: unknown) => void;
}

/** What everybody has been sent of a task. */
interface Sent {
  readonly upToNumber: number;
  readonly at: string;
}

/** Lost for one watch, until it can be told. */
interface Dropped {
  /** Null: nothing of the task has been there to read; its next line is, for the ring has grown meanwhile. */
  readonly runId: Uuid | null;
  readonly count: number;
}

interface Follower {
  /** The first parcel that it is to have: what was on its way when it came is not its own. */
  readonly fromParcel: number;
  readonly dropped: Map<Uuid, Dropped>;
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
/** Tasks whose place is remembered, at some 0.2 KiB each; of the quietest it is known that they were all sent. */
const TASKS_MAX = 10_000;
/** Parcels that wait to be handed out: 6 MB at most. What comes then is read from the rings when there are none. */
const OUTBOX_MAX = 64;
/**
 * Tasks of which a watch is yet to be told that it has lost lines, at some 0.2 KiB each. Past it, its socket is ended: it reads more slowly than
 * it can be told what it misses, and a loss must not go unsaid.
 */
const DROPPED_TASKS_MAX = 1000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000' as Uuid;

export class OutputFeed {
  readonly #board: BoardRef;
  readonly #parts: OutputFeedParts;
  readonly #watches = new Map<OutputWatch, Follower>();
  /** In the order of their last growth. */
  readonly #sent = new Map<Uuid, Sent>();
  /** Of tasks that nobody has been sent anything of: the number behind which lines have come since the feed began, as far as is known. */
  readonly #floors = new Map<Uuid, number>();
  readonly #outbox: Parcel[] = [];
  /** All there ever were. */
  #parcelCount = 0;
  #isHandingOut = false;
  /** Lines before this were there when the feed began, or were sent. Null: not begun. */
  #notBefore: string | null = null;
  /** The newest change of a header that was seen. */
  #seenAt = '';
  #isLooking = false;
  #isDue = false;
  #isStopped = false;

  constructor(board: BoardRef, parts: OutputFeedParts) {
    this.#board = board;
    this.#parts = parts;
  }

  /** From when on lines are sent. Whoever waits for it before adding a watch misses none that is appended afterwards. */
  async begin(): Promise<void> {
    if (this.#notBefore !== null) return;
    const at = await withinDeadline(readClock(this.#parts.sql));
    this.#notBefore ??= at;
    this.#seenAt = this.#notBefore;
  }

  add(watch: OutputWatch): void {
    this.#watches.set(watch, { fromParcel: this.#parcelCount, dropped: new Map() });
    this.look();
  }

  remove(watch: OutputWatch): void {
    this.#watches.delete(watch);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Appended here and committed. */
  publish(growth: Growth): void {
    const sent = this.#sent.get(growth.taskId);
    if (sent === undefined) this.#noteFloor(growth);
    // After a crash the database may give numbers out again; they follow on what it remembers, not on what was sent.
    const isAgain = sent !== undefined && growth.at > sent.at && growth.afterNumber < sent.upToNumber;
    const before = isAgain ? growth.afterNumber : sent?.upToNumber;
    const isNext = before !== undefined && growth.afterNumber <= before;
    if (isNext && this.#outbox.length < OUTBOX_MAX) this.#deliver(growth, before);
    else this.look(); // Something lies before it, or may.
  }

  #noteFloor({ taskId, at, afterNumber }: Growth): void {
    const known = this.#floors.get(taskId);
    if (this.#notBefore === null || at < this.#notBefore) return;
    if (known === undefined && this.#floors.size >= TASKS_MAX) return;
    this.#floors.set(taskId, Math.min(known ?? afterNumber, afterNumber));
  }

  look(): void {
    this.#isDue = true;
    if (!this.#isLooking && this.#watches.size > 0) void this.#lookWhileDue();
  }

  async #lookWhileDue(): Promise<void> {
    this.#isLooking = true;
    try {
      while (this.#isDue && !this.#isStopped) {
        this.#isDue = false;
        await this.#lookOnce();
        await this.#untilHandedOut();
        for (const [watch, { dropped }] of this.#watches) {
          if (dropped.size === 0) continue;
          if (isSliceOver()) await nextTurn();
          if (this.#watches.has(watch)) this.#sendDropped(watch, dropped);
        }
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
    const notBefore = this.#notBefore ?? '';
    const grown: HeaderRow[] = [];
    for (const header of headers) {
      const { task_id: taskId, lane, line_count: upToNumber, updated_at: at } = header;
      const sent = this.#sent.get(taskId);
      const isChanged =
        sent === undefined ? at >= notBefore : sent.upToNumber < upToNumber || isTakenBack(header, sent);
      if (!isChanged) continue;
      if (isSliceOver()) await nextTurn();
      const task = formatId('task', taskId);
      if ([...this.#watches.keys()].some((watch) => wants(watch, task, lane))) grown.push(header);
      else this.#remember(taskId, { upToNumber, at });
    }
    for (let start = 0; start < grown.length && !this.#isStopped; start += RINGS_MAX) {
      await this.#untilHandedOut();
      await this.#readRings(grown.slice(start, start + RINGS_MAX), notBefore);
    }
  }

  async #readRings(headers: readonly HeaderRow[], notBefore: string): Promise<void> {
    const spans: LineSpan[] = headers.map((header) => {
      const sent = this.#sent.get(header.task_id);
      const isNew = sent === undefined || isTakenBack(header, sent);
      return {
        taskId: header.task_id,
        afterNumber: isNew ? 0 : sent.upToNumber,
        upToNumber: header.line_count,
      };
    });
    const rows = await withinDeadline(listSpans(this.#parts.sql, this.#board.id, spans, notBefore));
    for (const header of headers) {
      const ring = rows.filter((row) => row.task_id === header.task_id);
      const { task_id: taskId, lane, updated_at: at, line_count: upToNumber } = header;
      const { lines, afterNumber } = this.#continuationOf(header, ring);
      this.#deliver({ taskId, lane, at, lines, afterNumber, upToNumber }, afterNumber);
    }
  }

  /** What there is to send, and behind which number it begins. */
  #continuationOf(header: HeaderRow, ring: readonly SpanLineRow[]): Pick<Growth, 'lines' | 'afterNumber'> {
    const sent = this.#sent.get(header.task_id);
    if (sent !== undefined && !isTakenBack(header, sent))
      return { lines: ring.map(lineOf), afterNumber: sent.upToNumber };
    const lines = ring.filter(({ at }) => sent === undefined || at > sent.at).map(lineOf);
    const beforeFirst = (lines[0]?.number ?? header.line_count + 1) - 1;
    // What came before the feed began is nobody's loss; a ring that is all new may have lost some that came since. How many is known of those
    // that were appended here; of the others none is left unsaid, though some may be from before.
    const mayHaveLost = sent === undefined && lines.length >= LIMITS.outputLinesKept;
    const floor = this.#floors.get(header.task_id) ?? 0;
    return { lines, afterNumber: mayHaveLost ? Math.min(beforeFirst, floor) : beforeFirst };
  }

  /** @param before What everybody has been sent up to. */
  #deliver({ taskId, lane, at, lines, upToNumber }: Growth, before: number): void {
    if (upToNumber <= before) return;
    const fresh = lines
      .filter(({ number }) => number > before && number <= upToNumber)
      .slice(-LIMITS.outputLinesKept);
    this.#remember(taskId, { upToNumber, at });
    this.#outbox.push(parcelOf(taskId, lane, fresh, upToNumber - before - fresh.length));
    this.#parcelCount += 1;
    void this.#handOut();
  }

  /** At once as long as the slice lasts; then turn by turn. */
  async #handOut(): Promise<void> {
    if (this.#isHandingOut) return;
    this.#isHandingOut = true;
    try {
      for (;;) {
        const number = this.#parcelCount - this.#outbox.length;
        const parcel = this.#outbox.shift();
        if (parcel === undefined) return;
        for (const [watch, { fromParcel, dropped }] of this.#watches) {
          if (number < fromParcel || !wants(watch, parcel.task, parcel.lane)) continue;
          if (isSliceOver()) await nextTurn();
          // It may have left in this time, and been told that it has.
          if (this.#watches.has(watch)) this.#send(watch, dropped, parcel);
        }
      }
    } catch (error) {
      this.#parts.onError(error);
    } finally {
      this.#isHandingOut = false;
    }
  }

  /** It goes on with every turn, so this is soon; who only waits for it takes no share of them. */
  async #untilHandedOut(): Promise<void> {
    while (this.#isHandingOut) await new Promise((resolve) => setImmediate(resolve));
  }

  #send(watch: OutputWatch, dropped: Map<Uuid, Dropped>, { taskId, lost, portions }: Parcel): void {
    const known = dropped.get(taskId);
    let lostBefore = (known?.count ?? 0) + lost;
    let runId = known?.runId ?? null;
    for (const portion of portions) {
      runId = portion.runId;
      // Without room nothing is made.
      const isTaken = watch.hasRoom() && watch.send(portion.tail, lostBefore);
      lostBefore = isTaken ? 0 : lostBefore + portion.lines.length;
    }
    if (lostBefore > 0) dropped.set(taskId, { runId, count: lostBefore });
    else dropped.delete(taskId);
    if (dropped.size <= DROPPED_TASKS_MAX) return;
    this.remove(watch);
    watch.end();
  }

  /** The end of what was lost may be the end of the output: then nothing would follow that says so. */
  #sendDropped(watch: OutputWatch, dropped: Map<Uuid, Dropped>): void {
    for (const [taskId, { runId, count }] of dropped) {
      if (runId === null) continue;
      if (!watch.hasRoom() || !watch.send(emptyTail(taskId, runId), count)) return;
      dropped.delete(taskId);
    }
  }

  #remember(taskId: Uuid, sent: Sent): void {
    this.#floors.delete(taskId);
    this.#sent.delete(taskId);
    this.#sent.set(taskId, sent);
    if (this.#sent.size <= TASKS_MAX) return;
    const [oldest] = this.#sent;
    if (oldest === undefined) return;
    const [id, { at }] = oldest;
    this.#sent.delete(id);
    // Nothing of any task is unsent from before the growth of the quietest.
    const nextMs = new Date(Date.parse(at) + 1).toISOString();
    if (this.#notBefore !== null && nextMs > this.#notBefore) this.#notBefore = nextMs;
  }
}

function wants({ filter: { lanes, tasks } }: OutputWatch, task: string, lane: string | null): boolean {
  return (tasks === null || tasks.has(task)) && (lanes === null || (lane !== null && lanes.has(lane)));
}

/** A crash of the database has taken back numbers that were sent, and they have been given out again since. */
function isTakenBack({ line_count, updated_at }: HeaderRow, sent: Sent): boolean {
  return line_count < sent.upToNumber && updated_at > sent.at;
}

function lineOf({ number, run_id: runId, text }: SpanLineRow): NumberedLine {
  return { number, runId, text };
}
