/**
 * The rows of a timeline, of which only those are made that can be seen. Follows what comes while its end is in view; otherwise what is read
 * stands still, whatever is added or cut before and after it.
 */
import { defaultRangeExtractor, type Range, useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { TimelineItem } from './timeline-item.tsx';
import { keyOfRow, seqOfRow, type TimelineRow, unfold } from './timeline-rows.ts';

interface TimelineListProps {
  readonly rows: readonly TimelineRow[];
  readonly isWhole: boolean;
  readonly markedSeq: number | null;
  readonly taskId: string;
  /** The first event in view while the end is not; null: the end is. */
  readonly onHold: (seq: number | null) => void;
}

/** As timeline.css has a row of one line on a desk. */
const ROW_PX = 34;
const OVERSCAN_ROWS = 10;
/** So near the end counts as at the end: a scroll wheel's smallest step is more. */
const END_PX = 12;

interface Anchor {
  readonly key: string;
  readonly index: number;
  /** Of the top of the row below that of the list; mostly negative. */
  readonly offsetPx: number;
}

export function TimelineList({ rows, isWhole, markedSeq, taskId, onHold }: TimelineListProps): ReactNode {
  const scroller = useRef<HTMLElement>(null);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const [shownData, setShownData] = useState<ReadonlySet<number>>(new Set());
  const shown = useMemo(() => unfold(rows, open), [rows, open]);
  const focused = useRef<string | null>(null);
  const keys = useMemo(() => new Map(shown.map((row, index) => [keyOf(row), index])), [shown]);
  const virtualizer = useVirtualizer<HTMLElement, HTMLLIElement>({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => keyOf(shown[index]),
    overscan: OVERSCAN_ROWS,
    // What has the focus stays, else the next key that is pressed would begin at the top of the page.
    rangeExtractor: (range) => withFocused(range, keys.get(focused.current ?? '')),
  });
  const height = virtualizer.getTotalSize();
  const onScroll = usePlace({
    scroller,
    virtualizer,
    keys,
    height,
    markedSeq,
    onHold,
    shown,
  });
  useMarked({ scroller, virtualizer, shown, markedSeq });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows that say more are higher.
  useLayoutEffect(() => virtualizer.measure(), [isWhole]);
  return (
    <section
      ref={scroller}
      className="timeline-scroll"
      aria-label="Events of the task, the oldest first"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which people without a mouse must reach.
      tabIndex={0}
      onScroll={onScroll}
    >
      <ol
        className="timeline-list"
        style={{ height }}
        onFocus={({ target }) => {
          focused.current = target.closest('[data-key]')?.getAttribute('data-key') ?? null;
        }}
        onBlur={() => {
          focused.current = null;
        }}
      >
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const row = shown[index];
          if (row === undefined) return null;
          const seq = seqOfRow(row);
          return (
            <TimelineItem
              key={key}
              place={{ index, start, measure: virtualizer.measureElement }}
              row={row}
              isWhole={isWhole}
              isMarked={row.type === 'event' && seq === markedSeq}
              isOpen={row.type === 'beats' ? open.has(seq) : shownData.has(seq)}
              onOpen={() =>
                row.type === 'beats' ? setOpen(toggled(open, seq)) : setShownData(toggled(shownData, seq))
              }
              taskId={taskId}
            />
          );
        })}
      </ol>
    </section>
  );
}

function keyOf(row: TimelineRow | undefined): string {
  return row === undefined ? '' : keyOfRow(row);
}

function toggled(open: ReadonlySet<number>, seq: number): ReadonlySet<number> {
  const changed = new Set(open);
  if (!changed.delete(seq)) changed.add(seq);
  return changed;
}

function withFocused(range: Range, focused: number | undefined): number[] {
  const indexes = defaultRangeExtractor(range);
  if (focused === undefined || focused >= range.count || indexes.includes(focused)) return indexes;
  return [...indexes, focused].sort((left, right) => left - right);
}

interface List {
  readonly scroller: { readonly current: HTMLElement | null };
  readonly virtualizer: ReturnType<typeof useVirtualizer<HTMLElement, HTMLLIElement>>;
  readonly shown: readonly TimelineRow[];
  readonly markedSeq: number | null;
}

