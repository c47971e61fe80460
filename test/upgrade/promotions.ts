/** Tasks that are let go on by one operation on all of them, made while servers are replaced: whichever is there carries it out. */
import { expect } from 'vitest';
import type { Operation } from '../../src/contract/bulk.ts';
import type { Event } from '../../src/contract/events.ts';
import { expectStatus } from '../fixtures/board.ts';
import type { RollingLoad } from '../fixtures/rolling-load.ts';

const TASKS_AT_ONCE = 4;

export class Promotions {
  /** Operations that were carried out, and their tasks completed. */
  rounds = 0;
  readonly #load: RollingLoad;
  readonly #promoted = new Set<string>();

  constructor(load: RollingLoad) {
    this.#load = load;
  }

  async run(): Promise<void> {
    const load = this.#load;
    while (await load.nextRound()) {
      const tasks = Array.from({ length: TASKS_AT_ONCE }, (_, index) => ({
        title: 'to be looked at first',
        lane: 'work',
        status: 'triage',
        priority: 1,
        idempotency_key: `promoted-${this.rounds}-${index}`,
      }));
      const ids = await load.make(this.rounds, tasks);
      const operation = await this.#promote(ids);
      expect(await this.#carriedOut(operation.id)).toMatchObject({
        status: 'done',
        total: ids.length,
        succeeded: ids.length,
        failed: [],
      });
      for (const id of ids) this.#promoted.add(id);
      await load.until('they are completed', () => ids.every((id) => load.isDone(id)));
      this.rounds += 1;
    }
  }

  async #promote(ids: readonly string[]): Promise<Operation> {
    const { board, client } = this.#load;
    const headers = { 'Idempotency-Key': `promotion-${this.rounds}` };
    const options = { body: { action: 'promote', ids }, headers };
    const path = board.path('/tasks/bulk');
    const answer = await client.insist(this.rounds, 'promote', 'POST', path, options);
    return expectStatus(answer, 202).body.operation;
  }

  #carriedOut(id: string): Promise<Operation> {
    const { board, client } = this.#load;
    const path = board.path(`/operations/${id}`);
    return client.follow(
      this.rounds,
      'look at the operation',
      path,
      ({ operation }: { operation: Operation }) => (operation.status === 'running' ? null : operation),
    );
  }

  /** Each was let go on once. */
  check(events: readonly Event[]): void {
    const ready = events.filter(({ kind }) => kind === 'task.ready').map(({ task_id: id = '' }) => id);
    expect(ready.filter((id) => this.#promoted.has(id)).toSorted()).toEqual([...this.#promoted].toSorted());
  }
}
