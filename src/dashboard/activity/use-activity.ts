/** Reads the log of the board backwards as far as it is wanted, and adds what happens. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Client, Event, ReplyOf } from '../../client/index.ts';
import { LanekeeperError } from '../../client/index.ts';
import { useBoardView, useClient, useEvents } from '../live/live-context.tsx';
import {
  type ActivityFilter,
  isSearching,
  type LogQuery,
  passesQuery,
  queryOf,
  searchOf,
} from './activity-filter.ts';
import {
  type ActivityLog,
  addNewer,
  addOlder,
  beginLog,
  NO_LOG,
  release as releaseLog,
} from './activity-log.ts';

export interface Activity {
  /** What the filter lets through, the newest first. */
  readonly events: readonly Event[];
  readonly isReading: boolean;
  /** The beginning of the log is there. */
  readonly isAtStart: boolean;
  /** How far back it has been looked. */
  readonly oldest: Event | undefined;
  readonly error: unknown;
  readonly readOlder: () => void;
  /** How many have come that the filter lets through since somebody reads. */
  readonly newCount: number;
  /** Somebody reads: what comes waits. */
  readonly hold: (isHeld: boolean) => void;
  /** What has waited is shown. */
  readonly release: () => void;
}

const PAGE_EVENTS = 200;
/** Pages that are looked through for one wish while the page itself searches: 10,000 events, which is what is kept. */
const SEARCH_PAGES_MAX = 10;
const SEARCH_PAGE_EVENTS = 1000;
/** So many more are enough for one wish. */
const FOUND_ENOUGH = 50;
/** What comes while the first page is on its way. */
const ARRIVED_MAX = 2000;

interface Reading {
  readonly key: string;
  readonly log: ActivityLog;
  readonly isReading: boolean;
  readonly error: unknown;
}

export function useActivity(filter: ActivityFilter): Activity {
  const client = useClient();
  const { epoch } = useBoardView();
  const query = useMemo(() => queryOf(filter), [filter]);
  const isNothingWanted = filter.kinds.size === 0;
  // What is read for another filter, or before everything was read anew, is not of this log.
  const key = JSON.stringify([client.board, epoch, query, filter.at]);
  const [reading, setReading] = useState<Reading>(() => begin('', ''));
  const arrived = useRef<readonly Event[]>([]);
  const underWay = useRef<AbortController | null>(null);
  const isHeld = useRef(false);
  const latest = useRef({ filter, query, reading });
  useEffect(() => {
    latest.current = { filter, query, reading };
  });

  const read = useCallback(
    (of: string, from: string): void => {
      const abort = new AbortController();
      underWay.current?.abort();
      underWay.current = abort;
      const end = (error: unknown): void => {
        if (underWay.current !== abort) return;
        underWay.current = null;
        // What was there has been pruned since: the log begins where it ends here.
        const isPruned = error instanceof LanekeeperError && error.code === 'cursor_expired' && from !== '';
        setReading((now) => ({
          ...now,
          isReading: false,
          error: isPruned ? null : error,
          log: isPruned ? { ...now.log, older: null } : now.log,
        }));
      };
      const { filter: wanted, query: chosen } = latest.current;
      const onPage = (page: LogPage, asked: string): void => {
        const late = arrived.current;
        arrived.current = [];
        setReading((now) =>
          now.key === of ? { ...now, log: addNewer(addOlder(now.log, page, asked), late) } : now,
        );
      };
      const reads = { filter: wanted, query: chosen, from, signal: abort.signal };
      readBack(client, reads, onPage).then(() => end(null), end);
    },
    [client],
  );

  useEffect(() => {
    // What is told begins with the first snapshot: what is read earlier would leave a gap between the two.
    if (epoch === 0) return;
    const from = filter.at === '' ? 'now' : filter.at;
    arrived.current = [];
    if (isNothingWanted) {
      setReading({ key, log: NO_LOG, isReading: false, error: null });
      return;
    }
    setReading(begin(key, from));
    read(key, from);
    return () => {
      underWay.current?.abort();
      underWay.current = null;
    };
  }, [key, epoch, filter.at, isNothingWanted, read]);

  useEvents((all) => {
    if (filter.at !== '') return;
    const own = all.filter((event) => passesQuery(filter, event));
    if (own.length === 0) return;
    // Before the first page they would stand on nothing.
    if (reading.isReading && reading.log.events.length === 0)
      arrived.current = [...arrived.current, ...own].slice(-ARRIVED_MAX);
    else setReading((now) => ({ ...now, log: addNewer(now.log, own, isHeld.current) }));
  });

  const readOlder = useCallback((): void => {
    const { key: of, log, isReading } = latest.current.reading;
    if (log.older === null || isReading) return;
    setReading((now) => ({ ...now, isReading: true, error: null }));
    read(of, log.older);
  }, [read]);

  const { log, isReading, error } = reading;
  const oldest = log.events.at(-1);
  const shown = { ...useFound(log, filter), ...useHold(isHeld, setReading) };
  return { ...shown, isReading, isAtStart: log.older === null, oldest, error, readOlder };
}

function useHold(
  isHeld: { current: boolean },
  setReading: (change: (now: Reading) => Reading) => void,
): Pick<Activity, 'hold' | 'release'> {
  return useMemo(() => {
    const release = (): void =>
      setReading((now) => (now.log.waiting.length === 0 ? now : { ...now, log: releaseLog(now.log) }));
    const hold = (wantsIt: boolean): void => {
      isHeld.current = wantsIt;
      if (!wantsIt) release();
    };
    return { hold, release };
  }, [isHeld, setReading]);
}

/** What the filter lets through of what is shown, and how much of what waits. */
function useFound(
  { events, waiting }: ActivityLog,
  filter: ActivityFilter,
): Pick<Activity, 'events' | 'newCount'> {
  const search = useMemo(() => (isSearching(filter) ? searchOf(filter) : null), [filter]);
  const found = useMemo(() => (search === null ? events : events.filter(search)), [events, search]);
  const newCount = useMemo(
    () => (search === null ? waiting : waiting.filter(search)).length,
    [waiting, search],
  );
  return { events: found, newCount };
}

interface Wish {
  readonly filter: ActivityFilter;
  readonly query: LogQuery;
  readonly from: string;
  readonly signal: AbortSignal;
}

type LogPage = ReplyOf<'listEvents'>;

/** One page; while the page itself searches as many as it takes to find something, within bounds. */
async function readBack(
  client: Client,
  { filter, query, from, signal }: Wish,
  onPage: (page: LogPage, asked: string) => void,
): Promise<void> {
  const searches = isSearching(filter);
  const search = searchOf(filter);
  const limit = searches ? SEARCH_PAGE_EVENTS : PAGE_EVENTS;
  let before = from;
  let found = 0;
  for (let page = 0; page < (searches ? SEARCH_PAGES_MAX : 1) && found < FOUND_ENOUGH; page += 1) {
    const answer = await client.events.list({ ...query, before, limit }, { signal });
    signal.throwIfAborted();
    onPage(answer, before);
    if (answer.events.length === 0 && answer.cursor === before) return;
    found += answer.events.filter(search).length;
    before = answer.cursor;
  }
}

function begin(key: string, from: string): Reading {
  return { key, log: beginLog(from), isReading: true, error: null };
}
