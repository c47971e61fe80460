/**
 * -w of a list: its rows, then each row that changes, below the others, as `kubectl get -w` has it. The watch says that something has
 * changed; what, is read from the list itself, with its own filters, so that the two cannot disagree. Nothing is redrawn: what was printed
 * can be piped and scrolled. The whole list is read, as far as it is bounded: what is merely not on a page has not left, and one that was
 * pushed over the end of what is read is not said to have changed.
 */
import type { Client } from '../../client/client.ts';
import { LanekeeperError } from '../../client/errors.ts';
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
/** Of a list without --limit: five pages at each reading. People who follow more narrow it by filters. */
const ROWS_MAX = 1000;

export interface FollowedList<Item> {
  readonly read: () => AsyncIterable<Item>;
  /** As the user has it. */
  readonly limit?: number | undefined;
  readonly keyOf: (item: Item) => string;
  /** What makes a row worth printing again: not what changes by the minute, such as a lease or an age. */
  readonly stateOf: (item: Item) => string;
  readonly columns: readonly Column<Item>[];
  /** Events that can change it; absent: all. */
  readonly kinds?: readonly string[];
  /** One that the list has no longer, as it is now. */
  readonly readLeft: (key: string) => Promise<Item>;
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
  #isCutKnown = false;

  constructor(output: Output, list: FollowedList<Item>) {
    this.#output = output;
    this.#list = list;
    this.#table = new Table(output, list.columns);
  }

  async refresh(): Promise<void> {
    const { keyOf, stateOf } = this.#list;
    const items = await this.#read();
    const states = new Map(items.map((item) => [keyOf(item), stateOf(item)]));
    const changed = items.filter((item) => this.#known.get(keyOf(item)) !== states.get(keyOf(item)));
    const left = [...this.#known].filter(([key]) => !states.has(key));
    this.#known = states;
    this.#write(changed);
    for (const [key, state] of left) {
      const item = await this.#readLeft(key);
      if (item === undefined) this.#output.note(`${key} is gone`);
      // Pushed over the end of what is read, it is what it was.
      else if (stateOf(item) !== state) this.#write([item]);
    }
    await drained(this.#output);
  }

  async #read(): Promise<Item[]> {
    const { read, limit } = this.#list;
    const items: Item[] = [];
    for await (const item of read()) {
      items.push(item);
      if (items.length < (limit ?? ROWS_MAX)) continue;
      if (limit === undefined && !this.#isCutKnown)
        this.#output.warn(`Only the first ${ROWS_MAX} of the list are followed: narrow it by a filter.`);
      this.#isCutKnown = true;
      break;
    }
    return items;
  }

  /** What no filter matches any more has mostly gone on to another status, and people want to see which. undefined: it is gone. */
  async #readLeft(key: string): Promise<Item | undefined> {
    try {
      return await this.#list.readLeft(key);
    } catch (error) {
      if (error instanceof LanekeeperError && error.status === 404) return undefined;
      throw error;
    }
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
