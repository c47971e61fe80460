import { expect, test } from 'vitest';
import type { Client } from '../../../src/client/index.ts';
import { addressOf, columnsOf, searchWith } from '../../../src/dashboard/board/address.ts';
import { ageClass } from '../../../src/dashboard/board/age.ts';
import {
  type BulkOffer,
  bodiesOf,
  fieldsOf,
  IDS_MAX,
  offersFor,
  questionOf,
} from '../../../src/dashboard/board/bulk.ts';
import { type BulkRun, BulkWork } from '../../../src/dashboard/board/bulk-run.ts';
import { cardHeight } from '../../../src/dashboard/board/card-height.ts';
import { bodyOf, labelsOf } from '../../../src/dashboard/board/new-task-draft.ts';
import { only } from '../../fixtures/eventually.ts';
import { card, claim } from '../fixtures/cards.ts';

const ADMIN = { operate: true, administer: true, readDeliveries: true };
const OPERATOR = { ...ADMIN, administer: false };

function offer(name: string, count: number): BulkOffer {
  const cards = Array.from({ length: count }, (_, index) => card({ id: `t${index}` }));
  return only(offersFor(cards, ADMIN).filter(({ action }) => action.name === name));
}

test('what is offered is what at least one of the cards allows, and the key', () => {
  const cards = [card({ id: 'a' }), card({ id: 'b', status: 'running' }), card({ id: 'c', status: 'done' })];
  const names = (rights: typeof ADMIN): string[] => offersFor(cards, rights).map(({ action }) => action.name);
  expect(names(ADMIN)).toEqual(['reclaim', 'assign', 'schedule', 'reopen', 'archive', 'cancel', 'delete']);
  expect(names(OPERATOR)).not.toContain('delete');
  expect(names({ operate: false, administer: false, readDeliveries: true })).toEqual([]);
  const cancel = only(offersFor(cards, ADMIN).filter(({ action }) => action.name === 'cancel'));
  expect(cancel.ids).toEqual(['a', 'b']);
  expect(questionOf(cancel, 3)).toMatch(/^1 of the 3 selected/);
});

test('more than an operation takes are several, and only what the action takes is said', () => {
  const bodies = bodiesOf(offer('cancel', IDS_MAX + 1), { reason: 'no', lane: 'x' });
  expect(bodies.map(({ ids }) => ids?.length)).toEqual([IDS_MAX, 1]);
  expect(bodies[0]).toMatchObject({ action: 'cancel', reason: 'no' });
  expect(bodies[0]).not.toHaveProperty('lane');
  expect(bodiesOf(offer('assign', 1), { lane: '', reason: '' })).toEqual([
    { action: 'assign', ids: ['t0'], lane: null },
  ]);
  expect(fieldsOf(offer('assign', 1).action).map(({ name }) => name)).toEqual(['lane', 'reason']);
});

type Operation = Awaited<ReturnType<Client['tasks']['operation']>>['operation'];

/** Each operation needs one look to end. */
class FakeOperations {
  readonly asked: string[] = [];
  #count = 0;
  onLook: () => void = () => undefined;

  client(): Client {
    const operation = (change: Partial<Operation>) => ({
      operation: {
        id: `op${this.#count}`,
        status: 'running',
        succeeded: 0,
        failed_count: 0,
        failed: [],
        ...change,
      },
    });
    const tasks = {
      bulk: async ({ ids }: { ids: string[] }) => {
        this.#count += 1;
        this.asked.push(`bulk ${ids.length}`);
        return operation({});
      },
      operation: async (id: string) => {
        this.asked.push(`look ${id}`);
        this.onLook();
        const failed = [{ id: `${id}-bad`, code: 'illegal_transition' as const }];
        return operation({ status: 'done', succeeded: 3, failed_count: 1, failed });
      },
      cancelOperation: async (id: string) => {
        this.asked.push(`cancel ${id}`);
        return operation({ status: 'stopped' });
      },
    };
    return { tasks } as unknown as Client;
  }
}

test('operations run one after the other, and their failures are listed together', async () => {
  const fake = new FakeOperations();
  const told: BulkRun[] = [];
  const work = new BulkWork(fake.client(), offer('archive', IDS_MAX + 5), (run) => told.push(run));
  await work.run({}, new AbortController().signal);
  expect(fake.asked).toEqual(['bulk 1000', 'look op1', 'bulk 5', 'look op2']);
  expect(told.at(-1)).toMatchObject({ state: 'done', total: 1005, succeeded: 6, failedCount: 2 });
  expect(told.at(-1)?.failed.map(({ id }) => id)).toEqual(['op1-bad', 'op2-bad']);
});

test('stopped, the operation under way is cancelled and no further one is begun', async () => {
  const fake = new FakeOperations();
  const told: BulkRun[] = [];
  const work = new BulkWork(fake.client(), offer('archive', IDS_MAX + 5), (run) => told.push(run));
  fake.onLook = () => void work.cancel();
  await work.run({}, new AbortController().signal);
  expect(fake.asked).toEqual(['bulk 1000', 'look op1', 'cancel op1']);
  expect(told.at(-1)?.state).toBe('stopped');
});

test('the address says the screen, leaves out what says nothing, and keeps what is others’', () => {
  const search = searchWith(new URLSearchParams('x=1'), {
    query: 'lane:a b',
    closed: new Set(['done', 'triage']),
    showsArchived: true,
    column: 'blocked',
  });
  expect(addressOf(new URLSearchParams(search.toString()))).toEqual({
    query: 'lane:a b',
    closed: new Set(['done', 'triage']),
    opened: new Set(),
    showsArchived: true,
    column: 'blocked',
  });
  expect(
    searchWith(search, { query: '', closed: new Set(), showsArchived: false, column: null }).toString(),
  ).toBe('x=1');
  expect(addressOf(new URLSearchParams('closed=nonsense,done&column=toString')).closed).toEqual(
    new Set(['done']),
  );
  expect(addressOf(new URLSearchParams('column=toString')).column).toBeNull();
  expect(columnsOf({ showsArchived: true }).at(-1)).toBe('archived');
});

test('the height of a card follows what it shows', () => {
  const bare = cardHeight(card(), false);
  expect(cardHeight(card(), true) - bare).toBe(22);
  expect(cardHeight(card({ title: 'x'.repeat(60) }), false) - bare).toBe(20);
  expect(cardHeight(card({ status: 'running', claim: claim({ note: 'half' }) }), false) - bare).toBe(44);
  expect(cardHeight(card({ labels: { a: 'b' }, consecutiveFailures: 1 }), false) - bare).toBe(44);
});

test('what was entered for a new task is said in as few words as it takes', () => {
  const empty = { title: ' t ', lane: ' ', body: '', priority: '', labels: ' ' };
  expect(bodyOf(empty, 'k')).toEqual({ title: 't', idempotency_key: 'k' });
  expect(labelsOf('team=web, urgent,')).toEqual({ team: 'web', urgent: '' });
  expect(bodyOf({ ...empty, lane: 'a', priority: '-3', labels: 'a=b' }, 'k')).toMatchObject({
    lane: 'a',
    priority: -3,
    labels: { a: 'b' },
  });
});

test('three seconds and three days are not the same age', () => {
  expect([3, 90, 7200, 259_200].map(ageClass)).toEqual(['new', 'minutes', 'hours', 'days']);
});
