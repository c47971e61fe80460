/** Waiting for several tasks at once: one follower of the log, and only what may have changed is read again. */
import type { HeartbeatReply } from '../../../../contract/runs.ts';
import { getTask } from '../../../../contract/task-routes.ts';
import type { Task } from '../../../../contract/tasks.ts';
import { ask } from '../asking.ts';
import type { ToolCall } from '../tool.ts';
import { hasEnded } from '../views.ts';
import { TASK_KINDS, waitFor } from '../waiting.ts';

export type Aim = 'done' | 'ended' | 'any';

export function isMet(aim: Aim, tasks: readonly Task[]): boolean {
  if (aim === 'any') return tasks.some(hasEnded);
  return tasks.every((task) => (aim === 'done' ? task.status === 'done' : hasEnded(task)));
}

/** Whether more waiting changes nothing: it is met, or cannot be met any more by waiting. */
function isOver(aim: Aim, tasks: readonly Task[]): boolean {
  const isHopeless = (task: Task): boolean => hasEnded(task) && task.status !== 'done';
  return isMet(aim, tasks) || (aim === 'done' && tasks.some(isHopeless));
}

interface Named {
  readonly board: string;
  /** Ids, or other names of tasks. Twice the same is one task. */
  readonly ids: readonly string[];
  readonly aim: Aim;
}

interface Awaited {
  readonly tasks: Task[];
  /** By who holds a claim, if it had to wait. */
  readonly heard: HeartbeatReply | null;
}

/** Those that are named, as they are when the wait is over. */
export async function awaitTasks(
  call: ToolCall,
  { board, ids, aim }: Named,
  waitSeconds: number,
): Promise<Awaited> {
  const { caller } = call;
  const first = await readInGroups([...new Set(ids)], (id) => readTask(call, board, id));
  const found = new Map(first.map((task) => [task.id, task]));
  const known = (): Task[] => [...found.values()];
  if (waitSeconds === 0 || isOver(aim, known())) return { tasks: known(), heard: null };
  const holder = caller.kind === 'claim' ? caller : null;
  const { heard } = await waitFor(call, {
    board,
    holder,
    waitSeconds,
    kinds: TASK_KINDS,
    tasks: new Set([...found.keys(), ...(holder === null ? [] : [holder.taskId])]),
    read: async () => {
      const open = known().filter((task) => !hasEnded(task));
      for (const task of await readInGroups(open, ({ id }) => readTask(call, board, id)))
        found.set(task.id, task);
      return known();
    },
    isDone: (tasks) => isOver(aim, tasks),
  });
  return { tasks: known(), heard };
}

async function readTask(call: ToolCall, board: string, id: string): Promise<Task> {
  return (await ask(call, getTask, { params: { board, task: id } })).task;
}

/** At once: as many as leave the other connections to others. */
const READ_TOGETHER = 10;

export async function readInGroups<T, R>(
  members: readonly T[],
  read: (member: T) => Promise<R>,
): Promise<R[]> {
  const found: R[] = [];
  for (let start = 0; start < members.length; start += READ_TOGETHER)
    found.push(...(await Promise.all(members.slice(start, start + READ_TOGETHER).map(read))));
  return found;
}
