import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { actOnCard } from '../../../src/dashboard/board/act-on-card.ts';
import { Desk } from '../../../src/dashboard/board/desk.ts';
import { TASK_ACTIONS } from '../../../src/dashboard/task/actions.ts';
import type { TaskActionEnd } from '../../../src/dashboard/task/use-task-action.ts';
import { only } from '../../fixtures/eventually.ts';
import { card } from '../fixtures/cards.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const archive = only(TASK_ACTIONS.filter(({ name }) => name === 'archive'));

test('what is refused stands on its own card, whichever was asked for last, and goes by itself', async () => {
  const desk = new Desk();
  const ends: ((end: TaskActionEnd) => void)[] = [];
  const perform = (_action: unknown, _task: unknown, onBegin: () => void): Promise<TaskActionEnd> => {
    onBegin();
    return new Promise((resolve) => ends.push(resolve));
  };
  const first = actOnCard(desk, perform, archive, card({ id: 'a' }));
  const second = actOnCard(desk, perform, archive, card({ id: 'b' }));
  const kinds = (): unknown[] => ['a', 'b'].map((id) => desk.read().notes.get(id)?.kind);
  expect(kinds()).toEqual(['pending', 'pending']);
  ends[0]?.({ type: 'refused', error: new Error('It is held.') });
  await first;
  expect(kinds()).toEqual(['refused', 'pending']);
  expect(desk.read().notes.get('a')?.text).toContain('It is held.');
  ends[1]?.({ type: 'done' });
  await second;
  vi.advanceTimersByTime(10_000);
  expect(kinds()).toEqual(['refused', undefined]);
  vi.advanceTimersByTime(20_000);
  expect(kinds()).toEqual([undefined, undefined]);
});

test('a card says nothing when the person changed their mind', async () => {
  const desk = new Desk();
  await actOnCard(desk, () => Promise.resolve({ type: 'left' }), archive, card());
  expect(desk.read().notes.size).toBe(0);
});
