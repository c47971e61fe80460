/** How far long work is: a bar on a terminal, lines elsewhere, nothing with --quiet. On stderr, so that data stays data. */
import type { Output } from './output.ts';

/** Of the bar: with its numbers it fits the 80 columns of the smallest usual terminal. */
const BAR_CHARACTERS = 30;
/** Between two lines where there is no terminal: a log that grows by a dozen lines a minute. */
const LINE_MS = 5_000;

export class Progress {
  readonly #output: Output;
  readonly #unit: string;
  readonly #nowMs: () => number;
  #isDrawn = false;
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output, unit: string, nowMs: () => number = () => performance.now()) {
    this.#output = output;
    this.#unit = unit;
    this.#nowMs = nowMs;
  }

  show(done: number, total: number): void {
    const { stderr, isQuiet } = this.#output;
    if (isQuiet) return;
    const text = `${done} of ${total} ${this.#unit}`;
    if (stderr.isTTY) {
      const filled = total === 0 ? 0 : Math.round((Math.min(done, total) / total) * BAR_CHARACTERS);
      const bar = '#'.repeat(filled).padEnd(BAR_CHARACTERS, '.');
      // Back to the beginning of the line, and nothing left of a longer one.
      stderr.write(`\r[${bar}] ${text}\u001b[K`);
      this.#isDrawn = true;
    } else if (done >= total || this.#nowMs() - this.#saidAtMs >= LINE_MS) {
      this.#saidAtMs = this.#nowMs();
      this.#output.note(text);
    }
  }

  /** Takes the bar away, so that what is said next stands on a line of its own. */
  end(): void {
    if (this.#isDrawn) this.#output.stderr.write('\r\u001b[K');
    this.#isDrawn = false;
  }
}
