/** What a heartbeat carries is kept once: sent again, it is a bare heartbeat, for the log as for the clock of progress. */
import { expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Event } from '../../../../src/contract/events.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import {
  extendLeases,
  type LoggedBeat,
  recordBeats,
} from '../../../../src/server/features/claims/store/heartbeat.ts';
import { parseId, type Uuid } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { holdClaim, holdRun, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

async function claimedTask(): Promise<[TestBoard, TestBoard, Claim]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work');
  return [board, elsewhere, await board.claim('work')];
}

const beatEvents = async (board: TestBoard): Promise<Event[]> =>
  board.events('&kinds=task.progress,task.heartbeat');

const shown = ({ kind, data }: Event): unknown[] => {
  const { lease_expires_at, ...carried } = data;
  return [kind, carried];
};

test('the log gets progress where it is progress, what else was said as a heartbeat, and nothing for what is sent again', async () => {
  const [board, elsewhere, claim] = await claimedTask();
  const steps: readonly (readonly [body: object, event: readonly unknown[] | null])[] = [
    [{}, ['task.heartbeat', {}]],
    [{ progress: 0 }, ['task.progress', { progress: 0 }]],
    [{ progress: 0 }, null],
    [{ progress: -1 }, null],
    [
      { progress: 0.5, checkpoint: { page: 1, of: 9 } },
      ['task.progress', { progress: 0.5, has_checkpoint: true }],
    ],
    [{ progress: 0.5, checkpoint: { of: 9, page: 1 } }, null],
    [{ checkpoint: { page: 1, of: 9 } }, null],
    [{ progress: 0.75, checkpoint: { page: 1, of: 9 } }, ['task.progress', { progress: 0.75 }]],
    [{ progress: 0.75, checkpoint: { page: 2, of: 9 } }, ['task.progress', { has_checkpoint: true }]],
    [{ progress: 0.5, note: 'again' }, ['task.heartbeat', { note: 'again' }]],
    [{ checkpoint: { page: 2, of: 9 }, metadata: { a: 1 } }, ['task.heartbeat', { metadata: { a: 1 } }]],
    [{ progress: 1, note: 'on' }, ['task.progress', { progress: 1, note: 'on' }]],
    [{ note: null }, null],
    [{}, null],
  ];
  for (const [index, [body]] of steps.entries()) {
    const through = index % 2 ? elsewhere : board;
    expectStatus(await endClaim(through.server, claim, 'heartbeat', { ...body }), 200);
  }
  expect((await beatEvents(board)).map(shown)).toEqual(steps.flatMap(([, event]) => (event ? [event] : [])));
  expect(only(await board.runs(claim.task.id))).toMatchObject({
    checkpoint: { page: 2, of: 9 },
    metadata: { a: 1 },
  });
  await auditBoard(servers.database.sql, board.name);
});

test('the same progress on two servers at once is one, and the later one finds what the other has kept', async () => {
  const [board, elsewhere, claim] = await claimedTask();
  expectStatus(await endClaim(board.server, claim, 'heartbeat'), 200);
  const { sql } = servers.database;
  for (const body of [{ progress: 7 }, { checkpoint: { page: 7 } }, { progress: 8, checkpoint: 'end' }]) {
    const before = (await beatEvents(board)).length;
    const lock = await untilTestEnds(holdRun(sql, parseId('run', claim.run_id) ?? ''));
    const beats = [board, elsewhere].map((through) => endClaim(through.server, claim, 'heartbeat', body));
    // One looks at what it carries, and stands at the run or has written; the other one stands behind it, there or with its lease yet to extend.
    if ('checkpoint' in body) await untilStanding(sql, 'claims.%', 'row', 2);
    await lock.release();
    for (const answer of await Promise.all(beats)) expect(answer.status).toBe(200);
    const events = (await beatEvents(board)).slice(before);
    expect(events.map(({ kind }) => kind)).toEqual(['task.progress']);
  }
});

test('a heartbeat that repeats itself is still written when the log has not heard of the run for a while, as a heartbeat', async () => {
  const [board, , claim] = await claimedTask();
  const { sql } = servers.database;
  const body = { progress: 3, checkpoint: 'here' };
  expectStatus(await endClaim(board.server, claim, 'heartbeat', body), 200);
  const runId = parseId('run', claim.run_id) ?? '';
  const last = async () => {
    const rows = await sql<
      { last_progress_at: Date }[]
    >`SELECT last_progress_at FROM claims WHERE run_id = ${runId}`;
    return only([...rows]).last_progress_at;
  };
  const progressAt = await last();
  await sql`UPDATE claims SET heartbeat_logged_at = heartbeat_logged_at - interval '31 seconds' WHERE run_id = ${runId}`;
  for (let count = 0; count < 2; count += 1)
    expectStatus(await endClaim(board.server, claim, 'heartbeat', body), 200);
  expect((await beatEvents(board)).map(({ kind }) => kind)).toEqual(['task.progress', 'task.heartbeat']);
  expect(await last()).toEqual(progressAt);
});

test('beats are recorded in task order, each claim before its run, in whatever order they came', async () => {
  const [board] = await servers.board();
  const { sql, url } = servers.database;
  await board.lane('work');
  await board.tasks('work', 3);
  const answer = await board.claims('work', { max: 3 });
  const beats = (expectStatus(answer, 200).body.claims as Claim[])
    .map(beatOf)
    .sort((left, right) => (left.taskId < right.taskId ? -1 : 1));
  const [first, second, third] = beats as [LoggedBeat, LoggedBeat, LoggedBeat];
  const { id } = only([...(await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`)]);
  const database = openDatabase({ url });
  onTestFinished(() => database.close());
  const lock = await untilTestEnds(holdClaim(sql, second.runId));
  const recording = database.cold.begin((tx) => recordBeats(tx, id, [third, second, first]));
  await untilStanding(sql, 'claims.log_heartbeat', 'row');
  const isFree = async (table: 'claims' | 'runs', { taskId }: LoggedBeat): Promise<boolean> => {
    const rows = await sql`SELECT FROM ${sql(table)} WHERE task_id = ${taskId} FOR UPDATE SKIP LOCKED`;
    return rows.length === 1;
  };
  for (const table of ['claims', 'runs'] as const)
    expect([await isFree(table, first), await isFree(table, third)]).toEqual([false, true]);
  expect(await isFree('runs', second)).toBe(true);
  await lock.release();
  expect((await recording).size).toBe(3);
  expect(await extendLeases(database.hot, id, [{ ...first, leaseSeconds: null }])).toMatchObject([
    { progress: 1 },
  ]);
});

function beatOf({ task, run_id, attempt }: Claim): LoggedBeat {
  const taskId = parseId('task', task.id) as Uuid;
  const runId = parseId('run', run_id) as Uuid;
  return { taskId, runId, attempt, progress: 1, metadata: { a: 1 }, checkpoint: '1', isTelling: true };
}
