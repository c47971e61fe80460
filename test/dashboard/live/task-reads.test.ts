import { expect, test } from 'vitest';
import type { Client, Task } from '../../../src/client/index.ts';
import { TaskReads } from '../../../src/dashboard/live/task-reads.ts';

/** Every read is answered when the test says so. */
function heldReads() {
  const asked: { readonly id: string; readonly answer: () => void }[] = [];
  const seen: string[] = [];
  const client = {
    tasks: {
      get: (id: string) =>
        new Promise((resolve) => {
          asked.push({ id, answer: () => resolve({ task: { id } as Task }) });
        }),
    },
  } as unknown as Client;
  const reads = new TaskReads(client, ({ id }) => seen.push(id));
  const answer = async (index: number): Promise<void> => {
    asked[index]?.answer();
    // As many turns as an answer takes to reach whoever waits behind it.
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };
  return { reads, answer, seen, ids: () => asked.map(({ id }) => id) };
}

test('a task that is deleted while it is read does not come back', async () => {
  const { reads, answer, seen } = heldReads();
  reads.ask('a');
  reads.ask('b');
  reads.forget('a');
  await answer(0);
  await answer(1);
  expect(seen).toEqual(['b']);
});

test('an answer from before everything was read anew is dropped, and the task can be asked for again', async () => {
  const { reads, answer, seen, ids } = heldReads();
  reads.ask('a');
  reads.clear();
  reads.ask('a');
  expect(ids()).toEqual(['a', 'a']);
  await answer(0);
  expect(seen).toEqual([]);
  await answer(1);
  expect(seen).toEqual(['a']);
});

test('touched while it is read, a task is read once more, after that', async () => {
  const { reads, answer, seen, ids } = heldReads();
  reads.ask('a');
  reads.ask('a');
  reads.ask('a');
  expect(ids()).toEqual(['a']);
  await answer(0);
  expect(ids()).toEqual(['a', 'a']);
  await answer(1);
  expect(seen).toEqual(['a', 'a']);
});
