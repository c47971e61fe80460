/** The columns as they are shown: filtered, and the same arrays until one of their cards changes. */
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Card, TaskStatus } from '../live/card.ts';
import { useBoardView, useLiveBoard } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { type BoardAddress, columnsOf } from './address.ts';
import { type Filter, filterOf, type Surroundings } from './filter/filter.ts';
import type { ShownColumn } from './places.ts';

export interface ShownBoard {
  readonly columns: readonly ShownColumn[];
  readonly filter: Filter;
  readonly matching: number;
  readonly loaded: number;
}

/** An age that is filtered by may be seen so much late: nobody filters to the second. */
const AGES_MS = 2000;

interface Filtered {
  readonly source: readonly Card[];
  readonly key: unknown;
  readonly cards: readonly Card[];
}

export function useShownBoard(address: BoardAddress): ShownBoard {
  const board = useLiveBoard();
  const { counts, lanes } = useBoardView();
  const { clock } = useSession();
  const filter = useMemo(() => filterOf(address.query), [address.query]);
  const tick = useTicks(filter.dependsOnTime);
  const known = useRef(new Map<TaskStatus, Filtered>());
  // A column that had a card stays open: one that opens and shuts with every task moves all the others about.
  const wasSeen = useRef(new Set<TaskStatus>()).current;
  const key = useMemo(() => [filter, lanes, tick], [filter, lanes, tick]);
  const around: Surroundings = {
    nowMs: clock.now(),
    isLaneOnline: (lane) => lanes.get(lane)?.presence.online === true,
  };
  const filtered = (status: TaskStatus): readonly Card[] => {
    const source = board.column(status);
    if (filter.isEmpty) return source;
    const before = known.current.get(status);
    if (before?.source === source && before.key === key) return before.cards;
    const cards = source.filter((card) => filter.matches(card, around));
    const same = before !== undefined && areSame(before.cards, cards) ? before.cards : cards;
    known.current.set(status, { source, key, cards: same });
    return same;
  };
  let matching = 0;
  let loaded = 0;
  const columns = columnsOf(address).map((status) => {
    const cards = filtered(status);
    matching += cards.length;
    loaded += board.column(status).length;
    if ((counts?.[status] ?? 0) > 0) wasSeen.add(status);
    const isClosed = address.closed.has(status) || (!wasSeen.has(status) && !address.opened.has(status));
    return { status, cards, isClosed };
  });
  return { columns, filter, matching, loaded };
}

function areSame(left: readonly Card[], right: readonly Card[]): boolean {
  return left.length === right.length && left.every((card, index) => card === right[index]);
}

function useTicks(isOn: boolean): number {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    if (!isOn) return;
    const timer = setInterval(() => setTick((before) => before + 1), AGES_MS);
    return () => clearInterval(timer);
  }, [isOn]);
  return tick;
}
