/**
 * A card. Its title is the link to the task, and the one place of it that the keyboard stops at; the rest is reached from there. It is drawn
 * anew only when what it shows has changed; times draw themselves. Its height is known beforehand: see card-height.ts.
 */

import { Clock, GitFork, GripVertical, Hourglass } from 'lucide-react';
import { type MouseEvent, memo, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { Card } from '../live/card.ts';
import { linkToTask } from '../shell/links.ts';
import { LeaseCountdown } from '../ui/lease-countdown.tsx';
import { ProgressBar } from '../ui/progress-bar.tsx';
import { clockDuration, useSecondsUntil } from '../ui/time.tsx';
import { CARD_GAP_PX, cardHeight, rowsOf, titleLines } from './card-height.ts';
import type { Note } from './desk.ts';
import { useCardHandlers } from './desk-context.tsx';
import { StatusAge } from './status-age.tsx';
import './card.css';

interface CardViewProps {
  readonly card: Card;
  readonly board: string;
  /** From the top of its column. */
  readonly topPx: number;
  readonly index: number;
  readonly count: number;
  readonly isSelected: boolean;
  readonly isPlace: boolean;
  readonly mayAct: boolean;
  readonly note: Note | undefined;
}

export const CardView = memo(function CardView(props: CardViewProps): ReactNode {
  const { card, board, topPx, index, count, isSelected, isPlace, mayAct, note } = props;
  const { desk, cardsOf, openMenu } = useCardHandlers();
  const onClick = (event: MouseEvent): void => {
    if (event.shiftKey) desk.extend(cardsOf(card.status), card.id);
    else if (event.ctrlKey || event.metaKey) desk.toggle(card.id);
    else return;
    event.preventDefault();
  };
  return (
    <li
      className={classOf(card, isSelected, isPlace)}
      style={{
        transform: `translateY(${topPx}px)`,
        height: cardHeight(card, note !== undefined) - CARD_GAP_PX,
      }}
      data-card={card.id}
      aria-setsize={count}
      aria-posinset={index + 1}
      draggable={mayAct}
      onDragStart={(event) => {
        event.dataTransfer.setData('text/plain', card.id);
        event.dataTransfer.effectAllowed = 'move';
        desk.drag({ id: card.id, status: card.status });
      }}
      onDragEnd={() => desk.drag(null)}
    >
      <Link
        href={`~${linkToTask(board, card.id)}`}
        className={titleLines(card) === 2 ? 'board-card-title two-lines' : 'board-card-title'}
        tabIndex={isPlace ? 0 : -1}
        draggable={false}
        title={card.title}
        // Before the link's own, which leaves clicks with such keys to the browser.
        onClickCapture={onClick}
        onFocus={() => desk.stand({ status: card.status, index, id: card.id }, false)}
      >
        {card.title}
      </Link>
      <CardMeta card={card} />
      <CardDetails card={card} />
      {note !== undefined && (
        <p className={`board-card-row board-card-note ${note.kind}`} title={note.text}>
          {note.text}
        </p>
      )}
      <span className="board-card-tools">
        {mayAct && <GripVertical size={14} aria-hidden className="board-card-grip" />}
        {mayAct && (
          <input
            type="checkbox"
            tabIndex={isPlace ? 0 : -1}
            aria-label={`Select ${card.title}`}
            checked={isSelected}
            onChange={() => undefined}
            onClick={(event) => {
              if (event.shiftKey) desk.extend(cardsOf(card.status), card.id);
              else desk.toggle(card.id);
            }}
          />
        )}
        {mayAct && (
          <button
            type="button"
            className="board-card-more"
            tabIndex={isPlace ? 0 : -1}
            aria-label={`Actions for ${card.title}`}
            aria-haspopup="menu"
            onClick={(event) => openMenu(card, event.currentTarget)}
          >
            ⋯
          </button>
        )}
      </span>
    </li>
  );
});

function classOf({ status, claim }: Card, isSelected: boolean, isPlace: boolean): string {
  const parts = ['board-card', `board-card-${status}`];
  if (isSelected) parts.push('selected');
  if (isPlace) parts.push('here');
  if (claim?.isCancelRequested === true) parts.push('cancelling');
  return parts.join(' ');
}

/** The last characters tell ids of one day apart. */
const ID_LETTERS = 6;

function CardMeta({ card }: { readonly card: Card }): ReactNode {
  return (
    <p className="board-card-row">
      <span className="mono muted" title={card.id}>
        …{card.id.slice(-ID_LETTERS)}
      </span>
      <span className={card.lane === null ? 'board-lane none' : 'board-lane'} title="Lane">
        {card.lane ?? 'no lane'}
      </span>
      {card.priority !== 0 && (
        <span className="board-priority" title="Priority">
          {card.priority > 0 ? '↑' : '↓'}
          {card.priority}
        </span>
      )}
      {card.delegationId !== null && (
        <span title={`Part of delegation ${card.delegationId}`}>
          <GitFork size={13} aria-hidden />
          <span className="visually-hidden">delegated</span>
        </span>
      )}
      <StatusAge sinceMs={card.statusSinceMs} status={card.status} />
    </p>
  );
}

function CardDetails({ card }: { readonly card: Card }): ReactNode {
  const rows = rowsOf(card);
  const { claim } = card;
  return (
    <>
      {claim !== null && (
        <p className="board-card-row">
          <span className="board-cut" title={`Held by ${claim.worker}`}>
            {claim.worker}
          </span>
          <span className="board-right" title="Lease">
            <LeaseCountdown expiresAtMs={claim.leaseExpiresAtMs} sinceMs={claim.claimedAtMs} />
          </span>
        </p>
      )}
      {rows.progress && claim !== null && <Progress {...claim} />}
      {rows.detail && <Detail card={card} />}
      {rows.tries && (
        <p className="board-card-row small">
          attempt {card.attempt}
          {card.consecutiveFailures > 0 && (
            <span className="board-failures">
              {card.consecutiveFailures} of {card.maxFailures} failures
            </span>
          )}
        </p>
      )}
      {rows.labels && <Labels labels={card.labels} />}
    </>
  );
}

function Progress({ progress, note, isCancelRequested }: NonNullable<Card['claim']>): ReactNode {
  return (
    <p className="board-card-row small">
      {isCancelRequested && <span className="board-cancelling">cancel requested</span>}
      {progress !== null && <ProgressBar value={progress} />}
      {note !== null && (
        <span className="board-cut muted" title={note}>
          {note}
        </span>
      )}
    </p>
  );
}

function Detail({ card }: { readonly card: Card }): ReactNode {
  const { status, blocked, runAtMs, unmetParents, reviewer } = card;
  if (status === 'blocked') {
    const reason = blocked?.reason ?? '';
    return (
      <p className="board-card-row small">
        {blocked?.kind != null && (
          <span className="board-blocked-kind">{blocked.kind.replace('_', ' ')}</span>
        )}
        <span className="board-cut" title={reason}>
          {reason}
        </span>
      </p>
    );
  }
  return (
    <p className="board-card-row small">
      {status === 'scheduled' && runAtMs !== null && <Start atMs={runAtMs} />}
      {status === 'todo' && (
        <>
          <Hourglass size={13} aria-hidden /> waits for {unmetParents} {unmetParents === 1 ? 'task' : 'tasks'}
        </>
      )}
      {status === 'review' && <span className="board-cut">reviewer: {reviewer ?? 'people'}</span>}
    </p>
  );
}

/** Farther away than a day a countdown says less than the date. */
const COUNTED_SECONDS = 86_400;

function Start({ atMs }: { readonly atMs: number }): ReactNode {
  const seconds = useSecondsUntil(atMs);
  const at = new Date(atMs);
  const far = at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  return (
    <span title={at.toISOString()}>
      <Clock size={13} aria-hidden /> {seconds > COUNTED_SECONDS ? far : `in ${clockDuration(seconds)}`}
    </span>
  );
}

/** More do not fit. */
const LABELS_SHOWN = 3;

function Labels({ labels }: Pick<Card, 'labels'>): ReactNode {
  const all = Object.entries(labels).map(([key, value]) => (value === '' ? key : `${key}=${value}`));
  return (
    <p className="board-card-row board-labels" title={all.join('\n')}>
      {all.slice(0, LABELS_SHOWN).map((label) => (
        <span key={label} className="board-label">
          {label}
        </span>
      ))}
      {all.length > LABELS_SHOWN && <span className="muted small">+{all.length - LABELS_SHOWN}</span>}
    </p>
  );
}
