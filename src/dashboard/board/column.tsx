/**
 * One status: its head, and of its cards those that can be seen. Heights are computed, not measured; the card that the keyboard is on stays
 * in the page wherever the column is scrolled to, so that the focus is never lost.
 */
import { defaultRangeExtractor, type Range, useVirtualizer } from '@tanstack/react-virtual';
import {
  type DragEvent,
  memo,
  type ReactNode,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import type { Card, TaskStatus } from '../live/card.ts';
import { useClient, useLiveBoard } from '../live/live-context.tsx';
import { type FinishedStatus, isFinishedStatus } from '../live/statuses.ts';
import { useSession } from '../session/session-context.tsx';
import { actionOfDrop } from '../task/actions.ts';
import { Button } from '../ui/button.tsx';
import { useNotify } from '../ui/notices.tsx';
import { STATUS_LABELS } from '../ui/status-chip.tsx';
import { cardHeight } from './card-height.ts';
import { CardView } from './card-view.tsx';
import { useCardHandlers, useDesk } from './desk-context.tsx';
import './column.css';

interface ColumnProps {
  readonly status: TaskStatus;
  /** In their order, filtered. */
  readonly cards: readonly Card[];
  /** On the board; null: not known yet. */
  readonly total: number | null;
  readonly isFiltered: boolean;
  readonly isClosed: boolean;
  readonly onClose: (status: TaskStatus, isClosed: boolean) => void;
}

export const Column = memo(function Column(props: ColumnProps): ReactNode {
  const { status, cards, total, isFiltered, isClosed, onClose } = props;
  const { drop, dropClass } = useDrop(status);
  const label = STATUS_LABELS[status];
  const count = total === null ? '' : total.toLocaleString();
  if (isClosed) {
    return (
      <section
        className={`board-column closed ${dropClass}`}
        data-column={status}
        aria-label={label}
        {...drop}
      >
        <button
          type="button"
          className="board-column-open"
          aria-expanded={false}
          title={`Open ${label}`}
          onClick={() => onClose(status, false)}
        >
          <span className="board-count">{count}</span> <span className="board-column-name">{label}</span>
        </button>
      </section>
    );
  }
  return (
    <section
      className={`board-column ${dropClass}`}
      data-column={status}
      aria-labelledby={`column-${status}`}
      {...drop}
    >
      <header className="board-column-head">
        <h2 id={`column-${status}`} tabIndex={-1}>
          <span className={`board-mark board-mark-${status}`} aria-hidden="true" />
          {label}{' '}
          <span className="board-count" data-count={status}>
            {isFiltered ? `${cards.length.toLocaleString()} of ${count}` : count}
          </span>
        </h2>
        <SelectColumn cards={cards} label={label} />
        <button
          type="button"
          className="board-column-fold"
          aria-expanded={true}
          aria-label={`Close ${label}`}
          title={`Close ${label}`}
          onClick={() => onClose(status, true)}
        >
          ‹
        </button>
      </header>
      <Cards status={status} cards={cards} total={total} isFiltered={isFiltered} />
    </section>
  );
});

function SelectColumn({
  cards,
  label,
}: {
  readonly cards: readonly Card[];
  readonly label: string;
}): ReactNode {
  const { desk } = useCardHandlers();
  const { selected } = useDesk();
  const { may } = useSession();
  if (!may.operate || cards.length === 0) return null;
  const areAll = selected.size >= cards.length && cards.every(({ id }) => selected.has(id));
  const ids = (): string[] => cards.map(({ id }) => id);
  return (
    <input
      type="checkbox"
      className="board-column-all"
      aria-label={`Select all in ${label}`}
      title={`Select all in ${label}`}
      checked={areAll}
      onChange={() => (areAll ? desk.unselect(ids()) : desk.add(ids()))}
    />
  );
}

/** Marks the column while a card is dragged, and takes it. */
function useDrop(status: TaskStatus) {
  const { drop: dropCard, desk } = useCardHandlers();
  const { dragged } = useDesk();
  const { may } = useSession();
  const board = useLiveBoard();
  const [isOver, setOver] = useState(false);
  const isHome = dragged?.status === status;
  const action = dragged === null ? undefined : actionOfDrop(dragged.status, status, may);
  const isLegal = action !== undefined;
  const marks = isLegal ? ['legal', ...(isOver ? ['over'] : [])] : ['refusing'];
  const dropClass = dragged === null || isHome ? '' : marks.join(' ');
  const drop = {
    'data-drop': dragged === null ? undefined : (action?.label ?? 'none'),
    onDragOver: (event: DragEvent) => {
      if (!isLegal) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'move';
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      const card = dragged === null ? undefined : board.card(dragged.id);
      desk.drag(null);
      if (card !== undefined) dropCard(card, status);
    },
  };
  return { drop, dropClass };
}

type CardsProps = Pick<ColumnProps, 'status' | 'cards' | 'total' | 'isFiltered'>;

/** Beyond the edges, so that a flick of the wheel shows no holes. */
const OVERSCAN = 6;

function Cards({ status, cards, total, isFiltered }: CardsProps): ReactNode {
  const scroller = useRef<HTMLDivElement>(null);
  const desk = useDesk();
  const { board } = useClient();
  const { may } = useSession();
  const { notes, place, selected } = desk;
  const placeIndex = place?.status === status ? place.index : -1;
  // New functions when the cards are others: all sizes are then computed anew.
  const sizes = useMemo(() => {
    const heights = cards.map((card) => cardHeight(card, notes.has(card.id)));
    return {
      estimateSize: (index: number) => heights[index] ?? 0,
      getItemKey: (index: number) => cards[index]?.id ?? index,
    };
  }, [cards, notes]);
  const virtual = useVirtualizer({
    count: cards.length,
    getScrollElement: () => scroller.current,
    ...sizes,
    overscan: OVERSCAN,
    rangeExtractor: useCallback(
      (range: Range) => {
        const seen = defaultRangeExtractor(range);
        const isSeen = placeIndex < 0 || placeIndex >= range.count || seen.includes(placeIndex);
        return isSeen ? seen : [...seen, placeIndex].sort((left, right) => left - right);
      },
      [placeIndex],
    ),
  });
  useFocusOfPlace(status, scroller, (index) => virtual.scrollToIndex(index, { align: 'auto' }));
  return (
    <div ref={scroller} className="board-column-scroll">
      <ol className="board-cards" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const card = cards[index];
          return card === undefined ? null : (
            <CardView
              key={card.id}
              card={card}
              board={board}
              topPx={start}
              index={index}
              count={cards.length}
              isSelected={selected.has(card.id)}
              isPlace={index === placeIndex}
              mayAct={may.operate}
              note={notes.get(card.id)}
            />
          );
        })}
      </ol>
      {isFinishedStatus(status) && !isFiltered && (
        <Older status={status} shown={cards.length} total={total} />
      )}
    </div>
  );
}

