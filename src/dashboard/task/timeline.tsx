/** What happened to a task, oldest first, and what happens now; an address can point at any event of it. */
import './timeline.css';
import { type ReactNode, useMemo, useState } from 'react';
import { Link } from 'wouter';
import { useClient } from '../live/live-context.tsx';
import { linkToPage } from '../shell/links.ts';
import { Button } from '../ui/button.tsx';
import { shortDuration } from '../ui/duration.ts';
import { Problem } from '../ui/problem.tsx';
import { STATUS_LABELS } from '../ui/status-chip.tsx';
import { useSecondsUntil } from '../ui/time.tsx';
import { Grown } from './grown.ts';
import type { TaskEvents } from './timeline-events.ts';
import { TimelineList } from './timeline-list.tsx';
import { cutCount, isFull } from './timeline-log.ts';
import { type Phase, phasesAfter } from './timeline-phases.ts';
import { rowsAfter, type TimelineRow } from './timeline-rows.ts';
import { lasting } from './timeline-words.ts';

interface TimelineProps {
  readonly taskId: string;
  readonly past: TaskEvents;
  readonly markedSeq: number | null;
}

export function Timeline({ taskId, past, markedSeq }: TimelineProps): ReactNode {
  const { log, isComplete, isReading, error, readMore, readOlder, hold } = past;
  const [isWhole, setWhole] = useState(false);
  const rows = useMemo(() => {
    const folding = { isFolded: !isWhole, shownSeq: markedSeq };
    return new Grown<readonly TimelineRow[]>([], (before, added) => rowsAfter(before, added, folding));
  }, [isWhole, markedSeq]).of(log.events);
  const phases = useMemo(() => new Grown<readonly Phase[]>([], phasesAfter), []).of(log.events);
  return (
    <div className="timeline">
      <Phases phases={phases} />
      <div className="timeline-bar">
        <p className="muted small">{isReading ? 'Reading …' : countOf(past)}</p>
        <Button size="small" aria-pressed={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Compact' : 'Full'}
        </Button>
      </div>
      <Problem error={error} />
      {!isReading && isComplete && <Missing past={past} markedSeq={markedSeq} />}
      {log.cut.length > 0 && <Older taskId={taskId} past={past} onOlder={readOlder} />}
      <TimelineList rows={rows} isWhole={isWhole} markedSeq={markedSeq} taskId={taskId} onHold={hold} />
      {!isReading && (error !== null || !isComplete) && (
        <Button onClick={readMore}>{error === null ? 'Read more' : 'Try again'}</Button>
      )}
    </div>
  );
}

function countOf({ log, isComplete }: TaskEvents): string {
  const { events } = log;
  const before = cutCount(log);
  if (before > 0) return `The newest ${events.length} of ${before + events.length} events`;
  return `${events.length} events${isComplete ? '' : ' so far'}`;
}

/** What the address asks for and the list does not have. */
function Missing({ past: { log }, markedSeq }: Pick<TimelineProps, 'past' | 'markedSeq'>): ReactNode {
  if (markedSeq === null || log.events.some(({ seq }) => seq === markedSeq)) return null;
  const isBefore = log.cut.length > 0 && markedSeq < (log.events[0]?.seq ?? 0);
  return (
    <p className="muted">
      {isBefore
        ? `Event ${markedSeq} is older than those that are shown here.`
        : `Event ${markedSeq} is not one of this task, or is no longer in the log.`}
    </p>
  );
}

interface OlderProps {
  readonly taskId: string;
  readonly past: TaskEvents;
  readonly onOlder: () => void;
}

function Older({ taskId, past, onOlder }: OlderProps): ReactNode {
  const { board } = useClient();
  if (!isFull(past.log))
    return (
      <Button size="small" disabled={past.isReading} onClick={onOlder}>
        Older
      </Button>
    );
  return (
    <p className="muted small">
      Those before are in the{' '}
      <Link href={`~${linkToPage(board, 'activity')}?kinds=all&task=${taskId}`}>activity of the board</Link>.
    </p>
  );
}

/** The last phases tell what people look for; a task that was retried for days has thousands. */
const PHASES_SHOWN = 12;

function Phases({ phases }: { readonly phases: readonly Phase[] }): ReactNode {
  if (phases.length === 0) return null;
  const hidden = Math.max(0, phases.length - PHASES_SHOWN);
  return (
    <ol className="timeline-phases" aria-label="How long it was in which status">
      {hidden > 0 && <li className="muted">{hidden} earlier …</li>}
      {phases.slice(hidden).map((phase) => (
        <li key={phase.seq} className={`timeline-phase timeline-phase-${phase.status}`}>
          <span>{STATUS_LABELS[phase.status]}</span>{' '}
          {phase.toMs === null ? (
            <Open fromMs={phase.fromMs} />
          ) : (
            <b>{lasting((phase.toMs - phase.fromMs) / 1000)}</b>
          )}
        </li>
      ))}
    </ol>
  );
}

function Open({ fromMs }: { readonly fromMs: number }): ReactNode {
  return <b>{shortDuration(-useSecondsUntil(fromMs))} …</b>;
}
