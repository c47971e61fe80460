import { describe, expect, test } from 'vitest';
import { EventQueue } from '../../../src/client/watch/event-queue.ts';
import { admitEvents } from '../../../src/client/watch/sequence.ts';

const events = (...seqs: number[]) => seqs.map((seq) => ({ seq }));

describe('admitted events', () => {
  test('come in order and each once', () => {
    expect(admitEvents(events(3, 4, 4, 5), 3, true)).toEqual({
      fresh: events(4, 5),
      hasGap: false,
      lastSeq: 5,
    });
  });

  test('stop at a gap when nothing is filtered out', () => {
    expect(admitEvents(events(4, 6, 7), 3, true)).toEqual({ fresh: events(4), hasGap: true, lastSeq: 4 });
  });

  test('may skip numbers when something is filtered out', () => {
    expect(admitEvents(events(4, 9), 3, false)).toEqual({ fresh: events(4, 9), hasGap: false, lastSeq: 9 });
  });

  test('may begin anywhere', () => {
    expect(admitEvents(events(17, 18), null, true)).toEqual({
      fresh: events(17, 18),
      hasGap: false,
      lastSeq: 18,
    });
  });
});

test('a queue gives back what it was given, in order', () => {
  const queue = new EventQueue<number>();
  queue.push([1, 2]);
  expect([queue.shift(), queue.length]).toEqual([1, 1]);
  queue.push([3]);
  expect([queue.shift(), queue.shift(), queue.shift(), queue.length]).toEqual([2, 3, undefined, 0]);
});
