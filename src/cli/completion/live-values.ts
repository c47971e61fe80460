/**
 * Names that only the server knows, for completions: lanes, tasks, delegations, boards. Whoever presses a key waits for this, so it is
 * bounded and silent: no server, no key or no time is no completion, and no message.
 */
import type { Client } from '../../client/client.ts';

export type ValueKind = 'lane' | 'task' | 'delegation' | 'board';

export interface Value {
  readonly value: string;
  readonly description: string;
}

/** What people take for at once: beyond it a shell seems to hang. */
export const LIVE_MS_MAX = 500;
/** As many as a screen shows. */
const TASKS_MAX = 30;

const READERS: Readonly<Record<ValueKind, (client: Client, signal: AbortSignal) => Promise<Value[]>>> = {
  lane: async (client, signal) => {
    const { lanes } = await client.lanes.list({}, once(signal));
    return lanes.map(({ name, backlog }) => ({ value: name, description: `${backlog.ready} ready` }));
  },
  task: async (client, signal) => {
    const { tasks } = await client.tasks.list({ limit: TASKS_MAX }, once(signal));
    return tasks.map(({ id, status, title }) => ({ value: id, description: `${status}: ${title}` }));
  },
  delegation: async (client, signal) => {
    const { delegations } = await client.delegations.list({ limit: TASKS_MAX }, once(signal));
    return delegations.map(({ id, status, goal }) => ({
      value: id,
      description: `${status}: ${goal ?? ''}`,
    }));
  },
  board: async (client, signal) => {
    const { boards } = await client.boards.list({}, once(signal));
    return boards.map(({ name, title }) => ({ value: name, description: title ?? '' }));
  },
};

const once = (signal: AbortSignal) => ({ signal, retry: { attemptsMax: 1 } });

/** @param clientOf Called only when something is asked for. */
export async function readLiveValues(
  kinds: ReadonlySet<ValueKind>,
  clientOf: () => Promise<Client>,
): Promise<ReadonlyMap<ValueKind, readonly Value[]>> {
  const values = new Map<ValueKind, readonly Value[]>();
  if (kinds.size === 0) return values;
  const leaving = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LIVE_MS_MAX);
  });
  const read = async (kind: ValueKind, client: Client): Promise<void> => {
    values.set(kind, await READERS[kind](client, leaving.signal));
  };
  const all = async (): Promise<void> => {
    const client = await clientOf();
    await Promise.allSettled([...kinds].map((kind) => read(kind, client)));
  };
  await Promise.race([all().catch(() => undefined), timeUp]);
  clearTimeout(timer);
  leaving.abort();
  return new Map(values);
}
