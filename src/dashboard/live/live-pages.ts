/** The first pages of a list of the server, kept current like any live query; more of them when a person asks for more, up to a bound. */
import { useEffect, useState } from 'react';
import type { Client, Event } from '../../client/index.ts';
import { useLiveQuery } from './live-context.tsx';
import { type ReadRows, readPages, type TokenPage } from './read-pages.ts';

/** Of 50 rows each, the default of the API: more than anybody reads, and still read anew in a moment. */
const PAGES_MAX = 10;

interface LivePagesQuery<Page extends TokenPage, Row> {
  /** Pages that are shown stay as many when the key changes: give the view a `key` of the same filters. */
  readonly key: readonly unknown[];
  readonly list: (client: Client, signal: AbortSignal) => { pages(): AsyncIterable<Page> };
  readonly rowsOf: (page: Page) => readonly Row[];
  readonly isTouchedBy: (event: Event) => boolean;
  readonly isEnabled?: boolean;
  readonly everyMs?: number;
  readonly leastMs?: number;
}

export interface LivePages<Row> {
  /** undefined: not read yet. */
  readonly rows: readonly Row[] | undefined;
  readonly hasMore: boolean;
  /** There is more, and it is not shown. */
  readonly isAtBound: boolean;
  readonly isReading: boolean;
  readonly showMore: () => void;
  readonly reread: () => void;
  readonly error: Error | null;
}

export function useLivePages<Page extends TokenPage, Row>({
  list,
  rowsOf,
  ...query
}: LivePagesQuery<Page, Row>): LivePages<Row> {
  const [pagesShown, setPagesShown] = useState(1);
  const { data, error, isFetching, refetch } = useLiveQuery<ReadRows<Row>>({
    ...query,
    read: (client, signal) => readPages(list(client, signal).pages(), rowsOf, pagesShown),
  });
  useEffect(() => {
    if (pagesShown > 1) void refetch();
  }, [pagesShown, refetch]);
  return {
    rows: data?.rows,
    hasMore: data?.hasMore ?? false,
    isAtBound: pagesShown >= PAGES_MAX,
    isReading: isFetching,
    showMore: () => setPagesShown((count) => Math.min(PAGES_MAX, count + 1)),
    reread: () => void refetch(),
    error,
  };
}
