import { expect, test } from 'vitest';
import { MESSAGE_STATES } from '../../src/contract/messages.ts';
import { FINISHED_STATUSES, TASK_STATUSES } from '../../src/contract/statuses.ts';
import {
  isOver,
  lookEveryMs,
  STATE_NEWS,
  STATE_WORDS,
  stepsOf,
  whatWillHappen,
} from '../../src/dashboard/task/steering-words.ts';

test('every status says what will become of a message, and the finished ones that nobody reads it', () => {
  for (const status of TASK_STATUSES) {
    expect(isOver(status)).toBe(FINISHED_STATUSES.includes(status));
    expect(/nobody would read it/.test(whatWillHappen(status))).toBe(isOver(status));
  }
});

test('every state of a message has its word, and its news', () => {
  for (const words of [STATE_WORDS, STATE_NEWS])
    expect(Object.keys(words).sort()).toEqual([...MESSAGE_STATES].sort());
});

test('messages are looked at while one may change: often for a minute, then seldom, and never on a board that stands still', () => {
  const messages = (...states: (typeof MESSAGE_STATES)[number][]) => states.map((state) => ({ state }));
  const open = {
    status: 'running',
    messages: messages('delivered'),
    isRecent: true,
    isPaused: false,
  } as const;
  expect(lookEveryMs(open)).toBe(700);
  expect(lookEveryMs({ ...open, isRecent: false })).toBe(5000);
  expect(lookEveryMs({ ...open, messages: messages('missed', 'queued') })).toBe(700);
  expect(lookEveryMs({ ...open, messages: messages('acknowledged', 'missed') })).toBeNull();
  expect(lookEveryMs({ ...open, isPaused: true })).toBeNull();
  expect(lookEveryMs({ ...open, status: 'ready' })).toBeNull();
});

test('the way of a message ends with its state, and has a time where one is known', () => {
  const at = '2026-01-02T03:04:05.000Z';
  const states = (
    state: (typeof MESSAGE_STATES)[number],
    delivered: string | null,
    acknowledged: string | null,
  ) =>
    stepsOf({ at, state, delivered_at: delivered, acknowledged_at: acknowledged }).map((step) => step.state);
  expect(states('queued', null, null)).toEqual(['queued']);
  expect(states('delivered', at, null)).toEqual(['queued', 'delivered']);
  expect(states('acknowledged', at, at)).toEqual(['queued', 'delivered', 'acknowledged']);
  expect(states('missed', null, null)).toEqual(['queued', 'missed']);
  expect(states('missed', at, null)).toEqual(['queued', 'delivered', 'missed']);
});
