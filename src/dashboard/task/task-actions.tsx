/** What people may do with the task as it stands: the likely first, what destroys apart. Why something was refused is said below. */
import type { ReactNode } from 'react';
import type { Task } from '../../client/index.ts';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import type { TaskStatus } from '../live/card.ts';
import { useSession } from '../session/session-context.tsx';
import { Button } from '../ui/button.tsx';
import { Problem } from '../ui/problem.tsx';
import { actionsFor, type TaskAction, type TaskActionName } from './actions.ts';
import { useTaskAction } from './use-task-action.ts';

interface TaskActionsProps {
  readonly task: Task;
  readonly status: TaskStatus;
  readonly onEdit: () => void;
}

export function TaskActions({ task, status, onEdit }: TaskActionsProps): ReactNode {
  const { may } = useSession();
  const { run, isPending, error } = useTaskAction();
  const actions = actionsFor(status, may);
  const start = (action: TaskAction): void => void run(action, task);
  const startNamed = (name: TaskActionName): void => {
    const action = actions.find((each) => each.name === name);
    if (action !== undefined && !isPending) start(action);
  };
  const has = (name: TaskActionName): boolean => actions.some((action) => action.name === name);
  useShortcut(
    { keys: 'u', label: 'Unblock', group: 'Task', act: () => startNamed('unblock') },
    has('unblock'),
  );
  useShortcut({ keys: 'c', label: 'Cancel', group: 'Task', act: () => startNamed('cancel') }, has('cancel'));
  useShortcut({ keys: 'e', label: 'Edit', group: 'Task', act: onEdit }, may.operate);
  if (!may.operate) return null;
  const button = (action: TaskAction): ReactNode => (
    <Button key={action.name} tone={toneOf(action)} disabled={isPending} onClick={() => start(action)}>
      {action.label}
    </Button>
  );
  return (
    <>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for the fields of a form */}
      <div className="task-actions" role="group" aria-label="Actions">
        {actions.filter(({ isDestructive }) => !isDestructive).map(button)}
        <Button onClick={onEdit}>Edit</Button>
        <span className="task-actions-space" />
        {actions.filter(({ isDestructive }) => isDestructive).map(button)}
      </div>
      <Problem error={error} />
    </>
  );
}

/** What a task of that status waits for a person to do. */
const AWAITED: ReadonlySet<TaskActionName> = new Set(['promote', 'unblock', 'accept']);

function toneOf({ name, isDestructive }: TaskAction): 'danger' | 'primary' | 'plain' {
  if (isDestructive) return 'danger';
  return AWAITED.has(name) ? 'primary' : 'plain';
}
