/** The first pages of a list. Pure but for what `pages` does. */

export interface TokenPage {
  readonly next_page_token: string | null;
}

export interface ReadRows<Row> {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
}

/** Does not ask for the page after the last. */
export async function readPages<Page extends TokenPage, Row>(
  pages: AsyncIterable<Page>,
  rowsOf: (page: Page) => readonly Row[],
  pagesMax: number,
): Promise<ReadRows<Row>> {
  const rows: Row[] = [];
  let count = 0;
  for await (const page of pages) {
    rows.push(...rowsOf(page));
    count += 1;
    if (count >= pagesMax) return { rows, hasMore: page.next_page_token !== null };
  }
  return { rows, hasMore: false };
}
