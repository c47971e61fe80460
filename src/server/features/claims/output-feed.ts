/**
 * The output of one board's tasks as it grows, for whoever watches it here. Appends of this server are handed in at once; what other
 * servers append is read from the rings, by the headers that have changed. One order for both: each task has the number that everyone
 * has been sent up to, and what does not follow on it is read. Each line goes to a watch once; one that the ring has lost, or that the
 * socket had no room for, is counted and said.
 */
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import type { OutputWatch } from '../watch/service.ts';
import { type HeaderRow, type LineSpan, listGrown, listSpans, readClock } from './store/output.ts';

export interface NumberedLine {
  readonly number: number;
  readonly runId: Uuid;
  readonly text: string;
}

/** New lines of one task: of those up to `upToNumber` all that there are. */
export interface Growth {
  readonly taskId: Uuid;
  readonly lane: string | null;
  /** By the database's clock. */
  readonly at: string;
  readonly lines: readonly NumberedLine[];
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

/** Consecutive lines of one run. */
interface LineRun {
  readonly runId: Uuid;
  /** Of the first line; null: there is none. */
  readonly number: number | null;
  readonly lines: readonly string[];
}

/** Lost for one watch, until it can be told. */
interface Dropped {
  readonly runId: Uuid;
  readonly count: number;
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
/** In one frame: some 100 KiB, and half a megabyte at worst. */
const FRAME_LINES_MAX = 200;
const FIRST_ID = '00000000-0000-0000-0000-000000000000' as Uuid;

export class OutputFeed {
  readonly #board: BoardRef;
  readonly #parts: OutputFeedParts;
  readonly #watches = new Map<OutputWatch, Map<Uuid, Dropped>>();
  /** In the order of their last growth. */
  readonly #sent = new Map<Uuid, Sent>();
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
    this.#watches.set(watch, new Map());
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
    const first = growth.lines[0]?.number ?? growth.upToNumber + 1;
    if (sent !== undefined && first <= sent.upToNumber + 1) this.#deliver(growth, sent.upToNumber);
    else this.look(); // Something lies before it, or may.
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
        for (const watch of this.#watches.keys()) this.#sendDropped(watch);
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
    const changed = headers.filter(({ task_id, line_count, updated_at }) => {
      const sent = this.#sent.get(task_id);
      return sent === undefined ? updated_at >= notBefore : sent.upToNumber < line_count;
    });
    const grown = changed.filter(({ task_id: taskId, lane, line_count: upToNumber, updated_at: at }) => {
      const isWanted = [...this.#watches.keys()].some((watch) => wants(watch, taskId, lane));
      if (!isWanted) this.#remember(taskId, { upToNumber, at });
      return isWanted;
    });
    for (let start = 0; start < grown.length && !this.#isStopped; start += RINGS_MAX) {
      const some = grown.slice(start, start + RINGS_MAX);
      const spans: LineSpan[] = some.map(({ task_id, line_count }) => ({
        taskId: task_id,
        afterNumber: this.#sent.get(task_id)?.upToNumber ?? 0,
        upToNumber: line_count,
      }));
      const rows = await withinDeadline(listSpans(this.#parts.sql, this.#board.id, spans, notBefore));
      for (const { task_id: taskId, line_count: upToNumber, lane, updated_at: at } of some) {
        const lines = rows
          .filter((row) => row.task_id === taskId)
          .map(({ number, run_id: runId, text }) => ({ number, runId, text }));
        // Of a task that was not known, what came before the feed began is nobody's loss.
        const before = this.#sent.get(taskId)?.upToNumber ?? (lines[0]?.number ?? upToNumber + 1) - 1;
        this.#deliver({ taskId, lane, at, lines, upToNumber }, before);
      }
    }
  }

  /** @param before What everybody has been sent up to. */
  #deliver({ taskId, lane, at, lines, upToNumber }: Growth, before: number): void {
    if (upToNumber <= before) return;
    const fresh = lines.filter(({ number }) => number > before && number <= upToNumber);
    const lost = upToNumber - before - fresh.length;
    this.#remember(taskId, { upToNumber, at });
    for (const [watch, dropped] of this.#watches)
      if (wants(watch, taskId, lane)) this.#send(watch, dropped, taskId, fresh, lost);
  }

  #send(
    watch: OutputWatch,
    dropped: Map<Uuid, Dropped>,
    taskId: Uuid,
    lines: readonly NumberedLine[],
    lost: number,
  ): void {
    let lostBefore = (dropped.get(taskId)?.count ?? 0) + lost;
    let runId = dropped.get(taskId)?.runId;
    for (const frame of framesOf(lines)) {
      runId = frame.runId;
      lostBefore = this.#sendFrame(watch, taskId, frame, lostBefore) ? 0 : lostBefore + frame.lines.length;
    }
    if (lostBefore > 0 && runId !== undefined) dropped.set(taskId, { runId, count: lostBefore });
    else dropped.delete(taskId);
  }

  /** The end of what was lost may be the end of the output: then nothing would follow that says so. */
  #sendDropped(watch: OutputWatch): void {
    const dropped = this.#watches.get(watch);
    for (const [taskId, { runId, count }] of dropped ?? [])
      if (this.#sendFrame(watch, taskId, { runId, number: null, lines: [] }, count)) dropped?.delete(taskId);
      else return;
  }

  #sendFrame(watch: OutputWatch, taskId: Uuid, { runId, number, lines }: LineRun, dropped: number): boolean {
    return watch.send({
      type: 'output',
      id: watch.id,
      task_id: formatId('task', taskId),
      run_id: formatId('run', runId),
      ...(number === null ? {} : { number }),
      lines: [...lines],
      ...(dropped > 0 ? { dropped } : {}),
    });
  }

  #remember(taskId: Uuid, sent: Sent): void {
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

function wants({ filter: { lanes, tasks } }: OutputWatch, taskId: Uuid, lane: string | null): boolean {
  return (
    (tasks === null || tasks.has(formatId('task', taskId))) &&
    (lanes === null || (lane !== null && lanes.has(lane)))
  );
}

/** Lines of one run after the other, in frames. */
function framesOf(lines: readonly NumberedLine[]): LineRun[] {
  const frames: (LineRun & { readonly lines: string[] })[] = [];
  for (const { number, runId, text } of lines) {
    const last = frames.at(-1);
    if (last?.runId === runId && last.lines.length < FRAME_LINES_MAX) last.lines.push(text);
    else frames.push({ runId, number, lines: [text] });
  }
  return frames;
}