/** Gives the focus of the page to the place when it was asked for. */
function useFocusOfPlace(
  status: TaskStatus,
  scroller: { readonly current: HTMLElement | null },
  scrollTo: (index: number) => void,
): void {
  const { desk } = useCardHandlers();
  useEffect(() => {
    // As it is now: this may be the effect of a drawing before the place was moved.
    const { place } = desk.read();
    if (place?.status !== status || !desk.isFocusWaiting) return;
    scrollTo(place.index);
    const card = scroller.current?.querySelector(`[data-card="${CSS.escape(place.id)}"]`);
    const link = card?.querySelector('a');
    if (link == null) return;
    desk.focusGiven();
    link.focus({ preventScroll: true });
  });
}

interface OlderProps {
  readonly status: FinishedStatus;
  readonly shown: number;
  readonly total: number | null;
}

/** Finished tasks are as many as ever were: those created last were read, those that finished since are there too, others when somebody asks. */
function Older({ status, shown, total }: OlderProps): ReactNode {
  const board = useLiveBoard();
  const notify = useNotify();
  const [isPending, setPending] = useState(false);
  if (total === null || shown >= total || !board.hasOlder(status)) return null;
  const read = async (): Promise<void> => {
    setPending(true);
    try {
      await board.readOlder(status);
    } catch (error) {
      notify.problem('Show created earlier', error);
    } finally {
      setPending(false);
    }
  };
  return (
    <p className="board-older">
      <span className="muted small">
        {shown.toLocaleString()} of {total.toLocaleString()} shown
      </span>
      <Button
        size="small"
        disabled={isPending}
        title="Older ones are read by when they were created, the newest first"
        onClick={() => void read()}
      >
        Show created earlier
      </Button>
    </p>
  );
}
