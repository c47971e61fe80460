/**
 * The lines of one task's output that the page has: in the order of their numbers, each once, and never more than so many. Lines come from
 * the tail that is read and from the socket, in any order and some of them from both.
 */

export interface OutputLine {
  /** Rises by one with every line of the task. */
  readonly number: number;
  readonly runId: string;
  /** Milliseconds since 1970, of lines that came live when they arrived. */
  readonly atMs: number;
  readonly text: string;
}

export type OutputRow =
  | { readonly type: 'line'; readonly line: OutputLine }
  /** Another run begins. */
  | { readonly type: 'run'; readonly runId: string; readonly atMs: number; readonly before: number }
  /** Lines that nobody here has. */
  | { readonly type: 'gap'; readonly count: number; readonly before: number };

/** 5,000 lines of at most 500 characters: some 5 MB, and more than anybody scrolls through. */
export const LINES_KEPT = 5000;

function isSame(one: OutputLine, other: OutputLine): boolean {
  return one.number === other.number && one.runId === other.runId && one.text === other.text;
}

export class OutputBuffer {
  #lines: readonly OutputLine[] = [];

  /** Replaced with every change, so that it may be kept. */
  get lines(): readonly OutputLine[] {
    return this.#lines;
  }

  /** In the order of their numbers. */
  add(more: readonly OutputLine[]): void {
    const [first] = more;
    if (first === undefined) return;
    const last = this.#lines.at(-1);
    const all =
      last === undefined || first.number > last.number ? [...this.#lines, ...more] : this.#merged(more);
    this.#lines = all.slice(-LINES_KEPT);
  }

  #merged(more: readonly OutputLine[]): OutputLine[] {
    const byNumber = new Map(this.#lines.map((line) => [line.number, line]));
    // A database that has crashed gives numbers out again: what had them, and what came behind, was taken back.
    const again = more.find((line) => {
      const known = byNumber.get(line.number);
      return known !== undefined && !isSame(known, line);
    });
    for (const line of this.#lines)
      if (again !== undefined && line.number >= again.number) byNumber.delete(line.number);
    for (const line of more) byNumber.set(line.number, byNumber.get(line.number) ?? line);
    return [...byNumber.values()].sort((left, right) => left.number - right.number);
  }
}

/** With what separates runs, and what says where lines are missing. What is missing before the first is said elsewhere. */
export function outputRows(lines: readonly OutputLine[]): readonly OutputRow[] {
  const rows: OutputRow[] = [];
  let before: OutputLine | undefined;
  for (const line of lines) {
    const missing = before === undefined ? 0 : line.number - before.number - 1;
    if (missing > 0) rows.push({ type: 'gap', count: missing, before: line.number });
    if (before?.runId !== line.runId)
      rows.push({ type: 'run', runId: line.runId, atMs: line.atMs, before: line.number });
    rows.push({ type: 'line', line });
    before = line;
  }
  return rows;
}
