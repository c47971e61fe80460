/** One event of the board's log: when, what, about what, by whom. */
import { memo, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { Event } from '../../client/index.ts';
import { useCard, useClient } from '../live/live-context.tsx';
import { linkToDelegation, linkToLane, linkToPage, linkToTask } from '../shell/links.ts';
import { sentenceOf } from '../task/timeline-sentence.ts';
import { toneOf } from '../task/timeline-tone.ts';
import { shortId } from '../task/timeline-words.ts';
import { Ago } from '../ui/time.tsx';

/** Where enter leads: to what the event is about. */
export function linkOfEvent(
  board: string,
  { task_id: task, delegation_id: delegation, lane, seq }: Event,
): string | null {
  if (task !== undefined) return linkToTask(board, task, seq);
  if (delegation !== undefined) return linkToDelegation(board, delegation);
  return lane === undefined ? null : linkToLane(board, lane);
}

export const ActivityRow = memo(function ActivityRow({ event }: { readonly event: Event }): ReactNode {
  const { board } = useClient();
  const { task_id: task, delegation_id: delegation, lane, actor, seq, cursor } = event;
  return (
    <div className={`activity-row activity-${toneOf(event.kind)}`}>
      <span className="activity-time muted small">
        <Ago at={event.at} />
      </span>
      <span className="activity-said" title={event.kind}>
        {sentenceOf(event)}
      </span>
      <span className="activity-about small">
        {task !== undefined && <TaskLink id={task} seq={seq} />}
        {lane !== undefined && <Link href={`~${linkToLane(board, lane)}`}>{lane}</Link>}
        {delegation !== undefined && <Link href={`~${linkToDelegation(board, delegation)}`}>delegation</Link>}
        <span className="muted mono" title={actor.id}>
          {actor.type === 'system' ? actor.id : actor.type}
        </span>
        <Link href={`~${linkToPage(board, 'activity')}?at=${encodeURIComponent(cursor)}`} title={event.at}>
          #{seq}
          <span className="visually-hidden">: the log as it was then</span>
        </Link>
      </span>
    </div>
  );
});

function TaskLink({ id, seq }: { readonly id: string; readonly seq: number }): ReactNode {
  const { board } = useClient();
  const card = useCard(id);
  return (
    <Link className="activity-task" href={`~${linkToTask(board, id, seq)}`} title={id}>
      {card?.title ?? shortId(id)}
    </Link>
  );
}
