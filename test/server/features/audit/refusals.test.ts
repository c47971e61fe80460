/** Refusals are summed up within bounds, and nobody takes the places of others. */
import { expect, test } from 'vitest';
import {
  entryOf,
  type Refusal,
  type RefusalSum,
  Refusals,
} from '../../../../src/server/features/audit/refusals.ts';

const ENTRIES_PER_ACTION_MAX = 13;

function refusal(by: string, change: Partial<Refusal> = {}): Refusal {
  return {
    action: 'access.refused',
    actor: { type: 'key', id: by, name: by },
    code: 'forbidden',
    operation: 'listKeys',
    board: null,
    address: '192.0.2.1',
    requestId: 'first',
    ...change,
  };
}

/** In as many ways as there are operations. */
function refuseInManyWays(refusals: Refusals, by: string, ways: number, change: Partial<Refusal> = {}): void {
  for (let way = 0; way < ways; way += 1)
    refusals.add(refusal(by, { operation: `operation${way}`, ...change }));
}

const shown = (sums: readonly RefusalSum[]) =>
  sums.map(({ breadth, first, count }) => [breadth, first.actor.id, count]);
const total = (sums: readonly RefusalSum[]) => sums.reduce((sum, { count }) => sum + count, 0);

test('the same refusal is one entry with a count', () => {
  const refusals = new Refusals();
  for (let times = 0; times < 5; times += 1) refusals.add(refusal('one', { requestId: `r${times}` }));
  const [sum] = refusals.take();
  expect(sum).toMatchObject({ breadth: 'one', count: 5, first: { requestId: 'r0' } });
  expect(refusals.take()).toEqual([]);
});

test('a key that is refused everything does not hide what others are refused', () => {
  const refusals = new Refusals();
  refuseInManyWays(refusals, 'loud', 50);
  refusals.add(refusal('quiet'));
  expect(shown(refusals.take())).toEqual([
    ['one', 'loud', 1],
    ['one', 'loud', 1],
    ['one', 'quiet', 1],
    ['party', 'loud', 48],
  ]);
});

test('a wave of refused credentials hides no refused access, and the other way round', () => {
  const refusals = new Refusals();
  const guess = { action: 'credential.refused', actor: { type: 'anonymous', id: null, name: null } } as const;
  for (let n = 0; n < 500; n += 1) refusals.add(refusal('', { ...guess, address: `192.0.2.${n}` }));
  refusals.add(refusal('quiet'));
  const sums = refusals.take();
  expect(sums.length).toBe(ENTRIES_PER_ACTION_MAX + 1);
  expect(shown(sums)).toContainEqual(['one', 'quiet', 1]);
  expect(sums.filter(({ first }) => first.action === 'credential.refused').at(-1)).toMatchObject({
    breadth: 'everybody',
    first: { address: '' },
  });
  expect(total(sums)).toBe(501);
});

test('however many are refused, a round has a bound, and counts them all', () => {
  const refusals = new Refusals();
  for (let caller = 0; caller < 300; caller += 1) refuseInManyWays(refusals, `key-${caller}`, 20);
  const sums = refusals.take();
  expect(sums.length).toBe(ENTRIES_PER_ACTION_MAX);
  expect(total(sums)).toBe(6000);
});

test('what could not be written comes with the next round, as what it was', () => {
  const refusals = new Refusals();
  refuseInManyWays(refusals, 'loud', 10);
  const sums = refusals.take();
  refusals.putBack(sums);
  refuseInManyWays(refusals, 'loud', 10);
  expect(shown(refusals.take())).toEqual([
    ['one', 'loud', 2],
    ['one', 'loud', 2],
    ['party', 'loud', 16],
  ]);
});

test('what is put back again and again stays within the bound', () => {
  const refusals = new Refusals();
  for (let round = 0; round < 20; round += 1) {
    for (let caller = 0; caller < 30; caller += 1) refuseInManyWays(refusals, `key-${round}-${caller}`, 3);
    const sums = refusals.take();
    expect(sums.length).toBeLessThanOrEqual(ENTRIES_PER_ACTION_MAX);
    refusals.putBack(sums);
  }
  expect(total(refusals.take())).toBe(20 * 30 * 3);
});

test('an entry has the board when there is one of that name, and else not what was typed', () => {
  const refusals = new Refusals();
  refusals.add(refusal('one', { board: 'there' }));
  refusals.add(refusal('one', { board: 'nowhere' }));
  const entries = refusals.take().map((sum) => entryOf(sum, new Map([['there', 7]])));
  expect(entries.map(({ board, boardId }) => [board, boardId])).toEqual([
    ['there', 7],
    [null, null],
  ]);
});

test('a sum of many keeps its action and says nothing that is true of one only', () => {
  const refusals = new Refusals();
  refuseInManyWays(refusals, 'loud', 3, { action: 'credential.refused' });
  const entry = refusals
    .take()
    .map((sum) => entryOf(sum, new Map()))
    .at(-1);
  expect(entry).toMatchObject({ action: 'credential.refused', code: null, requestId: null, count: 1 });
  expect(entry?.data).toHaveProperty('summary');
});
