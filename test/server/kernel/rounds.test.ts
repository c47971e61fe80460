import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Rounds } from '../../../src/server/kernel/rounds.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('every member is visited once an interval, at the earliest an interval after it came, and by one timer', () => {
  const visits: string[] = [];
  const rounds = new Rounds<string>({ intervalMs: 1000, visit: (member) => visits.push(member) });
  rounds.add('early');
  vi.advanceTimersByTime(500);
  rounds.add('late');
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(499);
  expect(visits).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(visits).toEqual(['early']);
  vi.advanceTimersByTime(1500);
  expect(visits).toEqual(['early', 'late', 'early', 'late']);
});

test('a member that was removed is visited no more, and the timer goes with the last one', () => {
  const visits: string[] = [];
  const rounds = new Rounds<string>({ intervalMs: 1000, visit: (member) => visits.push(member) });
  rounds.add('a');
  rounds.add('b');
  rounds.remove('a');
  rounds.remove('never came');
  vi.advanceTimersByTime(1000);
  expect(visits).toEqual(['b']);
  rounds.remove('b');
  expect(vi.getTimerCount()).toBe(0);
});
