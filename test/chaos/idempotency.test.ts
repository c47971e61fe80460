import { describe, expect, it } from 'vitest';
import { checkIdempotency } from '../../chaos/checkers/idempotency.ts';
import {
  detailsOf,
  type Forgery,
  forge,
  operationOn,
  operationsOf,
  recordDay,
  taskOf,
} from './recorded-day.ts';
import { SmallBoard } from './small-board.ts';

const FORGERIES: readonly Forgery[] = [
  [
    'a key that was answered with two tasks',
    'one key was answered with several tasks',
    (day) => {
      operationOn(day, 'create', day.tasks.repeated, 2).taskId = day.tasks.waiting;
    },
  ],
  [
    'a key that two tasks have',
    'one key has several tasks',
    (day) => {
      const task = structuredClone(taskOf(day, day.tasks.waiting));
      day.final.tasks.push({ ...task, id: 'task_99' });
    },
  ],
  [
    'a creation that was refused and took place',
    'a refused creation had an effect',
    (day) => {
      operationOn(day, 'create', day.tasks.waiting).ending = 'fail';
    },
  ],
];

describe('one idempotency key has one effect', () => {
  it('holds on a good day', () => {
    const day = recordDay();
    expect(checkIdempotency(operationsOf(day), day.final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    const day = forge(change);
    expect(detailsOf(checkIdempotency(operationsOf(day), day.final))).toContain(detail);
  });

  it('lets the key of an archived task be used again', () => {
    const board = new SmallBoard();
    const first = board.create('key');
    board.cancel(first);
    board.archive(first);
    board.create('key');
    const { entries, final } = board.finish();
    const operations = entries.filter((entry) => entry.entry === 'operation');
    expect(final.tasks).toHaveLength(2);
    expect(checkIdempotency(operations, final)).toEqual([]);
  });
});
