/** The live board of the address, for every view below it. */
import { type UseQueryResult, useQuery, useQueryClient } from '@tanstack/react-query';
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from 'react';
import { type Client, connect, type Event } from '../../client/index.ts';
import { useSession } from '../session/session-context.tsx';
import type { Card, TaskStatus } from './card.ts';
import { type BoardView, LiveBoard } from './live-board.ts';
import { Rereads } from './rereads.ts';

interface Live {
  readonly board: LiveBoard;
  readonly client: Client;
  readonly rereads: Rereads;
}

const LiveContext = createContext<Live | null>(null);

function useLive(): Live {
  const live = useContext(LiveContext);
  if (live === null) throw new Error('A live board is used outside of one');
  return live;
}

export function LiveBoardProvider({
  name,
  children,
}: {
  readonly name: string;
  readonly children: ReactNode;
}): ReactNode {
  const { secret, clock } = useSession();
  const queries = useQueryClient();
  const live = useMemo<Live>(() => {
    const client = connect({ url: location.origin, token: secret, board: name });
    const board = new LiveBoard(client, clock.now);
    const readAgain = (queryKey: readonly unknown[]): void =>
      void queries.invalidateQueries({ queryKey, exact: true }, { cancelRefetch: false });
    return { client, board, rereads: new Rereads(readAgain, () => board.isPaused) };
  }, [name, secret, clock, queries]);
  useEffect(() => {
    live.board.start();
    return () => live.board.stop();
  }, [live]);
  // What was read before everything was read anew may have missed events.
  const epoch = useSyncExternalStore(live.board.subscribe, () => live.board.view.epoch);
  useEffect(() => {
    if (epoch > 1) void queries.invalidateQueries();
  }, [epoch, queries]);
  return <LiveContext value={live}>{children}</LiveContext>;
}

/** Calls of this board: its methods need no `board`. */
export function useClient(): Client {
  return useLive().client;
}

export function useLiveBoard(): LiveBoard {
  return useLive().board;
}

/** Everything about the board but its cards. */
export function useBoardView(): BoardView {
  const { board } = useLive();
  return useSyncExternalStore(board.subscribe, () => board.view);
}

/** The cards of one status, in their order; the same array until one of them changes. */
export function useColumn(status: TaskStatus): readonly Card[] {
  const { board } = useLive();
  return useSyncExternalStore(board.subscribe, () => board.column(status));
}

/** undefined: not on the board, or finished long ago. */
export function useCard(id: string): Card | undefined {
  const { board } = useLive();
  return useSyncExternalStore(board.subscribe, () => board.card(id));
}

/** Calls back with every group of events while the view is there. */
export function useEvents(listener: (events: readonly Event[]) => void): void {
  const { board } = useLive();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => board.onEvents((events) => latest.current(events)), [board]);
}

interface LiveQuery<Data> {
  readonly key: readonly unknown[];
  readonly read: (client: Client, signal: AbortSignal) => Promise<Data>;
  /** Events after which it is read again. */
  readonly isTouchedBy: (event: Event) => boolean;
  readonly isEnabled?: boolean;
  /** Read again so often whether or not anything happened: for what the log does not tell. */
  readonly everyMs?: number;
  /** From the end of a read to the next one at least so long, however many events touch it. */
  readonly leastMs?: number;
}

/** Fresh to the eye, and at most some two reads a second. */
const LEAST_MS = 400;

/**
 * Something of the server that is read again when an event touches it: at once after the first, then at most every `leastMs`. While the board
 * is paused nothing is read again; going on reads everything anew.
 */
export function useLiveQuery<Data>({
  key,
  read,
  isTouchedBy,
  isEnabled = true,
  everyMs,
  leastMs = LEAST_MS,
}: LiveQuery<Data>): UseQueryResult<Data> {
  const { client, board, rereads } = useLive();
  const isPaused = useSyncExternalStore(board.subscribe, () => board.isPaused);
  const queryKey = [client.board, ...key];
  const name = JSON.stringify(queryKey);
  useEffect(() => rereads.show(name), [rereads, name]);
  useEvents((events) => {
    if (isEnabled && events.some(isTouchedBy)) rereads.touch(name, leastMs);
  });
  return useQuery({
    queryKey,
    queryFn: ({ signal }) => rereads.during(name, () => read(client, signal)),
    enabled: isEnabled,
    refetchInterval: isPaused ? false : (everyMs ?? false),
    refetchOnWindowFocus: !isPaused,
    refetchOnReconnect: !isPaused,
  });
}
