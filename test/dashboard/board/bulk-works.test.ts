import { expect, test } from 'vitest';
import type { Client } from '../../../src/client/index.ts';
import { IDS_MAX, offersFor } from '../../../src/dashboard/board/bulk.ts';
import { BulkWorks } from '../../../src/dashboard/board/bulk-works.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { card } from '../fixtures/cards.ts';

const ADMIN = { operate: true, administer: true, readDeliveries: true };

function archiveOf(count: number) {
  const cards = Array.from({ length: count }, (_, index) => card({ id: `t${index}` }));
  return only(offersFor(cards, ADMIN).filter(({ action }) => action.name === 'archive'));
}

/** Operations that end when the test says so. */
function heldOperations(board = 'default') {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const operation = (status: string) => ({
    operation: { id: `op${begun.length}`, status, succeeded: begun.at(-1), failed_count: 0, failed: [] },
  });
  const tasks = {
    bulk: ({ ids }: { ids: string[] }) => {
      begun.push(ids.length);
      return Promise.resolve(operation('running'));
    },
    operation: () =>
      new Promise((resolve) => {
        ends.push(() => resolve(operation('done')));
      }),
    cancelOperation: () => Promise.resolve(operation('stopped')),
  };
  const end = async (): Promise<void> => (await eventually('somebody looks', () => ends.shift()))();
  return { client: { board, tasks } as unknown as Client, begun, end };
}

test('all parts are begun though nobody looks, and until then leaving would leave some undone', async () => {
  const works = new BulkWorks();
  const { client, begun, end } = heldOperations();
  const stopLooking = works.subscribe(() => undefined);
  expect(works.start(client, archiveOf(2 * IDS_MAX + 5), {})).toBe(true);
  stopLooking();
  await end();
  expect(works.of('default')).toMatchObject({ unbegunCount: IDS_MAX + 5 });
  expect(works.hasUnbegun()).toBe(true);
  await end();
  await eventually('the last is begun', () => begun.length === 3);
  await eventually('it is said', () => !works.hasUnbegun());
  expect(begun).toEqual([IDS_MAX, IDS_MAX, 5]);
  await end();
  await eventually('it is over', () => works.of('default')?.state === 'done');
  expect(works.of('default')).toMatchObject({ total: 2 * IDS_MAX + 5, succeeded: 2 * IDS_MAX + 5 });
});

test('one at a time for each board, and what runs cannot be put away', async () => {
  const works = new BulkWorks();
  const { client, begun, end } = heldOperations();
  const other = heldOperations('other');
  works.start(client, archiveOf(3), {});
  expect(works.start(client, archiveOf(4), {})).toBe(false);
  expect(works.start(other.client, archiveOf(5), {})).toBe(true);
  works.dismiss('default');
  expect(works.of('default')?.total).toBe(3);
  await end();
  await eventually('it is over', () => works.of('default')?.state === 'done');
  expect(works.start(client, archiveOf(4), {})).toBe(true);
  expect([...begun, ...other.begun]).toEqual([3, 4, 5]);
});

test('signed out, no further part is begun', async () => {
  const works = new BulkWorks();
  const { client, begun, end } = heldOperations();
  works.start(client, archiveOf(IDS_MAX + 5), {});
  await eventually('the first is begun', () => begun.length === 1);
  works.close();
  await end();
  expect([begun, works.of('default'), works.hasUnbegun()]).toEqual([[IDS_MAX], null, false]);
});
