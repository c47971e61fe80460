/**
 * -w of a list: its rows, then each row that changes, below the others, as `kubectl get -w` has it. The watch says that something has
 * changed; what, is read from the list itself, with its own filters, so that the two cannot disagree. Nothing is redrawn: what was printed
 * can be piped and scrolled.
 */
import type { Client } from '../../client/client.ts';
import type { Delegation } from '../../contract/delegations.ts';
import type { Lane } from '../../contract/lanes.ts';
import type { Task } from '../../contract/tasks.ts';
import { connectionNotes } from '../connection-notes.ts';
import type { Context } from '../context.ts';
import { DELEGATION_COLUMNS, LANE_COLUMNS, TASK_COLUMNS } from '../format.ts';
import { drained, type Output } from '../output.ts';
import { type Column, Table } from '../table.ts';
import { Coalescer } from './coalescer.ts';

/** Between two readings of a list: people see no more than some changes a second, and a busy board has hundreds. */
const READ_PAUSE_MS = 250;

export interface FollowedList<Item> {
  readonly read: () => Promise<readonly Item[]>;
  readonly keyOf: (item: Item) => string;
  /** What makes a row worth printing again: not what changes by the minute, such as a lease or an age. */
  readonly stateOf: (item: Item) => string;
  readonly columns: readonly Column<Item>[];
  /** Events that can change it; absent: all. */
  readonly kinds?: readonly string[];
  /** One that the list has no longer, as it is now; undefined: it is gone. */
  readonly readLeft?: (key: string) => Promise<Item | undefined>;
}

export async function followList<Item>(
  { output }: Pick<Context, 'output'>,
  client: Client,
  list: FollowedList<Item>,
): Promise<void> {
  const rows = new Rows(output, list);
  const leaving = new AbortController();
  const reader = new Coalescer(
    () => rows.refresh(),
    READ_PAUSE_MS,
    () => leaving.abort(),
  );
  const notes = connectionNotes(output, client.url);
  const { kinds } = list;
  const watch = client.watch(
    {
      ...notes,
      kinds,
      onState: (state) => {
        notes.onState(state);
        // The list is first read when nothing can be missed any more.
        if (state === 'live') reader.ring();
      },
    },
    leaving.signal,
  );
  for await (const _event of watch) reader.ring();
  await reader.settled();
}

class Rows<Item> {
  readonly #output: Output;
  readonly #list: FollowedList<Item>;
  readonly #table: Table<Item>;
  #known: ReadonlyMap<string, string> = new Map();

  constructor(output: Output, list: FollowedList<Item>) {
    this.#output = output;
    this.#list = list;
    this.#table = new Table(output, list.columns);
  }

  async refresh(): Promise<void> {
    const { read, keyOf, stateOf, readLeft } = this.#list;
    const items = await read();
    const states = new Map(items.map((item) => [keyOf(item), stateOf(item)]));
    const changed = items.filter((item) => this.#known.get(keyOf(item)) !== states.get(keyOf(item)));
    const left = [...this.#known.keys()].filter((key) => !states.has(key));
    this.#known = states;
    this.#write(changed);
    for (const key of left) {
      const item = await readLeft?.(key);
      if (item !== undefined) this.#write([item]);
      else this.#output.note(`${key} is gone`);
    }
    await drained(this.#output);
  }

  #write(items: readonly Item[]): void {
    if (this.#output.isJson) for (const item of items) this.#output.jsonLine(item);
    // The titles come with the first rows, whose widths are theirs.
    else if (items.length > 0) this.#table.write(items);
  }
}

export const FOLLOWED_TASKS = {
  keyOf: (task: Task) => task.id,
  stateOf: ({ status, lane, priority, title, attempt, claim }: Task) =>
    JSON.stringify([status, lane, priority, title, attempt, claim?.cancel_requested]),
  columns: TASK_COLUMNS,
  kinds: ['task.*'],
};

export const FOLLOWED_LANES = {
  keyOf: (lane: Lane) => lane.name,
  stateOf: (lane: Lane) =>
    JSON.stringify([
      lane.version,
      lane.backlog,
      lane.presence.workers.map(({ worker, online }) => [worker, online]),
    ]),
  columns: LANE_COLUMNS,
};

export const FOLLOWED_DELEGATIONS = {
  keyOf: (delegation: Delegation) => delegation.id,
  stateOf: ({ status, tasks }: Delegation) => JSON.stringify([status, tasks.length]),
  columns: DELEGATION_COLUMNS,
  kinds: ['delegation.*'],
};
