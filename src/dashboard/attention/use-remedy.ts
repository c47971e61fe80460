/** Does what a button of the inbox says. One at a time for each entry; why it was refused stays with the entry. */
import { useClient } from '../live/live-context.tsx';
import type { TaskAction } from '../task/actions.ts';
import { useTaskAction } from '../task/use-task-action.ts';
import { useAsk } from '../ui/ask.tsx';
import { useAct } from '../ui/use-act.ts';
import type { AttentionEntry } from './attention-words.ts';
import type { Remedy } from './remedies.ts';

type Task = NonNullable<AttentionEntry['task']>;

interface UseRemedy {
  readonly run: (remedy: Remedy) => Promise<boolean>;
  /** Of what is blocked: the answer that the next attempt is told, written on the page instead of in a dialog. */
  readonly answer: (unblock: TaskAction, text: string) => Promise<boolean>;
  readonly steer: (text: string) => Promise<boolean>;
  readonly isPending: boolean;
  readonly error: unknown;
}

export function useRemedy(task: Task | undefined, onDone: () => void): UseRemedy {
  const client = useClient();
  const ask = useAsk();
  const actions = useTaskAction();
  const { act, isPending, error } = useAct();
  const { board } = client;
  const others = async (remedy: Remedy): Promise<boolean> => {
    switch (remedy.type) {
      case 'resume_lane': {
        const { lane } = remedy;
        return act(`Resume ${lane}`, async () => {
          await client.lanes.resume(lane);
          return `${lane} hands out work again`;
        });
      }
      case 'register_lane': {
        const { lane } = remedy;
        const text =
          'A lane of this name with the usual settings. A worker has to come to it then: see Lanes, Connect.';
        if ((await ask({ title: `Register lane ${lane}`, text, action: 'Register' })) === null) return false;
        return act(`Register ${lane}`, async () => {
          await client.lanes.register(lane);
          return `Lane ${lane} is registered`;
        });
      }
      case 'resume_board':
        return act('Resume the board', async () => {
          await client.boards.patch(board, { settings: { paused: false } });
          return 'The board hands out work again';
        });
      default:
        return false;
    }
  };
  const settle = async (done: Promise<boolean>): Promise<boolean> => {
    const isDone = await done;
    if (isDone) onDone();
    return isDone;
  };
  return {
    run: (remedy) => {
      if (remedy.type !== 'task') return settle(others(remedy));
      return task === undefined ? Promise.resolve(false) : settle(actions.run(remedy.action, task));
    },
    answer: (unblock, text) => {
      if (task === undefined) return Promise.resolve(false);
      const { question: _asked, ...rest } = unblock;
      const answered: TaskAction = {
        ...rest,
        label: 'Answer and unblock',
        perform: (to, id) => unblock.perform(to, id, { answer: text }),
      };
      return settle(actions.run(answered, task));
    },
    steer: (text) => {
      if (task === undefined) return Promise.resolve(false);
      return act('Message', async () => {
        await client.tasks.steer(task.id, text);
        return `Told to the holder of ${task.title}`;
      });
    },
    isPending: isPending || actions.isPending,
    error: error ?? actions.error,
  };
}
