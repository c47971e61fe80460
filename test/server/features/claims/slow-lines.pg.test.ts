/** Claims while looks are slow: nothing is lost before the place from which a lane is looked at, and it waits no longer than is said. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { type Look, QueueHeads } from '../../../../src/server/features/claims/claiming/queue-heads.ts';
import type { ClaimedRow } from '../../../../src/server/features/claims/store/claimed-row.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { useTestServer } from '../../../fixtures/server.ts';

const LANE = 'slow';
const SLOW_MS = 10;
const INTERVAL_MS = 20 * SLOW_MS;
const FIRST_ID = '00000000-0000-0000-0000-000000000000' as Uuid;

/** Each look from the start is slow, as beside an old snapshot, and time stands still. */
class SlowHeads extends QueueHeads {
  nowMs: number;
  readonly looks: ('place' | 'start')[] = [];

  constructor() {
    super(() => this.nowMs);
    this.nowMs = 1000;
  }

  override look(boardId: number, isFromStart: boolean): Look {
    const look = super.look(boardId, isFromStart);
    const [begin, ended] = [look.begin.bind(look), look.ended.bind(look)];
    let lookMs = SLOW_MS;
    look.begin = (wanted) => {
      const heads = begin(wanted);
      this.looks.push(heads.has(LANE) ? 'place' : 'start');
      lookMs = heads.has(LANE) ? 0 : SLOW_MS;
      return heads;
    };
    look.ended = (rows) =>
      ended(rows.map((row) => ({ ...row, look_ms: row.look_ms === null ? null : lookMs })));
    return look;
  }

  /** As after thousands of claims of the lane; its start was looked at just now. */
  becomeSlow(boardId: number): void {
    const row = { claim_lane: LANE, id: FIRST_ID, priority: 0, look_ms: 0 } as ClaimedRow;
    const rows = Array.from({ length: 1000 }, () => row);
    for (let count = 0; count < 4; count += 1) {
      const look = this.look(boardId, false);
      look.begin(rows.map(() => ({ lane: LANE })));
      look.ended(rows);
    }
    this.looks.length = 0;
  }
}

async function prepare(lane: Readonly<Record<string, unknown>> = {}) {
  const database = await useTestDatabase();
  const queueHeads = new SlowHeads();
  const server = await useTestServer(database.url, {}, { queueHeads });
  const board = await makeBoard(server);
  await board.lane(LANE, lane);
  const [row] = await database.sql`SELECT id FROM boards WHERE name = ${board.name}`;
  queueHeads.becomeSlow(Number(row?.['id']));
  return { board, queueHeads };
}

async function claim(board: TestBoard, headers: Readonly<Record<string, string>> = {}): Promise<Claim[]> {
  return expectStatus(await board.claims(LANE, {}, { headers }), 200).body.claims;
}

async function giveBack(board: TestBoard, [claimed]: readonly Claim[]): Promise<void> {
  if (claimed === undefined) throw new Error('there was a task to claim');
  expectStatus(await endClaim(board.server, claimed, 'release'), 200);
}

const titles = (claims: readonly Claim[]): string[] => claims.map(({ task }) => task.title);

test('what is given back in front is claimed after others, until the lane is looked at from its start', async () => {
  const { board, queueHeads } = await prepare();
  await board.tasks(LANE, 4);
  const first = await claim(board);
  expect(titles(first)).toEqual(['task 0']);
  await giveBack(board, first);
  expect(titles(await claim(board))).toEqual(['task 1']);
  queueHeads.nowMs += INTERVAL_MS;
  expect(titles(await claim(board))).toEqual(['task 0']);
  expect(titles(await claim(board))).toEqual(['task 2']);
  expect(queueHeads.looks).toEqual(['place', 'place', 'start', 'place']);
});

test('a task of a higher priority is claimed as soon as that', async () => {
  const { board, queueHeads } = await prepare();
  await board.tasks(LANE, 2);
  await claim(board);
  await board.task(LANE, { title: 'urgent', priority: 5 });
  queueHeads.nowMs += INTERVAL_MS;
  expect(titles(await claim(board))).toEqual(['urgent']);
});

test.each([
  ['in a batch', {}, {}],
  ['under a cap of the lane', { max_concurrent_claims: 5 }, {}],
  ['under an Idempotency-Key', {}, { 'Idempotency-Key': 'again' }],
])('nobody leaves empty-handed before it was looked at from the start: %s', async (_, lane, headers) => {
  const { board, queueHeads } = await prepare(lane);
  await board.tasks(LANE, 1);
  await giveBack(board, await claim(board));
  queueHeads.looks.length = 0;
  expect(titles(await claim(board, headers))).toEqual(['task 0']);
  expect(queueHeads.looks).toEqual(['place', 'start']);
});

test('nor where there is room for less than was asked for', async () => {
  const { board } = await prepare({ max_concurrent_claims: 2 });
  await board.tasks(LANE, 2);
  const first = await claim(board);
  await claim(board);
  await giveBack(board, first);
  const { claims } = expectStatus(await board.claims(LANE, { max: 2 }), 200).body;
  expect(titles(claims)).toEqual(['task 0']);
});

test('who finds no room under a cap has looked at nothing: the look from the start is still due', async () => {
  const { board, queueHeads } = await prepare({ max_concurrent_claims: 1 });
  await board.tasks(LANE, 3);
  const first = await claim(board);
  queueHeads.looks.length = 0;
  queueHeads.nowMs += INTERVAL_MS;
  expect(expectStatus(await board.claims(LANE), 200).body).toMatchObject({
    claims: [],
    reason: 'at_capacity',
  });
  expect(queueHeads.looks).toEqual([]);
  await giveBack(board, first);
  expect(titles(await claim(board))).toEqual(['task 0']);
  expect(queueHeads.looks).toEqual(['start']);
});

test('a repeated request under an Idempotency-Key looks for nothing', async () => {
  const { board, queueHeads } = await prepare();
  await board.tasks(LANE, 2);
  const headers = { 'Idempotency-Key': 'once' };
  const [claimed] = await claim(board, headers);
  const [again] = await claim(board, headers);
  expect(again?.run_id).toBe(claimed?.run_id);
  expect(queueHeads.looks).toEqual(['place']);
});

test('many workers who claim, give back and complete leave nothing behind, however seldom the start is looked at', async () => {
  const { board } = await prepare();
  const made = await board.tasks(LANE, 300);
  const done: string[] = [];
  const work = async (worker: string): Promise<void> => {
    for (;;) {
      const { claims } = expectStatus(await board.claims(LANE, { worker, max: 2 }), 200).body;
      if (claims.length === 0) return;
      for (const claimed of claims as Claim[]) {
        const isGivenBack = claimed.attempt === 1 && Number(claimed.task.title.split(' ')[1]) % 3 === 0;
        expectStatus(await endClaim(board.server, claimed, isGivenBack ? 'release' : 'complete'), 200);
        if (!isGivenBack) done.push(claimed.task.id);
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, index) => work(`worker-${index}`)));
  expect([...done].sort()).toEqual(made.map(({ id }) => id).sort());
});
