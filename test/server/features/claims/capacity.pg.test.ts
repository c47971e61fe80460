import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** Racers on both servers claim as fast as they can and complete what they get, until told to stop. */
async function underFire(
  boards: readonly TestBoard[],
  racers: number,
  until: Promise<unknown>,
): Promise<void> {
  let isOver = false;
  const over = until.finally(() => {
    isOver = true;
  });
  await Promise.all([
    over,
    ...Array.from({ length: racers }, async (_, index) => {
      const board = boards[index % boards.length] as TestBoard;
      while (!isOver) {
        // Most wait, as workers do; every fifth asks again and again.
        const options = index % 5 === 0 ? {} : { waitSeconds: 1 };
        const answer = await board.claims(
          'work',
          { worker: `racer-${index}`, max: 1 + (index % 3) },
          options,
        );
        for (const claim of (answer.body.claims ?? []) as Claim[])
          await endClaim(board.server, claim, 'complete');
      }
    }),
  ]);
}

const TASKS = 90;

describe('a cap', () => {
  test('of 3 is never exceeded by 50 racers on two servers, and is reached', async () => {
    const boards = await servers.board();
    const [board] = boards;
    await board.lane('work', { max_concurrent_claims: 3 });
    await board.tasks('work', TASKS);
    let isOver = false;
    let mostSeen = 0;
    // Looks from outside all the time, with connections of its own.
    const watch = async () => {
      while (!isOver) {
        const [row] = await servers.database.sql<{ count: number }[]>`
          SELECT count(*)::int AS count FROM claims c JOIN boards b ON b.id = c.board_id WHERE b.name = ${board.name}`;
        mostSeen = Math.max(mostSeen, row?.count ?? 0);
      }
    };
    const allDone = eventually('all are done', async () => {
      isOver = (await board.call('GET', '')).body.board.counts.done === TASKS;
      return isOver;
    });
    await Promise.all([underFire(boards, 50, allDone), watch()]);
    const fold = Fold.of(await board.events());
    expect(mostSeen).toBeLessThanOrEqual(3);
    expect(fold.peaks.get('work')).toBe(3);
    expect(fold.counts.done).toBe(TASKS);
  });

  test('says at_capacity, gives a batch no more than its room, and opens with every end', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work', { max_concurrent_claims: 3 });
    await board.tasks('work', 10);
    const { claims } = (await board.claims('work', { max: 10 })).body;
    expect(claims).toHaveLength(3);
    expect((await elsewhere.claims('work')).body).toMatchObject({ claims: [], reason: 'at_capacity' });
    await endClaim(elsewhere.server, claims[0], 'release');
    expect((await board.claims('work', { max: 10 })).body.claims).toHaveLength(1);
  });

  test('that is lowered takes nothing away and holds for the next claim, also on the other server', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 10);
    const { claims } = (await elsewhere.claims('work', { max: 4 })).body;
    await board.call('PATCH', '/lanes/work', { body: { max_concurrent_claims: 2 } });
    expect((await elsewhere.claims('work')).body).toMatchObject({ claims: [], reason: 'at_capacity' });
    for (const claim of claims.slice(0, 3))
      expectStatus(await endClaim(board.server, claim, 'complete'), 200);
    expect((await elsewhere.claims('work', { max: 5 })).body.claims).toHaveLength(1);
  });

  test('of one lane leaves the others alone', async () => {
    const [board] = await servers.board();
    await board.lane('work', { max_concurrent_claims: 1 });
    await board.lane('free');
    await board.tasks('work', 2);
    await board.tasks('free', 2);
    const [capped, free] = await Promise.all([
      board.claims('work', { max: 2 }),
      board.claims('free', { max: 2 }),
    ]);
    expect([capped.body.claims.length, free.body.claims.length]).toEqual([1, 2]);
  });
});

/** Every claim's place in the log, and that of the switch: none of them may follow it. */
async function expectNoClaimWhile(board: TestBoard, closing: string, opening: string): Promise<number> {
  let isClosed = false;
  let closings = 0;
  for (const event of await board.events()) {
    if (event.kind === closing && event.data['paused'] !== false) {
      isClosed = true;
      closings += 1;
    } else if (event.kind === opening) isClosed = false;
    else if (event.kind === 'task.claimed' && isClosed)
      throw new Error(`claimed at ${event.seq} though ${closing}`);
  }
  return closings;
}

