/** The rows of a list that goes on over pages, up to a bound. */

export interface Gathered<Row> {
  readonly rows: readonly Row[];
  /** There are more than the bound. */
  readonly isMore: boolean;
}

export async function gather<Row>(
  listing: AsyncIterable<Row>,
  rowsMax: number,
  signal?: AbortSignal,
): Promise<Gathered<Row>> {
  const rows: Row[] = [];
  for await (const row of listing) {
    signal?.throwIfAborted();
    if (rows.length === rowsMax) return { rows, isMore: true };
    rows.push(row);
  }
  return { rows, isMore: false };
}
