/** One row of a timeline: when, what, who; and on demand the data as it stands in the log. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Event } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { linkToDelegation, linkToTask } from '../shell/links.ts';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { shortDuration } from '../ui/duration.ts';
import { Ago } from '../ui/time.tsx';
import { beatsSentence, keyOfRow, type TimelineRow } from './timeline-rows.ts';
import { sentenceOf } from './timeline-sentence.ts';
import { toneOf } from './timeline-tone.ts';

interface TimelineItemProps {
  readonly row: TimelineRow;
  /** Where in the list it stands. */
  readonly place: {
    readonly index: number;
    readonly start: number;
    readonly measure: (element: HTMLLIElement | null) => void;
  };
  readonly isWhole: boolean;
  readonly isMarked: boolean;
  /** Of a fold: its events stand below it; of an event: its data is shown. */
  readonly isOpen: boolean;
  readonly onOpen: () => void;
  readonly taskId: string;
}

export function TimelineItem(props: TimelineItemProps): ReactNode {
  const { row, place, isMarked } = props;
  const isUnfolded = row.type === 'event' && row.isUnfolded === true;
  return (
    <li
      id={row.type === 'event' ? `event-${row.event.seq}` : undefined}
      ref={place.measure}
      data-index={place.index}
      data-key={keyOfRow(row)}
      className={['timeline-item', isMarked && 'timeline-marked', isUnfolded && 'timeline-unfolded']
        .filter(Boolean)
        .join(' ')}
      aria-current={isMarked ? 'true' : undefined}
      style={{ transform: `translateY(${place.start}px)` }}
    >
      {row.type === 'event' ? (
        <EventRow {...props} event={row.event} sinceSeconds={row.sinceSeconds} />
      ) : (
        <BeatsRow {...props} events={row.events} />
      )}
    </li>
  );
}

function BeatsRow({
  events,
  isOpen,
  onOpen,
}: TimelineItemProps & { readonly events: readonly Event[] }): ReactNode {
  return (
    <div className="timeline-row timeline-quiet">
      <span className="timeline-time">
        <Ago at={events.at(-1)?.at ?? 0} />
      </span>
      <span className="timeline-said">{beatsSentence(events)}</span>
      <Button size="small" tone="ghost" aria-expanded={isOpen} onClick={onOpen}>
        {isOpen ? 'Fold' : 'Unfold'}
      </Button>
    </div>
  );
}

interface EventRowProps extends TimelineItemProps {
  readonly event: Event;
  readonly sinceSeconds: number | null;
}

function EventRow({ event, sinceSeconds, isWhole, isOpen, onOpen, taskId }: EventRowProps): ReactNode {
  const { board } = useClient();
  const link = linkToTask(board, taskId, event.seq);
  return (
    <>
      <div className={`timeline-row timeline-${toneOf(event.kind)}`}>
        <a className="timeline-time" href={`#event-${event.seq}`}>
          <span className="visually-hidden">Event {event.seq}, </span>
          <Ago at={event.at} />
        </a>
        <span className="timeline-said">
          {sentenceOf(event)}
          {event.delegation_id !== undefined && (
            <>
              {' '}
              <Link href={`~${linkToDelegation(board, event.delegation_id)}`}>delegation</Link>
            </>
          )}
        </span>
        <span className="timeline-actor muted small">
          {event.actor.type === 'system' ? `the server (${event.actor.id})` : event.actor.type}
        </span>
      </div>
      {isWhole && (
        <div className="timeline-more small">
          <code>{event.kind}</code>
          <span className="muted">
            #{event.seq} · {event.at}
            {sinceSeconds !== null && ` · ${shortDuration(sinceSeconds)} after the one before`}
          </span>
          <span className="muted mono">{event.actor.id}</span>
          <CopyButton text={`${location.origin}${link}`} label="Copy link" />
          <EventData event={event} isOpen={isOpen} onOpen={onOpen} />
        </div>
      )}
    </>
  );
}

type EventDataProps = Pick<EventRowProps, 'event' | 'isOpen' | 'onOpen'>;

function EventData({ event, isOpen, onOpen }: EventDataProps): ReactNode {
  return (
    <>
      <Button size="small" tone="ghost" aria-expanded={isOpen} onClick={onOpen}>
        {isOpen ? 'Hide data' : 'Data'}
      </Button>
      {isOpen && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which people without a mouse must reach.
        <pre className="timeline-data wrap" tabIndex={0}>
          {JSON.stringify(event.data, null, 2)}
        </pre>
      )}
    </>
  );
}