interface Place extends List {
  readonly keys: ReadonlyMap<string, number>;
  readonly height: number;
  readonly onHold: (seq: number | null) => void;
}

function usePlace({ scroller, virtualizer, keys, height, markedSeq, onHold, shown }: Place): () => void {
  /** Who asks for one event does not want the end. */
  const [isFollowing, setFollowing] = useState(markedSeq === null);
  const anchor = useRef<Anchor | null>(null);
  const lastTop = useRef(0);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    if (isFollowing) element.scrollTop = height;
    else {
      const index = keys.get(anchor.current?.key ?? '');
      const start = index === undefined ? undefined : virtualizer.measurementsCache[index]?.start;
      // Rows were added or cut before it. That rows turn out higher the virtualizer makes up for itself.
      if (anchor.current !== null && start !== undefined && index !== anchor.current.index) {
        element.scrollTop = start - anchor.current.offsetPx;
        anchor.current = { ...anchor.current, index: index ?? 0 };
      }
    }
    lastTop.current = element.scrollTop;
  }, [scroller, virtualizer, keys, height, isFollowing]);
  const onScroll = (): void => {
    const element = scroller.current;
    if (element === null) return;
    const { scrollTop, scrollHeight, clientHeight } = element;
    const isUp = scrollTop < lastTop.current - 1;
    const isDown = scrollTop > lastTop.current + 1;
    lastTop.current = scrollTop;
    const isAtEnd = scrollHeight - scrollTop - clientHeight <= END_PX;
    let follows = isFollowing;
    if (isUp && !isAtEnd) follows = false;
    else if (isDown && isAtEnd) follows = true;
    if (follows !== isFollowing) setFollowing(follows);
    const top = virtualizer.getVirtualItemForOffset(scrollTop);
    const row = top === undefined ? undefined : shown[top.index];
    anchor.current =
      top === undefined || row === undefined
        ? null
        : { key: keyOf(row), index: top.index, offsetPx: top.start - scrollTop };
    onHold(follows || row === undefined ? null : seqOfRow(row));
  };
  return onScroll;
}

/** While what stands above is still being read and turns out higher; a person who does anything ends it before. */
const SETTLING_MS = 3000;
const DOING = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const;

/** Takes the person to the event of the address. Once for each address: what comes later does not take anybody back. */
function useMarked({ scroller, virtualizer, shown, markedSeq }: List): void {
  const done = useRef<number | null>(null);
  const index = useMemo(
    () =>
      markedSeq === null ? -1 : shown.findIndex((row) => row.type === 'event' && row.event.seq === markedSeq),
    [shown, markedSeq],
  );
  const place = useRef(index);
  useLayoutEffect(() => {
    place.current = index;
  });
  const isThere = index >= 0;
  useEffect(() => {
    if (!isThere || done.current === markedSeq) return;
    const untilMs = performance.now() + SETTLING_MS;
    let frame = 0;
    const end = (): void => {
      done.current = markedSeq;
      cancelAnimationFrame(frame);
      for (const kind of DOING) window.removeEventListener(kind, end);
    };
    const look = (): void => {
      const row = scroller.current?.querySelector(`#event-${markedSeq}`) ?? null;
      if (row === null) virtualizer.scrollToIndex(place.current, { align: 'center' });
      // The page around the list too.
      else if (!isInView(row, scroller.current)) row.scrollIntoView({ block: 'center' });
      if (performance.now() < untilMs) frame = requestAnimationFrame(look);
      else end();
    };
    for (const kind of DOING) window.addEventListener(kind, end, { passive: true });
    look();
    return end;
  }, [isThere, markedSeq, scroller, virtualizer]);
}

function isInView(row: Element, list: Element | null): boolean {
  const { top, bottom } = row.getBoundingClientRect();
  const around = list?.getBoundingClientRect();
  return (
    top >= Math.max(0, around?.top ?? 0) && bottom <= Math.min(innerHeight, around?.bottom ?? innerHeight)
  );
}
