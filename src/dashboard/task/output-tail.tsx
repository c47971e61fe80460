/** What workers of a task print: the lines that are kept, and new ones as they come; followed until somebody scrolls up or searches. */
import './output.css';
import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Problem } from '../ui/problem.tsx';
import { LINES_KEPT, type OutputLine, outputRows } from './output-buffer.ts';
import { useTaskOutput } from './output-feed.ts';
import { findMatches, MATCHES_MAX, textOfLine } from './output-search.ts';
import { OutputView } from './output-view.tsx';

interface OutputTailProps {
  readonly taskId: string;
  readonly isRunning: boolean;
}

/** Pinned by the API: so many lines of each task are kept. */
const SERVER_LINES = 200;

export function OutputTail({ taskId, isRunning }: OutputTailProps): ReactNode {
  const { lines, isRead, lostAtEnd, error } = useTaskOutput(taskId, isRunning);
  /** null: the end is followed. Otherwise what stands still meanwhile, so that nothing moves under the eyes. */
  const [held, setHeld] = useState<readonly OutputLine[] | null>(null);
  const [isWrapped, setWrapped] = useState(true);
  const shown = held ?? lines;
  const rows = useMemo(() => outputRows(shown), [shown]);
  const search = useSearch(rows, () => setHeld(shown));
  const firstNumber = shown[0]?.number ?? 1;
  const newCount = (lines.at(-1)?.number ?? 0) - (held?.at(-1)?.number ?? lines.at(-1)?.number ?? 0);
  if (lines.length === 0) return <NoOutput isRead={isRead} isRunning={isRunning} error={error} />;
  const allText = (): string => lines.map(textOfLine).join('\n');
  return (
    <div className="output">
      <div className="output-bar">
        <SearchField search={search} />
        <span className="output-space" />
        <Button size="small" aria-pressed={isWrapped} onClick={() => setWrapped(!isWrapped)}>
          Wrap
        </Button>
        <CopyButton text={allText} />
        <Button size="small" onClick={() => download(`${taskId}.txt`, allText())}>
          Download
        </Button>
      </div>
      <Problem error={error} />
      {firstNumber > 1 && (
        <p className="muted small">
          {firstNumber - 1} earlier {firstNumber === 2 ? 'line is' : 'lines are'} not here: the server keeps
          the last {SERVER_LINES} lines of a task, this page the last {LINES_KEPT} that it has seen.
        </p>
      )}
      <OutputView
        rows={rows}
        isFollowing={held === null}
        isWrapped={isWrapped}
        matches={search.matches}
        current={search.current}
        wish={search.wish}
        onLeaveEnd={() => setHeld(shown)}
        onReachEnd={() => setHeld(null)}
      />
      <div className="output-foot small" aria-live="off">
        {held === null ? (
          <span className="muted">{isRunning ? 'Following what is printed.' : 'All that is kept.'}</span>
        ) : (
          <Button size="small" onClick={() => setHeld(null)}>
            Jump to end{newCount > 0 ? ` (${newCount} new)` : ''}
          </Button>
        )}
        {lostAtEnd > 0 && <span className="danger-text">{lostAtEnd} lines were lost on the way.</span>}
      </div>
    </div>
  );
}

interface NoOutputProps {
  readonly isRead: boolean;
  readonly isRunning: boolean;
  readonly error: unknown;
}

function NoOutput({ isRead, isRunning, error }: NoOutputProps): ReactNode {
  if (error !== null) return <Problem error={error} />;
  if (!isRead) return <p className="muted">Reading …</p>;
  return (
    <EmptyState
      title={isRunning ? 'Nothing printed yet' : 'No output'}
      commands={[
        'lanekeeper work LANE -- COMMAND',
        'lanekeeper run output "a line"',
        'context.log("a line");',
      ]}
    >
      <p>
        What a worker prints stands here: all that a command prints, and the lines that a worker sends itself.
      </p>
    </EmptyState>
  );
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text, '\n'], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

interface Search {
  readonly query: string;
  readonly matches: ReturnType<typeof findMatches>;
  readonly index: number;
  readonly current: ReturnType<typeof findMatches>[number] | null;
  /** Rises whenever somebody wants to be taken to the current match. */
  readonly wish: number;
  readonly setQuery: (query: string) => void;
  readonly step: (by: number) => void;
}

function useSearch(rows: ReturnType<typeof outputRows>, hold: () => void): Search {
  const [query, setQuery] = useState('');
  const [index, setIndex] = useState(0);
  const [wish, setWish] = useState(0);
  const matches = useMemo(() => findMatches(rows, query), [rows, query]);
  const place = matches.length === 0 ? 0 : Math.min(index, matches.length - 1);
  const latestHold = useRef(hold);
  useEffect(() => {
    latestHold.current = hold;
  });
  return {
    query,
    matches,
    index: place,
    current: matches[place] ?? null,
    wish,
    setQuery: (text) => {
      setQuery(text);
      setIndex(0);
      if (text === '') return;
      setWish(wish + 1);
      latestHold.current();
    },
    step: (by) => {
      if (matches.length === 0) return;
      setIndex((place + by + matches.length) % matches.length);
      setWish(wish + 1);
      latestHold.current();
    },
  };
}

function SearchField({ search }: { readonly search: Search }): ReactNode {
  const { query, matches, index, setQuery, step } = search;
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') {
      event.preventDefault();
      step(event.shiftKey ? -1 : 1);
    } else if (event.key === 'Escape') setQuery('');
  };
  const total = matches.length === MATCHES_MAX ? `${MATCHES_MAX}+` : String(matches.length);
  return (
    <search className="output-search">
      <input
        type="search"
        aria-label="Search the output"
        placeholder="Search the output"
        value={query}
        onChange={(event) => setQuery(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {query !== '' && (
        <>
          <span className="small muted" role="status">
            {matches.length === 0 ? 'none' : `${index + 1} of ${total}`}
          </span>
          <Button
            size="small"
            aria-label="Match before"
            disabled={matches.length === 0}
            onClick={() => step(-1)}
          >
            ↑
          </Button>
          <Button
            size="small"
            aria-label="Next match"
            disabled={matches.length === 0}
            onClick={() => step(1)}
          >
            ↓
          </Button>
        </>
      )}
    </search>
  );
}
