/**
 * Follows some tasks by the watch: each as it is at first, and again whenever an event of it has come, until `look` has seen enough.
 * What a task is, is read, never guessed from events: an event that a filter or a gap left out cannot mislead.
 */
import type { Client } from '../../client/client.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Event } from '../../contract/events.ts';
import type { Task } from '../../contract/tasks.ts';
import { connectionNotes } from '../connection-notes.ts';
import type { Context } from '../context.ts';
import { Coalescer } from './coalescer.ts';

export interface TaskFollower {
  /** False: enough of this task. Once there is enough of all of them, following ends. */
  readonly look: (task: Task) => boolean;
  readonly onEvent?: (event: Event) => void;
  /** Where the log was before the tasks were first read, for followers that must see every event. */
  readonly after?: string;
}

/** One reading after the other is bound enough: a task has a handful of events a second at most. */
const READ_PAUSE_MS = 0;

/** By ids or external_refs. Ends at `signal` without a word, too. */
export async function followTasks(
  context: Pick<Context, 'output'>,
  client: Client,
  references: readonly string[],
  follower: TaskFollower,
  signal: AbortSignal,
): Promise<void> {
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  signal.addEventListener('abort', leave, { once: true });
  try {
    const open = new Set<string>();
    for (const reference of references) {
      const { task } = await client.tasks.get(reference, { signal });
      if (follower.look(task)) open.add(task.id);
    }
    if (open.size > 0 && !signal.aborted) await followOpen(context, client, { open, follower, leaving });
  } catch (error) {
    // A request that was cut off is no failure of its own.
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

interface Following {
  /** Ids of those that there is not enough of yet. */
  readonly open: Set<string>;
  readonly follower: TaskFollower;
  readonly leaving: AbortController;
}

async function followOpen(
  { output }: Pick<Context, 'output'>,
  client: Client,
  { open, follower, leaving }: Following,
): Promise<void> {
  const { signal } = leaving;
  const leave = (): void => leaving.abort();
  const stale = new Set(open);
  const readStale = async (): Promise<void> => {
    for (const id of stale) {
      stale.delete(id);
      const { task } = await client.tasks.get(id, { signal });
      if (!follower.look(task)) open.delete(id);
    }
    if (open.size === 0) leave();
  };
  const reader = new Coalescer(readStale, READ_PAUSE_MS, leave);
  const notes = connectionNotes(output, client.url);
  const onState: typeof notes.onState = (state) => {
    notes.onState(state);
    // Between the first reading and now anything may have happened.
    if (state === 'live') reader.ring();
  };
  // More than a filter holds: all tasks, of which these are picked here.
  const filter = open.size <= LIMITS.filterWordsMax ? { tasks: [...open] } : { kinds: ['task.*'] };
  const { after } = follower;
  for await (const event of client.watch({ ...notes, ...filter, after, onState }, signal)) {
    const { task_id: id } = event;
    if (id === undefined || !open.has(id)) continue;
    follower.onEvent?.(event);
    stale.add(id);
    reader.ring();
  }
  await reader.settled();
}
