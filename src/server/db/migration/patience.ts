/** Waiting for locks and for others: what is said meanwhile, and when it ends. */
import { pause } from '../../kernel/lifecycle.ts';
import { BUILD_MS_MAX } from './outside.ts';

const BACKOFF_MS_MIN = 250;
/** Often enough to find a gap between two long transactions, seldom enough that the traffic hardly notices. */
const BACKOFF_MS_MAX = 10_000;
/** The same line again: often enough to be found at the end of a log, and seldom for a build of hours. */
const REPEAT_MS = 30_000;

/** A line that is said when it changes, and now and then while it stays the same. */
export class ChangingLine {
  readonly #report: (line: string) => void;
  #said = '';
  #saidAt = 0;

  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /** @param meaning What of the line is no news when it is the same. */
  report(line: string, meaning = line): void {
    const now = performance.now();
    if (meaning === this.#said && now - this.#saidAt < REPEAT_MS) return;
    this.#said = meaning;
    this.#saidAt = now;
    this.#report(line);
  }
}

/** Waits that grow, and end: from the last progress on there is so much of it and no more. */
export class Patience {
  readonly #ms: number;
  readonly #lines: ChangingLine;
  readonly #signal: AbortSignal;
  #progressAt = performance.now();
  #since = this.#progressAt;
  #backoffMs = BACKOFF_MS_MIN;
  #othersApplied = -1;

  constructor(ms: number, lines: ChangingLine, signal: AbortSignal) {
    this.#ms = ms;
    this.#lines = lines;
    this.#signal = signal;
  }

  renew(): void {
    this.#progressAt = performance.now();
    this.#since = this.#progressAt;
    this.#backoffMs = BACKOFF_MS_MIN;
  }

  /** Another server has the turn: what it gets done is progress. */
  observeOthers(applied: number, isAtWork: boolean): void {
    if (applied !== this.#othersApplied) this.renew();
    else if (isAtWork) this.extend();
    this.#othersApplied = applied;
  }

  /** Somebody else is seen at work: waited for as long as a build may take. */
  extend(): void {
    const now = performance.now();
    if (now - this.#progressAt < BUILD_MS_MAX) this.#since = now;
  }

  async wait(reason: string): Promise<void> {
    const waitedMs = performance.now() - this.#since;
    if (waitedMs >= this.#ms)
      throw new Error(
        `Given up after ${Math.round(waitedMs / 1000)} s: ${reason}. ` +
          'What was applied before stays, and this changed nothing. End what is in the way or wait for it, then start again.',
      );
    this.#lines.report(`${reason}; trying again`);
    await pause(this.#backoffMs * (0.5 + Math.random() / 2), this.#signal);
    if (this.#signal.aborted) throw new Error('The migration was stopped.');
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
  }
}
