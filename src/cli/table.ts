/** Columns for people: aligned, the last one cut to the width of the terminal. Colour comes after the measuring. */
import { type Output, printable, type Style } from './output.ts';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly style?: ((row: Row) => Style | undefined) | undefined;
}

const GAP = '  ';
/** The last column keeps at least this much, however narrow the terminal. */
const LAST_COLUMN_MIN = 20;

/** Columns that keep their place while rows go on coming: they grow, and never shrink. */
export class Table<Row> {
  readonly #output: Output;
  readonly #columns: readonly Column<Row>[];
  #widths: number[];
  #hasTitles = false;

  constructor(output: Output, columns: readonly Column<Row>[]) {
    this.#output = output;
    this.#columns = columns;
    this.#widths = columns.map(({ title }) => title.length);
  }

  write(rows: readonly Row[]): void {
    const cells = rows.map((row) => this.#columns.map((column) => printable(column.text(row))));
    this.#widths = this.#widths.map((width, index) =>
      Math.max(width, ...cells.map((line) => line[index]?.length ?? 0)),
    );
    if (!this.#hasTitles) this.#writeTitles();
    for (const [number, line] of cells.entries()) {
      const row = rows[number];
      const shown = line.map((cell, index) => {
        const style = row === undefined ? undefined : this.#columns[index]?.style?.(row);
        const text = this.#pad(cell, index);
        return style === undefined ? text : this.#output.style(style, text);
      });
      this.#output.line(shown.join(GAP).trimEnd());
    }
  }

  #writeTitles(): void {
    this.#hasTitles = true;
    const titles = this.#columns.map(({ title }, index) => this.#pad(title, index));
    this.#output.line(this.#output.style('dim', titles.join(GAP)));
  }

  #pad(text: string, index: number): string {
    const last = this.#columns.length - 1;
    if (index !== last) return text.padEnd(this.#widths[index] ?? 0);
    const used = this.#widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
    const columns = this.#output.stdout.columns ?? Number.POSITIVE_INFINITY;
    const lastMax = Math.max(LAST_COLUMN_MIN, columns - used);
    return text.length > lastMax ? `${text.slice(0, lastMax - 1)}…` : text;
  }
}

export function writeTable<Row>(output: Output, rows: readonly Row[], columns: readonly Column<Row>[]): void {
  new Table(output, columns).write(rows);
}

/** One resource: a name and a value per line; empty values are left out. */
export function writeFields(
  output: Output,
  fields: readonly (readonly [name: string, value: string | null])[],
): void {
  const shown = fields.filter(([, value]) => value !== null && value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  for (const [name, value] of shown) {
    output.line(`${output.style('dim', name.padEnd(width))}  ${printable(value ?? '')}`);
  }
}
