/**
 * Says which statements are slow: by their tag, for how long, with how many rows; never the text and never a parameter. A few lines a
 * minute for each tag, then one that says how many there were: a database that is slow is so for everybody at once, and a log that
 * is flooded helps nobody.
 */
import type { StatementFacts } from '../db/statement-watch.ts';
import type { Logger } from './logger.ts';

const LINES_PER_MINUTE = 5;
const WINDOW_MS = 60_000;
/** Tags are constants of the code, some 300; what is above that is no tag of ours. */
const TAGS_MAX = 1000;

interface Window {
  startedAt: number;
  lines: number;
  /** Those that got no line. */
  unsaid: number;
  slowestMs: number;
}

interface SlowStatementsParts {
  readonly logger: Pick<Logger, 'warn'>;
  readonly count: (tag: string) => void;
  /** Default: performance.now. */
  readonly now?: () => number;
}

export class SlowStatements {
  readonly #parts: SlowStatementsParts;
  readonly #windows = new Map<string, Window>();

  constructor(parts: SlowStatementsParts) {
    this.#parts = parts;
  }

  report(pool: string, { tag, milliseconds, rows, failure }: StatementFacts): void {
    const { logger, count } = this.#parts;
    if (!this.#windows.has(tag) && this.#windows.size >= TAGS_MAX) return;
    count(tag);
    const window = this.#windowOf(tag);
    if (window.lines >= LINES_PER_MINUTE) {
      window.unsaid += 1;
      window.slowestMs = Math.max(window.slowestMs, milliseconds);
      return;
    }
    window.lines += 1;
    logger.warn(
      {
        statement: tag,
        pool,
        ms: Math.round(milliseconds),
        ...(rows === null ? {} : { rows }),
        ...(failure === null ? {} : { failure }),
      },
      'slow statement',
    );
  }

  /** Says what has got no line in minutes that are over. */
  summarise(): void {
    const now = this.#now();
    for (const [tag, window] of this.#windows) {
      if (now - window.startedAt < WINDOW_MS) continue;
      this.#windows.delete(tag);
      this.#tellUnsaid(tag, window);
    }
  }

  #windowOf(tag: string): Window {
    const now = this.#now();
    const known = this.#windows.get(tag);
    if (known !== undefined && now - known.startedAt < WINDOW_MS) return known;
    if (known !== undefined) this.#tellUnsaid(tag, known);
    const window = { startedAt: now, lines: 0, unsaid: 0, slowestMs: 0 };
    this.#windows.set(tag, window);
    return window;
  }

  #tellUnsaid(tag: string, { unsaid, slowestMs }: Window): void {
    if (unsaid === 0) return;
    this.#parts.logger.warn(
      { statement: tag, more: unsaid, slowest_ms: Math.round(slowestMs) },
      'more slow statements within a minute',
    );
  }

  #now(): number {
    return (this.#parts.now ?? (() => performance.now()))();
  }
}
