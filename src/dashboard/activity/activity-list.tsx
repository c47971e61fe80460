/** The events that are shown, of which only those are made that can be seen. Stands still while somebody reads. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import type { Event } from '../../client/index.ts';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { ActivityRow, linkOfEvent } from './activity-row.tsx';
import type { Activity } from './use-activity.ts';

/** As activity.css has a row of one line on a desk. */
const ROW_PX = 34;
const OVERSCAN_ROWS = 10;
/** So near its end the list reads on. */
const END_ROWS = 20;

export function ActivityList({ activity }: { readonly activity: Activity }): ReactNode {
  const { events, isReading, isAtStart, error, readOlder, newCount, hold, release } = activity;
  const scroller = useRef<HTMLDivElement>(null);
  const [isScrolled, setScrolled] = useState(false);
  const [isPointed, setPointed] = useState(false);
  const [selected, setSelected] = useState<number | null>(null);
  const isHeld = isScrolled || isPointed || selected !== null;
  useEffect(() => {
    hold(isHeld);
    return () => hold(false);
  }, [isHeld, hold]);
  const virtualizer = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => events[index]?.seq ?? index,
    overscan: OVERSCAN_ROWS,
  });
  const items = virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  const isNearEnd = lastShown >= events.length - END_ROWS;
  useEffect(() => {
    if (isNearEnd && !isReading && !isAtStart && error === null && events.length > 0) readOlder();
  }, [isNearEnd, isReading, isAtStart, error, events.length, readOlder]);
  const show = (index: number): void => {
    setSelected(events[index]?.seq ?? null);
    virtualizer.scrollToIndex(index);
  };
  useSelection({ events, selected, show, clear: () => setSelected(null) });
  return (
    <div
      className="activity-list"
      // With the button in it: on the way there nothing may move.
      onPointerEnter={({ pointerType }) => setPointed(pointerType === 'mouse')}
      onPointerLeave={() => setPointed(false)}
    >
      {newCount > 0 && (
        <Button
          className="activity-new"
          tone="primary"
          size="small"
          onClick={() => {
            setSelected(null);
            release();
            scroller.current?.scrollTo({ top: 0 });
          }}
        >
          ↑ {newCount} new
        </Button>
      )}
      <section
        ref={scroller}
        className="activity-scroll"
        aria-label="Events, the newest first"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which people without a mouse must reach.
        tabIndex={0}
        onScroll={({ currentTarget }) => setScrolled(currentTarget.scrollTop > 0)}
      >
        <ol className="activity-events" style={{ height: virtualizer.getTotalSize() }}>
          {items.map(({ index, key, start }) => {
            const event = events[index];
            if (event === undefined) return null;
            const isSelected = event.seq === selected;
            return (
              <li
                key={key}
                ref={virtualizer.measureElement}
                data-index={index}
                className={isSelected ? 'activity-item activity-selected' : 'activity-item'}
                aria-current={isSelected ? 'true' : undefined}
                style={{ transform: `translateY(${start}px)` }}
              >
                <ActivityRow event={event} />
              </li>
            );
          })}
        </ol>
      </section>
    </div>
  );
}

interface Selection {
  readonly events: readonly Event[];
  readonly selected: number | null;
  readonly show: (index: number) => void;
  readonly clear: () => void;
}

function useSelection({ events, selected, show, clear }: Selection): void {
  const { board } = useClient();
  const [, navigate] = useLocation();
  const place = events.findIndex(({ seq }) => seq === selected);
  const isSelected = place >= 0;
  const open = (): void => {
    const event = events[place];
    const link = event === undefined ? null : linkOfEvent(board, event);
    if (link !== null) navigate(`~${link}`);
  };
  useShortcut({
    keys: 'j',
    label: 'Next event',
    group: 'View',
    act: () => show(Math.min(place + 1, events.length - 1)),
  });
  useShortcut({ keys: 'k', label: 'Event before', group: 'View', act: () => show(Math.max(place - 1, 0)) });
  useShortcut({ keys: 'Enter', label: 'Open what it is about', group: 'View', act: open }, isSelected);
  useShortcut({ keys: 'Escape', label: 'Select nothing', group: 'View', act: clear }, isSelected);
}
