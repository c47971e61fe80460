/** Why it is not running: what keeps it, in the order in which it has to be dealt with, each with what helps. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Event, Task } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { linkToFilter, linkToLane, linkToPage } from '../shell/links.ts';
import { Button } from '../ui/button.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import { Ago, clockDuration, useSecondsUntil } from '../ui/time.tsx';
import { actionsFor } from './actions.ts';
import { TaskIdLink } from './task-links.tsx';
import { TaskPanel } from './task-panel.tsx';
import type { RunAction } from './use-task-action.ts';
import { useTaskAction } from './use-task-action.ts';
import { WHY_HELP, type WhyReason } from './why-help.ts';

interface WhyPanelProps {
  readonly task: Task;
  readonly status: TaskStatus;
}

/** The queue before it and its parents move without an event of its own. */
const REREAD_MS = 10_000;

const touchesAnyTask = ({ kind }: Event): boolean => /^(lane|board)\./.test(kind);

export function WhyPanel({ task, status }: WhyPanelProps): ReactNode {
  const { data, error } = useLiveQuery({
    key: ['why', task.id],
    read: (client, signal) => client.tasks.why(task.id, { signal }),
    isTouchedBy: (event) => event.task_id === task.id || touchesAnyTask(event),
    everyMs: REREAD_MS,
  });
  const action = useTaskAction();
  const reasons = data?.reasons ?? [];
  return (
    <TaskPanel title="Why it is not running">
      {data === undefined && <Problem error={error} />}
      {data !== undefined && reasons.length === 0 && <p className="muted">Nothing keeps it.</p>}
      <ol className="task-reasons">
        {reasons.map((reason) => (
          <li key={reason.code}>
            <Reason reason={reason} task={task} status={status} action={action} />
          </li>
        ))}
      </ol>
      <Problem error={action.error} />
    </TaskPanel>
  );
}

interface ReasonProps extends WhyPanelProps {
  readonly reason: WhyReason;
  readonly action: RunAction;
}

function Reason({ reason, task, status, action }: ReasonProps): ReactNode {
  const { label } = WHY_HELP[reason.code];
  return (
    <>
      <p>
        <strong>{label}</strong>{' '}
        <span className="muted">
          since <Ago at={reason.since} />
        </span>
      </p>
      <p className="wrap">{reason.detail}</p>
      {reason.until_at !== undefined && <Until at={reason.until_at} />}
      {reason.ahead !== undefined && <p>{reason.ahead} before it.</p>}
      {reason.parents !== undefined && (
        <ul className="task-links">
          {reason.parents.map((parent) => (
            <li key={parent}>
              <TaskIdLink id={parent} />
            </li>
          ))}
        </ul>
      )}
      <Help reason={reason} task={task} status={status} action={action} />
    </>
  );
}

function Until({ at }: { readonly at: string }): ReactNode {
  const seconds = useSecondsUntil(Date.parse(at));
  return (
    <p>
      Until <time dateTime={at}>{at}</time>
      {seconds > 0 && <span className="lease"> · in {clockDuration(seconds)}</span>}
    </p>
  );
}

function Help({ reason, task, status, action }: ReasonProps): ReactNode {
  const { board } = useClient();
  const { may } = useSession();
  const { goTo, actions = [], isBoardResumed } = WHY_HELP[reason.code];
  const lane = status === 'review' ? task.reviewer : task.lane;
  const offered = actionsFor(status, may).filter(({ name }) => actions.includes(name));
  return (
    <div className="task-help">
      {offered.map((each) => (
        <Button
          key={each.name}
          size="small"
          disabled={action.isPending}
          onClick={() => void action.run(each, task)}
        >
          {each.label}
        </Button>
      ))}
      {goTo === 'lane' && (
        <Link href={`~${lane === null ? linkToPage(board, 'lanes') : linkToLane(board, lane)}`}>
          {lane === null ? 'Lanes' : `Lane ${lane}`}
        </Link>
      )}
      {goTo === 'queue' && lane !== null && (
        <Link href={`~${linkToFilter(board, `lane:${lane}`)}`}>What waits for {lane}</Link>
      )}
      {goTo === 'parents' && <a href="#parents">Parents of this task</a>}
      {isBoardResumed && may.administer && <ResumeBoard />}
    </div>
  );
}

function ResumeBoard(): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const resume = async (): Promise<void> => {
    try {
      await client.boards.patch(client.board, { settings: { paused: false } });
      notify.done('The board goes on');
    } catch (error) {
      notify.problem('Resume the board', error);
    }
  };
  return (
    <Button size="small" onClick={() => void resume()}>
      Resume the board
    </Button>
  );
}
