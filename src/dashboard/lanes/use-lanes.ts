/**
 * The lanes as the page shows them. Who is there comes from the API, read again when the log tells of a lane, and every few seconds because
 * the log does not tell of workers; what waits and runs comes from the live board, so that it moves with the cards.
 */
import { useMemo } from 'react';
import type { Client, Event, Lane, ReplyOf } from '../../client/index.ts';
import type { Card } from '../live/card.ts';
import { useBoardView, useClient, useColumn, useLiveBoard, useLiveQuery } from '../live/live-context.tsx';
import { UNFINISHED_STATUSES } from '../live/statuses.ts';
import { IDLE, type LoadedLane, loadOf, loadsOf, unknownLanes } from './lane-state.ts';

/** More than a person looks through; each costs the server two small counts. */
const LANES_MAX = 1000;
const PAGE_ROWS = '200';
/** Workers report every few seconds; older than this nobody calls it live. */
const PRESENCE_MS = 5000;
/** The statistics are added up in the background, and a point lasts a minute. */
const STATS_MS = 15_000;

export interface ShownLanes {
  readonly lanes: readonly LoadedLane[];
  /** By lane, oldest first. */
  readonly claims: ReadonlyMap<string, readonly Card[]>;
  /** Lanes that tasks name and nobody has registered, with how many tasks do. */
  readonly unknown: ReadonlyMap<string, number>;
  readonly isLoading: boolean;
  /** There are more lanes than are shown. */
  readonly isTruncated: boolean;
  readonly error: Error | null;
  /** Reads who is there again, after an action. */
  readonly reread: () => void;
}

interface ReadLanes {
  readonly lanes: readonly Lane[];
  readonly isTruncated: boolean;
}

async function readLanes(client: Client, signal: AbortSignal): Promise<ReadLanes> {
  const lanes: Lane[] = [];
  for await (const lane of client.lanes.list({ limit: PAGE_ROWS }, { signal })) {
    if (lanes.length === LANES_MAX) return { lanes, isTruncated: true };
    lanes.push(lane);
  }
  return { lanes, isTruncated: false };
}

const isOfLane = ({ kind }: Event): boolean => kind.startsWith('lane.');

export function useLanes(): ShownLanes {
  const { data, error, refetch } = useLiveQuery({
    key: ['lanes'],
    read: readLanes,
    isTouchedBy: isOfLane,
    everyMs: PRESENCE_MS,
  });
  const { isTruncated: isBoardTruncated } = useBoardView();
  const ready = useColumn('ready');
  const running = useColumn('running');
  const lanes = useMemo<readonly LoadedLane[]>(() => {
    const live = loadsOf(ready, running);
    return (data?.lanes ?? []).map((lane) => ({
      lane,
      // A board that is too large for a snapshot is counted by the server alone.
      load: isBoardTruncated ? loadOf(lane) : (live.get(lane.name) ?? IDLE),
    }));
  }, [data, ready, running, isBoardTruncated]);
  const claims = useMemo(() => byLane(running), [running]);
  return {
    lanes,
    claims,
    unknown: useUnknownLanes(data),
    isLoading: data === undefined && error === null,
    isTruncated: data?.isTruncated ?? false,
    error,
    reread: () => void refetch(),
  };
}

function byLane(cards: readonly Card[]): ReadonlyMap<string, readonly Card[]> {
  const lanes = new Map<string, Card[]>();
  for (const card of cards) {
    if (card.lane === null) continue;
    const known = lanes.get(card.lane);
    if (known === undefined) lanes.set(card.lane, [card]);
    else known.push(card);
  }
  return lanes;
}

const NONE: ReadonlyMap<string, number> = new Map();

function useUnknownLanes(read: ReadLanes | undefined): ReadonlyMap<string, number> {
  const board = useLiveBoard();
  const { revision, lanes: registered } = useBoardView();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the columns change with the revision
  return useMemo(() => {
    // Of lanes that were not read nobody can say that they are not there.
    if (read === undefined || read.isTruncated) return NONE;
    const known = new Set([...read.lanes.map(({ name }) => name), ...registered.keys()]);
    return unknownLanes(
      UNFINISHED_STATUSES.map((status) => board.column(status)),
      known,
    );
  }, [board, revision, read, registered]);
}

export type LaneStats = ReplyOf<'getStats'>['stats'];

/** Of the last hour; undefined until it was read, or where it cannot be. */
export function useLaneStats(): LaneStats | undefined {
  const { board } = useClient();
  const { data } = useLiveQuery({
    key: ['lane-stats', '1h'],
    read: async (client, signal) => (await client.boards.stats(board, { window: '1h' }, { signal })).stats,
    isTouchedBy: () => false,
    everyMs: STATS_MS,
  });
  return data;
}