const ROUNDS = 5;
const RACERS = 8;

describe('under fire from racers on two servers', () => {
  test('after the answer to a pause no task of the lane is claimed until it is resumed', async () => {
    const boards = await servers.board();
    const [board, elsewhere] = boards;
    await board.lane('work');
    await board.tasks('work', 800);
    const rounds = async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        expectStatus(await board.call('POST', '/lanes/work/pause'), 200);
        expect((await elsewhere.claims('work')).body).toMatchObject({ claims: [], reason: 'lane_paused' });
        expectStatus(await elsewhere.call('POST', '/lanes/work/resume'), 200);
        const { claims } = (await board.claims('work')).body;
        for (const claim of claims) await endClaim(board.server, claim, 'release');
      }
    };
    await underFire(boards, RACERS, rounds());
    expect(await expectNoClaimWhile(board, 'lane.paused', 'lane.resumed')).toBe(ROUNDS);
  });

  test('after the answer to a pause of the board no task at all is claimed', async () => {
    const boards = await servers.board();
    const [board, elsewhere] = boards;
    await board.lane('work');
    await board.tasks('work', 800);
    const pause = async (paused: boolean) =>
      expectStatus(await board.call('PATCH', '', { body: { settings: { paused } } }), 200);
    const rounds = async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        await pause(true);
        const { cursor } = (await board.call('GET', '')).body.board;
        expect((await elsewhere.claims('work')).body).toMatchObject({ claims: [], reason: 'board_paused' });
        const later = await board.call('GET', `/events?after=${cursor}&kinds=task.claimed`);
        expect(later.body.events).toEqual([]);
        await pause(false);
      }
    };
    await underFire(boards, RACERS, rounds());
    let isPaused = false;
    for (const event of await board.events()) {
      const settings = event.data['settings'] as { paused?: boolean } | undefined;
      if (event.kind === 'board.updated') isPaused = settings?.paused ?? isPaused;
      expect(isPaused && event.kind === 'task.claimed', String(event.seq)).toBe(false);
    }
  });

  test('a drain hands out nothing more and turns into a pause when the last claim ends', async () => {
    const boards = await servers.board();
    const [board, elsewhere] = boards;
    await board.lane('work');
    await board.tasks('work', 500);
    const held = await board.claim('work', { worker: 'last' });
    const drain = async () => {
      expectStatus(await board.call('POST', '/lanes/work/drain'), 200);
      expect((await elsewhere.claims('work')).body).toMatchObject({ claims: [], reason: 'lane_draining' });
    };
    await underFire(boards, RACERS, drain());
    expect((await board.call('GET', '/lanes/work')).body.lane).toMatchObject({
      paused: false,
      draining: true,
    });
    expectStatus(await endClaim(board.server, held, 'complete'), 200);
    const log = await board.call('GET', '/events?kinds=lane.paused', { headers: { Prefer: 'wait=10' } });
    expect(only(log.body.events)).toMatchObject({ lane: 'work', data: { paused: true, draining: false } });
    expect((await board.call('GET', '/lanes/work')).body.lane).toMatchObject({
      paused: true,
      draining: false,
    });
    await expectNoClaimWhile(board, 'lane.draining', 'lane.resumed');
  });

  test('a lane is deregistered only while it holds nothing, and nothing is claimed for it afterwards', async () => {
    const boards = await servers.board();
    const [board, elsewhere] = boards;
    await board.lane('work');
    await board.tasks('work', 800);
    const outcomes = new Set<number>();
    const rounds = async () => {
      for (let round = 0; round < ROUNDS || !outcomes.has(409); round += 1) {
        const answer = await board.call('DELETE', '/lanes/work');
        outcomes.add(answer.status);
        if (answer.status === 409) {
          expect(answer.code).toBe('lane_has_claims');
          continue;
        }
        expect((await elsewhere.claims('work')).code).toBe('lane_not_found');
        await board.lane('work');
      }
    };
    await underFire(boards, RACERS, rounds());
    let isGone = false;
    const fold = new Fold();
    for (const event of await board.events()) {
      if (event.kind === 'lane.deregistered') {
        expect(fold.liveOn('work')).toBe(0);
        isGone = true;
      }
      if (event.kind === 'lane.registered') isGone = false;
      expect(isGone && event.kind === 'task.claimed', String(event.seq)).toBe(false);
      fold.apply(event);
    }
  });
});
