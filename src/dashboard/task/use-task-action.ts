/** Does an action of a task: asks first where it has to, says what came of it. */
import { useCallback, useState } from 'react';
import { useClient } from '../live/live-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { useNotify } from '../ui/notices.tsx';
import type { TaskAction } from './actions.ts';

interface Subject {
  readonly id: string;
  readonly title: string;
}

/** `left`: the person changed their mind. */
export type TaskActionEnd =
  | { readonly type: 'done' | 'left' }
  | { readonly type: 'refused'; readonly error: unknown };

/** @param onBegin Nothing more is asked: the server is. */
export type PerformTaskAction = (
  action: TaskAction,
  task: Subject,
  onBegin: () => void,
) => Promise<TaskActionEnd>;

/** For many tasks at a time: keeps nothing in mind, each answer goes to whoever asked. */
export function usePerformTaskAction(): PerformTaskAction {
  const client = useClient();
  const ask = useAsk();
  const notify = useNotify();
  return useCallback(
    async (action, task, onBegin) => {
      const { question } = action;
      const answers =
        question === undefined
          ? {}
          : await ask({
              title: `${action.label}: ${task.title}`,
              text: question.text,
              action: action.label,
              ...(question.fields === undefined ? {} : { fields: question.fields }),
              ...(action.isDestructive === undefined ? {} : { isDestructive: action.isDestructive }),
            });
      if (answers === null) return { type: 'left' };
      onBegin();
      try {
        await action.perform(client, task.id, answers);
        notify.done(`${action.label}: ${task.title}`);
        return { type: 'done' };
      } catch (error) {
        notify.problem(action.label, error);
        return { type: 'refused', error };
      }
    },
    [client, ask, notify],
  );
}

export interface RunAction {
  /** true: done. false: refused, or the person changed their mind. */
  readonly run: (action: TaskAction, task: Subject) => Promise<boolean>;
  readonly isPending: boolean;
  /** Of the last action: why it was refused; shown where the action was. */
  readonly error: unknown;
}

/** For one task. */
export function useTaskAction(): RunAction {
  const perform = usePerformTaskAction();
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = useCallback(
    async (action: TaskAction, task: Subject): Promise<boolean> => {
      setError(null);
      const end = await perform(action, task, () => setPending(true));
      setPending(false);
      if (end.type === 'refused') setError(end.error);
      return end.type === 'done';
    },
    [perform],
  );
  return { run, isPending, error };
}
