/** Tasks that wait for others, made while servers are replaced: each child has a parent that is pulled and one that is pushed. */
import { expect } from 'vitest';
import type { Event } from '../../src/contract/events.ts';
import type { EventKind } from '../../src/contract/statuses.ts';
import type { RollingLoad } from '../fixtures/rolling-load.ts';

/** Ahead of the backlog: a round takes a moment. */
const URGENT = 1;
const BEGINNINGS: readonly EventKind[] = ['task.ready', 'task.claimed'];

export class Families {
  /** Those that were made and completed. */
  rounds = 0;
  readonly #load: RollingLoad;
  /** Of each child. */
  readonly #parents = new Map<string, readonly string[]>();

  constructor(load: RollingLoad) {
    this.#load = load;
  }

  async run(): Promise<void> {
    const load = this.#load;
    while (await load.nextRound()) {
      const member = (title: string) => ({
        title,
        priority: URGENT,
        idempotency_key: `family-${this.rounds}-${title}`,
      });
      const ids = await load.make(this.rounds, [
        { ...member('one parent'), lane: 'work' },
        { ...member('the other'), lane: 'pushed' },
        { ...member('the child'), lane: 'work', parents: ['#0', '#1'] },
      ]);
      const parents = ids.slice(0, 2);
      for (const child of ids.slice(2)) this.#parents.set(child, parents);
      await load.until('the family is completed', () => ids.every((id) => load.isDone(id)));
      this.rounds += 1;
    }
  }

  /** Each child waited from the first, was made ready once, and that behind its parents. */
  check(events: readonly Event[]): void {
    const children = [...this.#parents.keys()].toSorted();
    const waiting: string[] = [];
    const ready: string[] = [];
    const early: Event[] = [];
    const done = new Set<string>();
    for (const event of events) {
      const { kind, task_id: id = '', data } = event;
      if (kind === 'task.completed') done.add(id);
      const parents = this.#parents.get(id);
      if (parents === undefined) continue;
      if (kind === 'task.created' && data['status_after'] === 'todo') waiting.push(id);
      if (kind === 'task.ready') ready.push(id);
      if (BEGINNINGS.includes(kind) && !parents.every((parent) => done.has(parent))) early.push(event);
    }
    expect(early, 'children that were begun before their parents were done').toEqual([]);
    expect(waiting.toSorted(), 'children that were made to wait').toEqual(children);
    expect(ready.toSorted(), 'children that were made ready').toEqual(children);
  }
}
