/** What one import takes: requests that make sense, and boards of thousands of tasks within seconds. */
import { expect, test } from 'vitest';
import { MAY } from '../../../cli/import/hermes-board.ts';
import { largeBoard } from '../../../cli/import/usual-boards.ts';
import { iso, run, useImportedBoards } from './imported-boards.ts';

const { newBoard } = useImportedBoards();

test('a request that contradicts itself is refused whole', async () => {
  const [board] = await newBoard();
  const task = {
    external_ref: 'a',
    title: 'a',
    status: 'ready',
    created_at: iso(MAY),
    runs: [],
    comments: [],
    parents: [],
  };
  const wrong: [object, string][] = [
    [{ ...task, status: 'scheduled' }, '/tasks/1/run_at'],
    [{ ...task, run_at: iso(MAY) }, '/tasks/1/run_at'],
    [{ ...task, blocked: { reason: 'x' } }, '/tasks/1/blocked'],
    [{ ...task, status: 'review' }, '/tasks/1/runs'],
    [{ ...task, reviewer: 'x' }, '/tasks/1/reviewer'],
    [{ ...task, external_ref: 'first' }, '/tasks/1/external_ref'],
  ];
  for (const [body, pointer] of wrong) {
    const answer = await board.call('POST', '/import', {
      body: { tasks: [{ ...task, external_ref: 'first' }, body] },
    });
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer]);
  }
  expect((await board.call('GET', '/tasks')).body.tasks).toEqual([]);
});

test('what is assumed counts in a dry run alone: nothing that is written waits for a task that is not there', async () => {
  const [board] = await newBoard();
  const task = {
    external_ref: 'a',
    title: 'a',
    status: 'triage',
    created_at: iso(MAY),
    runs: [],
    comments: [],
    parents: ['a', 'elsewhere'],
  };
  const assumed = ['a', 'elsewhere'].map((external_ref) => ({ external_ref, satisfied: true }));
  const answer = await board.call('POST', '/import', { body: { tasks: [task], assumed } });
  expect(answer.status).toBe(200);
  expect(answer.body.tasks).toMatchObject([
    { created: true, links: 0, notes: ['parent_unknown', 'parent_unknown'] },
  ]);
});

test('a board of 2,000 tasks with runs, comments and links takes seconds', async () => {
  const [board] = await newBoard();
  const path = await (await largeBoard(2000)).save();
  const startedAt = performance.now();
  const report = await run(board, path);
  const seconds = (performance.now() - startedAt) / 1000;
  expect(report.tasks.created).toBe(2000);
  // What 10,000 may take, for the sake of machines that do other things meanwhile; idle it takes 2.
  expect(seconds).toBeLessThan(30);
  expect((await run(board, path)).tasks).toMatchObject({ created: 0, present: 2000 });
});
