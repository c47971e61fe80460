/**
 * What everybody who watches a board here has been sent of each of its tasks, and behind which number what has come since begins. Of tasks that
 * nobody has been sent anything of it knows from when on lines count, and of some the number as well. Reads nothing and sends nothing.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { HeaderRow, LineSpan, SpanLineRow } from '../store/output.ts';
import type { Growth, NumberedLine } from './growth.ts';

/** What everybody has been sent of a task. */
interface Sent {
  readonly upToNumber: number;
  readonly at: string;
}

/** Tasks whose place is remembered, at some 0.2 KiB each; of the quietest it is known that they were all sent. */
const TASKS_MAX = 10_000;

export class SentNumbers {
  /** In the order of their last growth. */
  readonly #sent = new Map<Uuid, Sent>();
  /** Of tasks that nobody has been sent anything of: the number behind which lines have come since the feed began, as far as is known. */
  readonly #floors = new Map<Uuid, number>();
  #notBefore: string | null = null;

  /** Lines before this were there when the feed began, or were sent. Null: not begun. */
  get notBefore(): string | null {
    return this.#notBefore;
  }

  /** Counts from this moment on, if it does not count yet. */
  begin(at: string): string {
    this.#notBefore ??= at;
    return this.#notBefore;
  }

  /** What everybody has been sent up to, where the lines follow on it. Null: something lies before them, or may. */
  numberBefore(growth: Growth): number | null {
    const sent = this.#sent.get(growth.taskId);
    if (sent === undefined) this.#noteFloor(growth);
    // After a crash the database may give numbers out again; they follow on what it remembers, not on what was sent.
    const isAgain = sent !== undefined && growth.at > sent.at && growth.afterNumber < sent.upToNumber;
    const before = isAgain ? growth.afterNumber : sent?.upToNumber;
    return before !== undefined && growth.afterNumber <= before ? before : null;
  }

  #noteFloor({ taskId, at, afterNumber }: Growth): void {
    const known = this.#floors.get(taskId);
    if (this.#notBefore === null || at < this.#notBefore) return;
    if (known === undefined && this.#floors.size >= TASKS_MAX) return;
    this.#floors.set(taskId, Math.min(known ?? afterNumber, afterNumber));
  }

  /** @param notBefore As it was before the first of these headers was looked at: what is remembered meanwhile may raise it. */
  hasGrown(header: HeaderRow, notBefore: string): boolean {
    const { task_id: taskId, line_count: upToNumber, updated_at: at } = header;
    const sent = this.#sent.get(taskId);
    return sent === undefined ? at >= notBefore : sent.upToNumber < upToNumber || isTakenBack(header, sent);
  }

  /** The lines that nobody has been sent. */
  spanOf(header: HeaderRow): LineSpan {
    const sent = this.#sent.get(header.task_id);
    const isNew = sent === undefined || isTakenBack(header, sent);
    return {
      taskId: header.task_id,
      afterNumber: isNew ? 0 : sent.upToNumber,
      upToNumber: header.line_count,
    };
  }

  /** What there is to send, and behind which number it begins. */
  continuationOf(header: HeaderRow, ring: readonly SpanLineRow[]): Pick<Growth, 'lines' | 'afterNumber'> {
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

  /** Everybody has been sent so much of it. */
  remember(taskId: Uuid, sent: Sent): void {
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

/** A crash of the database has taken back numbers that were sent, and they have been given out again since. */
function isTakenBack({ line_count, updated_at }: HeaderRow, sent: Sent): boolean {
  return line_count < sent.upToNumber && updated_at > sent.at;
}

function lineOf({ number, run_id: runId, text }: SpanLineRow): NumberedLine {
  return { number, runId, text };
}
