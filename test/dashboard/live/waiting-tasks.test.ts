import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client, Event, Task } from '../../../src/client/index.ts';
import { WaitingTasks } from '../../../src/dashboard/live/waiting-tasks.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const event = (kind: Event['kind']) => ({ kind }) as Event;

function site() {
  const told: string[] = [];
  const list = vi.fn(async () => ({ tasks: [{ id: 'task_a' } as Task] }));
  const waiting = new WaitingTasks({ tasks: { list } } as unknown as Client, ({ id }) => told.push(id));
  return { told, list, waiting };
}

test('after parents have finished, tasks that wait are read once, however many there were', async () => {
  const { told, list, waiting } = site();
  for (let times = 0; times < 100; times += 1) waiting.onEvent(event('task.completed'));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(list).toHaveBeenCalledTimes(1);
  expect(told).toEqual(['task_a']);
  waiting.onEvent(event('task.reopened'));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(list).toHaveBeenCalledTimes(2);
});

test('what changes nothing of it costs nothing', async () => {
  const { list, waiting } = site();
  for (const kind of ['task.claimed', 'task.heartbeat', 'task.progress', 'task.commented'] as const)
    waiting.onEvent(event(kind));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(list).not.toHaveBeenCalled();
});

test('an answer to what was asked before everything was read anew is dropped', async () => {
  const { told, list, waiting } = site();
  let answer: (page: { tasks: Task[] }) => void = () => undefined;
  list.mockImplementationOnce(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  waiting.onEvent(event('task.completed'));
  await vi.advanceTimersByTimeAsync(10_000);
  waiting.stop();
  answer({ tasks: [{ id: 'task_old' } as Task] });
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual([]);
  waiting.onEvent(event('task.completed'));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(told).toEqual(['task_a']);
});
