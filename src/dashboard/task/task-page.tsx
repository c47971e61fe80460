/** One task: who has it, why it is not running, all that is known of it, and everything that people may do with it. */
import { type ReactNode, useState } from 'react';
import { Link, Redirect, useLocation } from 'wouter';
import { type Event, LanekeeperError, type Task } from '../../client/index.ts';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import type { Card, TaskStatus } from '../live/card.ts';
import { useCard, useClient, useLiveQuery } from '../live/live-context.tsx';
import { isFinishedStatus } from '../live/statuses.ts';
import { linkBackToBoard } from '../shell/last-filter.ts';
import { linkToTask } from '../shell/links.ts';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { StatusChip } from '../ui/status-chip.tsx';
import { ClaimPanel } from './claim-panel.tsx';
import { Comments } from './comments.tsx';
import { Contents } from './contents.tsx';
import { EditDialog } from './edit-dialog.tsx';
import { FamilyPanel } from './family-panel.tsx';
import { Handoff } from './handoff.tsx';
import { useMarkedSeq } from './marked-event.ts';
import { OutputTail } from './output-tail.tsx';
import { finalRunOf } from './run-words.ts';
import { OutcomePanel, RunsPanel, useRuns } from './runs.tsx';
import { Steering } from './steering.tsx';
import './task.css';
import { TaskActions } from './task-actions.tsx';
import { TaskFacts } from './task-facts.tsx';
import { FoldedPanel, TaskPanel } from './task-panel.tsx';
import { Timeline } from './timeline.tsx';
import { useTaskEvents } from './timeline-events.ts';
import { WhyPanel } from './why-panel.tsx';

/** The log has a sign of life of a holder every half minute, and each extends the lease. */
const CLAIM_REREAD_MS = 5000;

/** @param id Or the external_ref, which leads to the address with the id. */
export function TaskPage({ id }: { readonly id: string }): ReactNode {
  const { board } = useClient();
  const card = useCard(id);
  const { data, error } = useLiveQuery({
    key: ['task', id],
    read: (client, signal) => client.tasks.get(id, { signal }),
    isTouchedBy: (event) => event.task_id === id,
    ...(card?.status === 'running' ? { everyMs: CLAIM_REREAD_MS } : {}),
  });
  const isMissing = error instanceof LanekeeperError && error.status === 404;
  useShortcut(useBackShortcut());
  if (data === undefined) return isMissing ? <NoTask id={id} /> : <Waiting error={error} />;
  const { task } = data;
  if (task.id !== id) return <Redirect to={`~${linkToTask(board, task.id)}${location.hash}`} replace />;
  return <TaskView task={task} card={card} isDeleted={isMissing} error={isMissing ? null : error} />;
}

function useBackShortcut() {
  const { board } = useClient();
  const [, navigate] = useLocation();
  return {
    keys: 'Escape',
    label: 'Back to the board',
    group: 'Task',
    act: () => navigate(`~${linkBackToBoard(board)}`),
  } as const;
}

function Waiting({ error }: { readonly error: unknown }): ReactNode {
  return error === null ? <p className="centered muted">Loading …</p> : <Problem error={error} />;
}

function NoTask({ id }: { readonly id: string }): ReactNode {
  const { board } = useClient();
  return (
    <EmptyState title="There is no such task on this board." commands={['lanekeeper task list']}>
      <p className="wrap">
        Neither its id nor its external ref is <code>{id}</code>. It may have been deleted, or be on another
        board.
      </p>
      <p>
        <Link href={`~${linkBackToBoard(board)}`}>To the board</Link>
      </p>
    </EmptyState>
  );
}

interface TaskViewProps {
  readonly task: Task;
  readonly card: Card | undefined;
  readonly isDeleted: boolean;
  /** Why it could not be read again. */
  readonly error: unknown;
}

function TaskView({ task, card, isDeleted, error }: TaskViewProps): ReactNode {
  const { board } = useClient();
  // An event is there before the task has been read again.
  const isNewer = card !== undefined && card.version > task.version;
  const status = isNewer ? card.status : task.status;
  const [isEdited, setEdited] = useState(false);
  const markedSeq = useMarkedSeq();
  const past = useTaskEvents(task.id, markedSeq);
  useShortcut(
    { keys: 's', label: 'Steer', group: 'Task', act: focusSteering },
    !isDeleted && !isFinishedStatus(status),
  );
  return (
    <div className="task-page">
      <PageHeader title={isNewer ? card.title : task.title}>
        <StatusChip status={status} />
        <Link href={`~${linkBackToBoard(board)}`} className="button small" title="Back to the board (esc)">
          Open in board
        </Link>
      </PageHeader>
      {isDeleted ? (
        <p className="problem" role="alert">
          This task has been deleted. What you see is how it was last; it is kept nowhere else.
        </p>
      ) : (
        <TaskActions task={task} status={status} onEdit={() => setEdited(true)} />
      )}
      <Problem error={error} />
      <div className="task-columns">
        <div className="task-main">
          {!isDeleted && <State task={task} card={card} status={status} events={past.log.events} />}
          {isDeleted && <Contents task={task} />}
        </div>
        <div className="task-side">
          <TaskFacts task={task} />
          {!isDeleted && <Relations task={task} />}
        </div>
        {!isDeleted && (
          <div className="task-past">
            <TaskPanel title="Timeline">
              <Timeline taskId={task.id} past={past} markedSeq={markedSeq} />
            </TaskPanel>
          </div>
        )}
      </div>
      {isEdited && <EditDialog task={task} onClose={() => setEdited(false)} />}
    </div>
  );
}

function focusSteering(): void {
  document.querySelector<HTMLTextAreaElement>('textarea[name=steer]')?.focus();
}

interface StateProps {
  readonly task: Task;
  readonly card: Card | undefined;
  readonly status: TaskStatus;
  readonly events: readonly Event[];
}

/** What is going on, and what has been tried. */
function State({ task, card, status, events }: StateProps): ReactNode {
  const { runs, error } = useRuns(task.id);
  const isFinished = isFinishedStatus(status);
  const isRunning = status === 'running';
  return (
    <>
      {isRunning && task.claim !== null && (
        <ClaimPanel claim={task.claim} events={events} live={card?.claim ?? null} />
      )}
      {isFinished && <OutcomePanel task={task} runs={runs} />}
      {!isRunning && !isFinished && <WhyPanel task={task} status={status} />}
      <Contents
        task={task}
        isOutcomeShown={isFinished && finalRunOf(runs?.newestFirst ?? []) !== undefined}
      />
      <TaskPanel title="Steering">
        <Steering taskId={task.id} status={status} />
      </TaskPanel>
      <TaskPanel title="Output">
        <OutputTail taskId={task.id} isRunning={isRunning} />
      </TaskPanel>
      <RunsPanel runs={runs} error={error} />
    </>
  );
}

function Relations({ task }: { readonly task: Task }): ReactNode {
  return (
    <>
      <FamilyPanel task={task} />
      <Comments taskId={task.id} />
      <FoldedPanel title="What the next worker is told">
        <Handoff taskId={task.id} />
      </FoldedPanel>
    </>
  );
}
