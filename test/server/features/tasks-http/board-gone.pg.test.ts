/** A board that another server has just deleted, while this one still knows it: every change is told that it is gone. */
import { expect, test } from 'vitest';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const CHANGES = [
  ['POST', '/tasks', { title: 'x' }, undefined],
  ['POST', '/tasks', { title: 'x' }, 'a key'],
  ['POST', '/tasks/batch', { tasks: [{ title: 'x' }] }, undefined],
  ['POST', '/tasks/batch', { tasks: [{ title: 'x' }] }, 'a key'],
  ['POST', '/lanes/work/claims', {}, undefined],
  ['POST', '/lanes/work/claims', {}, 'a key'],
  ['PUT', '/lanes/other', {}, undefined],
  ['PATCH', '/lanes/work', { description: 'x' }, undefined],
  ['PATCH', '', { title: 'x' }, undefined],
] as const;

test.each(CHANGES)('%s %s (%j, Idempotency-Key: %s) is answered 404', async (method, path, body, key) => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.task('work');
  // As the other server's transaction leaves it, without the notice that follows a moment later.
  const { sql } = servers.database;
  const [{ id } = { id: 0 }] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  const tables = ['board_seq', 'claims', 'tasks', 'task_details', 'events', 'lanes'];
  await sql.begin(async (tx) => {
    for (const table of tables) await tx`DELETE FROM ${tx(table)} WHERE board_id = ${id}`;
    await tx`DELETE FROM boards WHERE id = ${id}`;
  });
  const headers: Record<string, string> = key === undefined ? {} : { 'Idempotency-Key': 'once' };
  const answer = await board.call(method, path, { body, headers });
  expect([answer.status, answer.code]).toEqual([404, expect.stringMatching(/^(not_found|lane_not_found)$/)]);
});
