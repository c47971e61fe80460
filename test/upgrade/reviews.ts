/** Work that is handed over for review while servers are replaced, and accepted: each step at another server than the one before. */
import { expect } from 'vitest';
import type { Claim } from '../../src/contract/claims.ts';
import type { Event } from '../../src/contract/events.ts';
import type { EventKind } from '../../src/contract/statuses.ts';
import type { Task } from '../../src/contract/tasks.ts';
import { expectStatus } from '../fixtures/board.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { LEASE_SECONDS, type RollingLoad } from '../fixtures/rolling-load.ts';

/** Of nobody else. */
export const DRAFTS = 'drafts';
const STEPS: readonly EventKind[] = ['task.review_requested', 'task.completed'];

export class Reviews {
  /** Those that were accepted. */
  rounds = 0;
  readonly accepted = new Set<string>();
  readonly #load: RollingLoad;
  #turn = 0;

  constructor(load: RollingLoad) {
    this.#load = load;
  }

  async run(): Promise<void> {
    while (await this.#load.nextRound()) {
      const { id } = await this.#draft();
      const claim = await this.#claim();
      expect(claim.task.id).toBe(id);
      await this.#handOver(claim);
      await this.#accept(id);
      this.accepted.add(id);
      this.rounds += 1;
    }
  }

  #nextTurn(): number {
    this.#turn += 1;
    return this.#turn;
  }

  async #draft(): Promise<Task> {
    const { board, client } = this.#load;
    const body = { title: 'a draft', lane: DRAFTS, idempotency_key: `draft-${this.rounds}` };
    const answer = await client.insist(this.#nextTurn(), 'draft', 'POST', board.path('/tasks'), { body });
    return expectStatus(answer, 200, 201).body.task;
  }

  #claim(): Promise<Claim> {
    const { board, client } = this.#load;
    const path = board.path(`/lanes/${DRAFTS}/claims`);
    const options = {
      body: { worker: 'author', lease_seconds: LEASE_SECONDS },
      headers: { Prefer: 'wait=1' },
    };
    return eventually('the draft is claimed', async () => {
      const answer = await client.insist(this.#nextTurn(), 'claim a draft', 'POST', path, options);
      const claims: Claim[] = expectStatus(answer, 200).body.claims;
      return claims.length === 0 ? null : only(claims);
    });
  }

  async #handOver({ run_id: run, token }: Claim): Promise<void> {
    const options = { token, body: { summary: 'x', review: true } };
    const path = `/v1/runs/${run}/complete`;
    const answer = await this.#load.client.insist(this.#nextTurn(), 'hand over', 'POST', path, options);
    expect(expectStatus(answer, 200).body.task.status).toBe('review');
  }

  async #accept(id: string): Promise<void> {
    const { board, client } = this.#load;
    const path = board.path(`/tasks/${id}`);
    const answer = await client.insist(this.#nextTurn(), 'accept', 'POST', `${path}/accept`);
    // Refused, where an accept that was not answered had done it.
    expectStatus(answer, 200, 409);
    const read = await client.insist(this.#nextTurn(), 'read', 'GET', path);
    expect(expectStatus(read, 200).body.task.status).toBe('done');
  }

  /** Each was handed over once, and accepted once after that. */
  check(events: readonly Event[]): void {
    const steps = new Map([...this.accepted].map((id): [string, EventKind[]] => [id, []]));
    for (const { kind, task_id: id = '' } of events) if (STEPS.includes(kind)) steps.get(id)?.push(kind);
    for (const [id, taken] of steps) expect(taken, id).toEqual(STEPS);
  }
}
