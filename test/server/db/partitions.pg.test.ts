/** On tables that are partitioned by board, in every run: what a row's place means there, which is its own in each partition. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditBoard } from '../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { useTestDatabase } from '../../fixtures/database.ts';
import { useTestServer } from '../../fixtures/server.ts';

/** Chance puts each into one of four partitions: with so many, two are in different ones. */
const BOARDS = 12;

test('work that stands where other boards have theirs, each in a partition of its own, is found, reviewed and ended by itself', async () => {
  const { url, sql } = await useTestDatabase({ plainBecause: 'it is partitioned here' });
  const script = join(import.meta.dirname, '../../fixtures/partition-by-board.sql');
  await sql.unsafe(await readFile(script, 'utf8'));
  const server = await useTestServer(url);
  const boards: TestBoard[] = [];
  for (let made = 0; made < BOARDS; made += 1) boards.push(await makeBoard(server));
  for (const board of boards) {
    for (const lane of ['work', 'review']) await board.lane(lane);
    await board.task('work');
    const claim = await board.claim('work', { worker: 'ann' });
    expectStatus(await endClaim(server, claim, 'complete', { review: true, reviewer: 'review' }), 200);
  }
  const places = await sql<{ place: string; partitions: number }[]>`
    SELECT ctid::text AS place, count(DISTINCT tableoid)::int AS partitions FROM tasks GROUP BY 1`;
  expect(Math.max(...places.map(({ partitions }) => partitions)), 'rows at one place').toBeGreaterThan(1);
  for (const board of boards) {
    const end = await endClaim(server, await board.claim('review', { worker: 'bob' }), 'complete');
    expect(expectStatus(end, 200).body.task.status).toBe('done');
  }
  for (const board of boards) await auditBoard(sql, board.name);
});
