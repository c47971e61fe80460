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

export function writeTable<Row>(output: Output, rows: readonly Row[], columns: readonly Column<Row>[]): void {
  const cells = rows.map((row) => columns.map((column) => printable(column.text(row))));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  const last = columns.length - 1;
  const used = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
  const lastMax = Math.max(LAST_COLUMN_MIN, (output.stdout.columns ?? Number.POSITIVE_INFINITY) - used);
  const pad = (text: string, index: number): string => {
    if (index !== last) return text.padEnd(widths[index] ?? 0);
    return text.length > lastMax ? `${text.slice(0, lastMax - 1)}…` : text;
  };
  output.line(output.style('dim', columns.map((column, index) => pad(column.title, index)).join(GAP)));
  for (const [number, line] of cells.entries()) {
    const row = rows[number];
    const shown = line.map((cell, index) => {
      const style = row === undefined ? undefined : columns[index]?.style?.(row);
      return style === undefined ? pad(cell, index) : output.style(style, pad(cell, index));
    });
    output.line(shown.join(GAP).trimEnd());
  }
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
