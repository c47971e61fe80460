/**
 * Lists, in one idea for all of them: awaited, a list is its first page; iterated, it is every row of every page. Methods that gather all
 * rows in an array were left out on purpose: a board may have a million tasks.
 */

/**
 * Awaited: the first page, as the wire has it. `for await`: every row, page after page. `pages()`: the pages. One page is held at a
 * time, of `limit` rows (default 50, at most 200). The first is asked for at once and each further one when it is needed; who
 * stops iterating asks for no more. Rows that come and go meanwhile may be missed, but none is given twice.
 */
export interface Listing<Page, Row> extends Promise<Page>, AsyncIterable<Row> {
  pages(): AsyncGenerator<Page, void, undefined>;
}

interface Paging<Page, Row> {
  /** undefined: the first page. */
  readonly read: (next: string | undefined) => Promise<Page>;
  readonly rowsOf: (page: Page) => readonly Row[];
  /** Where the page after this one begins; null where there is none. `asked` is what this one was asked for with. */
  readonly nextOf: (page: Page, asked: string | undefined) => string | null;
}

function listingOf<Page, Row>({ read, rowsOf, nextOf }: Paging<Page, Row>): Listing<Page, Row> {
  const first = read(undefined);
  async function* pages(): AsyncGenerator<Page, void, undefined> {
    let page = await first;
    yield page;
    for (let next = nextOf(page, undefined); next !== null; ) {
      page = await read(next);
      yield page;
      next = nextOf(page, next);
    }
  }
  async function* rows(): AsyncGenerator<Row, void, undefined> {
    for await (const page of pages()) yield* rowsOf(page);
  }
  return Object.assign(first, { pages, [Symbol.asyncIterator]: rows });
}

/** The wire's plural noun beside the token of the next page. */
interface TokenPage {
  readonly next_page_token: string | null;
}

export function listByToken<Query extends object, Page extends TokenPage, Row>(
  query: Query,
  read: (query: Query) => Promise<Page>,
  rowsOf: (page: Page) => readonly Row[],
): Listing<Page, Row> {
  return listingOf({
    read: (token) => read(token === undefined ? query : { ...query, page_token: token }),
    rowsOf,
    nextOf: (page) => page.next_page_token,
  });
}

interface LogPage<Row> {
  readonly events: readonly Row[];
  readonly cursor: string;
}

/**
 * A log has no last page: it ends, for now, where a page has nothing. Where a filter may leave a page empty before the end
 * (`isSparse`), the cursor must have stood still as well.
 * @param continuesWith The parameter that takes the cursor of the page before.
 */
export function listByCursor<Query extends object, Page extends LogPage<unknown>>(
  query: Query,
  read: (query: Query) => Promise<Page>,
  { isSparse, continuesWith }: { readonly isSparse: boolean; readonly continuesWith: 'after' | 'before' },
): Listing<Page, Page['events'][number]> {
  const isOver = (page: Page, asked: string | undefined): boolean =>
    page.events.length === 0 && (!isSparse || page.cursor === asked);
  return listingOf<Page, Page['events'][number]>({
    read: (cursor) => read(cursor === undefined ? query : { ...query, [continuesWith]: cursor }),
    rowsOf: (page) => page.events,
    nextOf: (page, asked) => (isOver(page, asked) ? null : page.cursor),
  });
}

/** Where the wire says whether there was more. */
interface OpenPage {
  readonly cursor: string;
  readonly has_more: boolean;
}

/** As listByCursor, for lists that end where the wire says so. */
export function listWhileMore<Query extends object, Page extends OpenPage, Row>(
  query: Query,
  read: (query: Query) => Promise<Page>,
  {
    rowsOf,
    continuesWith,
  }: {
    readonly rowsOf: (page: Page) => readonly Row[];
    readonly continuesWith: 'after' | 'before';
  },
): Listing<Page, Row> {
  return listingOf<Page, Row>({
    read: (cursor) => read(cursor === undefined ? query : { ...query, [continuesWith]: cursor }),
    rowsOf,
    nextOf: (page) => (page.has_more ? page.cursor : null),
  });
}
