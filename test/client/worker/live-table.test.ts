import { expect, test } from 'vitest';
import { LiveTable } from '../../../src/client/worker/live-table.ts';

test('keeps what is live by its id, in the order in which it came', () => {
  const table = new LiveTable<number>();
  expect([table.first, table.size]).toEqual([undefined, 0]);
  for (const [id, value] of [
    ['r10', 1],
    ['r9', 2],
    ['__proto__', 3],
    ['r10', 4],
  ] as const)
    table.set(id, value);
  expect([table.get('r10'), table.get('__proto__'), table.get('toString')]).toEqual([4, 3, undefined]);
  expect([table.ids(), table.values(), table.size]).toEqual([['r10', 'r9', '__proto__'], [4, 2, 3], 3]);
  for (const id of ['r10', 'r10', 'constructor']) table.delete(id);
  expect([table.first, table.size]).toEqual([2, 2]);
});
