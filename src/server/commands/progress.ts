/** How far a long command has come, on stderr: one line that changes on a terminal, a line every few seconds elsewhere. */
const TERMINAL_INTERVAL_MS = 200;
const LOG_INTERVAL_MS = 5000;
const CLEAR_LINE = '\r\u001b[2K';

export class Progress {
  readonly #isTerminal = process.stderr.isTTY;
  #shownAt = performance.now();
  #isLineOpen = false;

  /** Shown when it is time to. */
  show(line: () => string): void {
    const now = performance.now();
    if (now - this.#shownAt < (this.#isTerminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS)) return;
    this.#shownAt = now;
    process.stderr.write(this.#isTerminal ? `${CLEAR_LINE}${line()}` : `${line()}\n`);
    this.#isLineOpen = this.#isTerminal;
  }

  /** Before anything else is said. */
  clear(): void {
    if (this.#isLineOpen) process.stderr.write(CLEAR_LINE);
    this.#isLineOpen = false;
  }
}

const MEBIBYTE = 2 ** 20;
export const inMebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
export const inPercent = (share: number): string => `${Math.floor(Math.min(share, 1) * 100)} %`;
export const countOf = (count: number, noun: string): string =>
  `${withCommas(count)} ${noun}${count === 1 ? '' : 's'}`;
export const withCommas = (count: number): string => count.toLocaleString('en-US');
