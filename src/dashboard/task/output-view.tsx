/** The lines of an output, of which only those are made that can be seen. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useEffect, useLayoutEffect, useMemo, useRef } from 'react';
import { ansiPieces } from './ansi.ts';
import type { OutputRow } from './output-buffer.ts';
import { type Match, markPieces } from './output-search.ts';

interface OutputViewProps {
  readonly rows: readonly OutputRow[];
  readonly isFollowing: boolean;
  readonly isWrapped: boolean;
  readonly matches: readonly Match[];
  readonly current: Match | null;
  /** With another one the current match is shown; what is printed meanwhile moves nobody. */
  readonly wish: number;
  readonly onLeaveEnd: () => void;
  readonly onReachEnd: () => void;
}

/** As output.css has it. */
const LINE_PX = 18;
/** So near the end counts as at the end: a scroll wheel's smallest step is more. */
const END_PX = 12;
const OVERSCAN_ROWS = 12;

const NO_MATCHES: readonly Match[] = [];

function byRow(matches: readonly Match[]): ReadonlyMap<number, readonly Match[]> {
  const rows = new Map<number, Match[]>();
  for (const match of matches) {
    const known = rows.get(match.row);
    if (known === undefined) rows.set(match.row, [match]);
    else known.push(match);
  }
  return rows;
}

function keyOf(row: OutputRow | undefined): string | number {
  if (row === undefined) return '';
  return row.type === 'line' ? row.line.number : `${row.type} ${row.before}`;
}

export function OutputView(props: OutputViewProps): ReactNode {
  const { rows, isFollowing, isWrapped, matches, current, wish, onLeaveEnd, onReachEnd } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    getItemKey: (index) => keyOf(rows[index]),
    overscan: OVERSCAN_ROWS,
  });
  const height = virtualizer.getTotalSize();
  // biome-ignore lint/correctness/useExhaustiveDependencies: new rows and rows that turn out higher move the end.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (isFollowing && element !== null) {
      element.scrollTop = element.scrollHeight;
      lastTop.current = element.scrollTop;
    }
  }, [rows, height, isFollowing]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another width of the lines is another height.
  useLayoutEffect(() => virtualizer.measure(), [isWrapped]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only somebody's wish moves the lines.
  useEffect(() => {
    if (current !== null) virtualizer.scrollToIndex(current.row, { align: 'center' });
  }, [wish]);
  const onScroll = (): void => {
    const element = scroller.current;
    if (element === null) return;
    const { scrollTop, scrollHeight, clientHeight } = element;
    const isUp = scrollTop < lastTop.current - 1;
    lastTop.current = scrollTop;
    const isAtEnd = scrollHeight - scrollTop - clientHeight <= END_PX;
    if (isFollowing && isUp && !isAtEnd) onLeaveEnd();
    else if (!isFollowing && !isUp && isAtEnd && matches.length === 0) onReachEnd();
  };
  const matchesByRow = useMemo(() => byRow(matches), [matches]);
  return (
    <section
      ref={scroller}
      className={isWrapped ? 'output-lines output-wrapped' : 'output-lines'}
      onScroll={onScroll}
      aria-label="Output"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which people without a mouse must reach.
      tabIndex={0}
    >
      <div className="output-canvas" style={{ height }}>
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <div
              key={key}
              ref={virtualizer.measureElement}
              data-index={index}
              className="output-row"
              style={{ transform: `translateY(${start}px)` }}
            >
              <OutputRowView row={row} matches={matchesByRow.get(index) ?? NO_MATCHES} current={current} />
            </div>
          );
        })}
      </div>
    </section>
  );
}

interface OutputRowViewProps {
  readonly row: OutputRow;
  readonly matches: readonly Match[];
  readonly current: Match | null;
}

const OutputRowView = memo(
  function OutputRowView({ row, matches, current }: OutputRowViewProps): ReactNode {
    if (row.type === 'gap')
      return <p className="output-gap">… {row.count} lines were dropped or are no longer kept …</p>;
    if (row.type === 'run')
      return (
        <p className="output-run">
          {row.runId} · {new Date(row.atMs).toISOString()}
        </p>
      );
    const pieces = markPieces(ansiPieces(row.line.text), matches, current);
    return (
      <pre>
        {pieces.map(({ start, text, className, mark }) =>
          mark === 'none' ? (
            <span key={start} className={className || undefined}>
              {text}
            </span>
          ) : (
            <mark key={start} className={mark === 'current' ? 'output-current' : undefined}>
              {text}
            </mark>
          ),
        )}
        {'\n'}
      </pre>
    );
  },
  (before, after) =>
    isSameRow(before.row, after.row) &&
    before.matches === after.matches &&
    (before.current === after.current || after.matches.length === 0),
);

/** Rows are made anew with every line that comes; the lines in them are not. */
function isSameRow(before: OutputRow, after: OutputRow): boolean {
  if (before.type === 'line' && after.type === 'line') return before.line === after.line;
  if (before.type === 'gap' && after.type === 'gap') return before.count === after.count;
  return before.type === 'run' && after.type === 'run' && before.runId === after.runId;
}
