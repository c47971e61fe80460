/** The rows of a batch as array parameters, one for each column: what a set-based statement takes. */

/**
 * One column. Where no row has a value it is an empty array: both unnest and a subscript make nulls of what is not there, and
 * nothing is sent nor read.
 */
export function columnOf<Row, Value>(rows: readonly Row[], read: (row: Row) => Value): Value[] {
  const values = rows.map(read);
  return values.every((value) => value === null) ? [] : values;
}
