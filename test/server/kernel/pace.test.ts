import { expect, test } from 'vitest';
import { Pace } from '../../../src/server/kernel/pace.ts';

const SLOW_MS = 100;

test('what took too long is tried with half as much and no less, and what was given up down to one', () => {
  const pace = new Pace({ start: 100, max: 400, slowMs: SLOW_MS });
  pace.noteDone(100, SLOW_MS + 1);
  expect(pace.size).toBe(50);
  // A machine that is slow altogether is not helped by less and less.
  for (let time = 0; time < 10; time += 1) pace.noteDone(pace.size, SLOW_MS + 1);
  expect(pace.size).toBe(50);
  for (let time = 0; time < 10; time += 1) pace.noteGivenUp();
  expect(pace.size).toBe(1);
  pace.noteDone(1, SLOW_MS + 1);
  expect(pace.size).toBe(1);
});

test('what was short grows a little at a time, and no further than the bound', () => {
  const pace = new Pace({ start: 100, max: 120, slowMs: SLOW_MS });
  pace.noteDone(100, 10);
  expect(pace.size).toBe(105);
  for (let time = 0; time < 20; time += 1) pace.noteDone(pace.size, 10);
  expect(pace.size).toBe(120);
});

test('a portion that was not full, or neither short nor long, says nothing', () => {
  const pace = new Pace({ start: 100, max: 400, slowMs: SLOW_MS });
  pace.noteDone(99, 1);
  pace.noteDone(100, SLOW_MS * 0.75);
  expect(pace.size).toBe(100);
});
