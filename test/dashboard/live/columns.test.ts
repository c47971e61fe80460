import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Card, TaskStatus } from '../../../src/dashboard/live/card.ts';
import { Columns } from '../../../src/dashboard/live/columns.ts';
import { AT_MS, card } from '../fixtures/cards.ts';

const ids = (columns: Columns, status: TaskStatus): string[] => columns.of(status).map(({ id }) => id);

function filled(...cards: readonly Card[]): Columns {
  const columns = new Columns();
  for (const each of cards) columns.put(undefined, each);
  return columns;
}

test('ready tasks stand as they will be claimed, running ones with the oldest first, done ones with the newest', () => {
  const at = (status: TaskStatus, id: string, priority: number, seconds: number): Card =>
    card({ id, status, priority, statusSinceMs: AT_MS + seconds * 1000 });
  const columns = filled(
    at('ready', 'r2', 0, 1),
    at('ready', 'r1', 0, 2),
    at('ready', 'r3', 5, 3),
    at('running', 'n1', 9, 2),
    at('running', 'n2', 0, 1),
    at('done', 'd1', 0, 1),
    at('done', 'd2', 0, 2),
  );
  expect(ids(columns, 'ready')).toEqual(['r3', 'r1', 'r2']);
  expect(ids(columns, 'running')).toEqual(['n2', 'n1']);
  expect(ids(columns, 'done')).toEqual(['d2', 'd1']);
});

test('scheduled tasks stand by their time', () => {
  const columns = filled(
    card({ id: 'late', status: 'scheduled', runAtMs: 2000 }),
    card({ id: 'never', status: 'scheduled', runAtMs: null }),
    card({ id: 'soon', status: 'scheduled', runAtMs: 1000 }),
  );
  expect(ids(columns, 'scheduled')).toEqual(['soon', 'late', 'never']);
});

test('a column is the same array until one of its cards changes', () => {
  const one = card();
  const columns = filled(one, card({ id: 'other', status: 'blocked' }));
  const ready = columns.of('ready');
  expect(columns.of('ready')).toBe(ready);
  columns.put(undefined, card({ id: 'third', status: 'blocked' }));
  expect(columns.of('ready')).toBe(ready);
  columns.put(one, { ...one, title: 'new' });
  expect(columns.of('ready')).not.toBe(ready);
  columns.put(columns.of('ready')[0], undefined);
  expect(columns.of('ready')).toEqual([]);
  expect(columns.sizeOf('ready')).toBe(0);
});

test('whatever is moved, looked at or not, a column is what sorting its cards would give', () => {
  const status = fc.constantFrom<TaskStatus>('ready', 'running', 'done');
  const change = fc.record({
    id: fc.nat(9),
    status,
    priority: fc.nat(3),
    isGone: fc.boolean(),
    looks: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const columns = new Columns();
      const known = new Map<string, Card>();
      for (const { id, isGone, looks, ...rest } of changes) {
        const before = known.get(`t${id}`);
        const after = isGone ? undefined : card({ id: `t${id}`, ...rest });
        columns.put(before, after);
        if (after === undefined) known.delete(`t${id}`);
        else known.set(after.id, after);
        if (looks) columns.of('ready');
      }
      const fresh = filled(...known.values());
      for (const each of ['ready', 'running', 'done'] as const) {
        expect(columns.of(each)).toEqual(fresh.of(each));
        expect(columns.sizeOf(each)).toBe(fresh.of(each).length);
      }
    }),
  );
});
