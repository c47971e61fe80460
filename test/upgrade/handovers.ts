/** Work that is handed over while servers are replaced, and gateways that bring each outcome back to where it was asked for. */
import { expect } from 'vitest';
import type { Delegation } from '../../src/contract/delegations.ts';
import type { LeasedDelivery } from '../../src/contract/deliveries.ts';
import type { Audit } from '../fixtures/audit.ts';
import { expectStatus } from '../fixtures/board.ts';
import type { RollingLoad } from '../fixtures/rolling-load.ts';

/** Ahead of the backlog: a round takes a moment. */
const URGENT = 1;
/** Far above what an ack takes; what was leased to nobody is given out again before anybody gives up waiting for it. */
const DELIVERY_LEASE_SECONDS = 10;
const DELIVERIES_AT_ONCE = 10;
const WAIT = { Prefer: 'wait=1' };
const CHAT = { platform: 'chat', chat_id: 'of the upgrade' };

export class Handovers {
  /** Delegations that were decided and told. */
  rounds = 0;
  readonly #load: RollingLoad;
  readonly #made = new Set<string>();
  /** Every time that a delivery was given out. */
  readonly #received: string[] = [];
  /** The delegation of each delivery that was acked. */
  readonly #told = new Map<string, string | null>();

  constructor(load: RollingLoad) {
    this.#load = load;
  }

  async run(): Promise<void> {
    const load = this.#load;
    while (await load.nextRound()) {
      const { id, tasks } = await this.#handOver();
      this.#made.add(id);
      for (const task of tasks) load.created.add(task);
      const { status, results } = await this.#collect(id);
      expect(status).toBe('completed');
      const ends = results?.map(({ task_id: task, outcome }) => [task, outcome]);
      expect(ends).toEqual(tasks.map((task) => [task, 'completed']));
      await load.until('its outcome is told', () => [...this.#told.values()].includes(id));
      this.rounds += 1;
    }
  }

  async #handOver(): Promise<Delegation> {
    const { board, client } = this.#load;
    const body = {
      goal: 'both parts',
      tasks: [
        { goal: 'a part', lane: 'work', priority: URGENT },
        { goal: 'the other part', lane: 'pushed', priority: URGENT },
      ],
      origin: { session_id: 'upgrade' },
      subscribe: CHAT,
    };
    const options = { body, headers: { 'Idempotency-Key': `delegation-${this.rounds}` } };
    const path = board.path('/delegations');
    const answer = await client.insist(this.rounds, 'delegate', 'POST', path, options);
    return expectStatus(answer, 202).body.delegation;
  }

  #collect(id: string): Promise<Delegation> {
    const { board, client } = this.#load;
    const path = board.path(`/delegations/${id}`);
    return client.follow(this.rounds, 'collect', path, ({ delegation }: { delegation: Delegation }) =>
      delegation.status === 'running' ? null : delegation,
    );
  }

  async bring(gateway: number): Promise<void> {
    const { board, client } = this.#load;
    for (let turn = gateway; !this.#load.isOver; turn += 1) {
      const body = { max: DELIVERIES_AT_ONCE, lease_seconds: DELIVERY_LEASE_SECONDS };
      const path = board.path('/deliveries/claims');
      const options = { body, headers: WAIT };
      const answer = await client.insist(turn, 'claim deliveries', 'POST', path, options);
      for (const delivery of expectStatus(answer, 200).body.deliveries as LeasedDelivery[])
        await this.#tell(turn, delivery);
    }
  }

  async #tell(turn: number, { id, lease_id, subscription }: LeasedDelivery): Promise<void> {
    this.#received.push(id);
    const options = { body: { lease_id, message_id: `message of ${id}` } };
    const path = `/v1/deliveries/${id}/ack`;
    expectStatus(await this.#load.client.insist(turn, 'ack', 'POST', path, options), 200);
    this.#told.set(id, subscription.delegation_id);
  }

  /** Each delegation was completed, and told once, under one id. */
  check({ events, fold }: Pick<Audit, 'events' | 'fold'>): void {
    const made = [...this.#made].toSorted();
    expect(Object.fromEntries(fold.delegations)).toEqual(
      Object.fromEntries(made.map((id) => [id, 'completed'])),
    );
    expect([...this.#told.values()].toSorted(), 'each is told by one delivery').toEqual(made);
    expect(this.#received.toSorted(), 'each delivery is given out once').toEqual(
      [...this.#told.keys()].toSorted(),
    );
    const acked = events.filter(({ kind }) => kind === 'delivery.acked');
    expect(
      acked.map(({ data, delegation_id: delegation }) => [data['delivery_id'], delegation]).toSorted(),
      'each delivery is acked once',
    ).toEqual([...this.#told].toSorted());
  }
}
