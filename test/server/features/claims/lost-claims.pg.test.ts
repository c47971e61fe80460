/** What is taken from a worker in push mode, as its own socket hears it, without a watch: on the server that was asked, and on another. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PushedClaim } from '../../../../src/contract/frames.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { openWorker, type PushWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

type Cause = (through: TestBoard, claim: PushedClaim) => Promise<unknown>;

interface Case {
  readonly cause: Cause;
  readonly reason: string;
  /** Of the lane. */
  readonly lane?: object;
}

const takeOver =
  (mode: string): Cause =>
  async (through) =>
    expectStatus(
      await through.call('POST', '/lanes/work/takeover', { body: { mode, worker: 'taker' } }),
      200,
    );
const operate =
  (verb: string, body: object): Cause =>
  async (through, { task }) =>
    expectStatus(await through.operate(task.id, verb, { ...body }), 200);
const nothing: Cause = () => Promise.resolve();

const CASES: Readonly<Record<string, Case>> = {
  'a takeover that releases': { cause: takeOver('release'), reason: 'superseded' },
  'a takeover that adopts': { cause: takeOver('adopt'), reason: 'superseded' },
  'a takeover that leaves it to its lease': { cause: takeOver('expire'), reason: 'superseded' },
  'a reclaim': { cause: operate('reclaim', {}), reason: 'reclaimed' },
  'a reclaim of many': {
    cause: async (through, { task }) => {
      const body = { action: 'reclaim', ids: [task.id] };
      return expectStatus(await through.call('POST', '/tasks/bulk', { body }), 202);
    },
    reason: 'reclaimed',
  },
  'the deadline of a cancel': { cause: operate('cancel', { deadline_seconds: 0 }), reason: 'cancelled' },
  'the end of its lease': { cause: nothing, reason: 'crashed', lane: { lease_seconds: 1 } },
  'the limit of its time': { cause: nothing, reason: 'timed_out', lane: { max_runtime_seconds: 1 } },
};

/** One that holds a claim, which it has acknowledged, and one of the same lane that holds another. */
async function atWork(board: TestBoard, lane: object = {}) {
  await pushLane(board, lane);
  const worker = await openWorker(board, { worker: 'press' });
  await board.task('work');
  await worker.credit(1);
  const claim = await worker.claim();
  worker.acknowledge(claim);
  return { worker, claim };
}

const lossOf = ({ socket }: PushWorker, { run_id: runId }: Pick<PushedClaim, 'run_id'>) =>
  socket.frame('error', (frame) => frame.run_id === runId);

/** Resolves to whether the servers tell each other of it, which is what makes it come at once: their polls would find it as well, later. */
async function watchNudges(board: TestBoard): Promise<() => boolean> {
  const { sql } = servers.database;
  const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  let isNudged = false;
  const { unlisten } = await sql.listen('lanekeeper_wake', (payload) => {
    const [, , told = ''] = payload.split(':');
    isNudged ||= told.split(',').includes(String(row?.id));
  });
  onTestFinished(unlisten);
  return () => isNudged;
}

describe.each(['the same server', 'another server'])('through %s', (where) => {
  const open = async (): Promise<[TestBoard, TestBoard]> => {
    const [board, elsewhere] = await servers.board();
    return [board, where === 'another server' ? elsewhere : board];
  };

  test.each(Object.entries(CASES))('the holder hears of %s on its socket', async (_, made) => {
    const [board, through] = await open();
    const { worker, claim } = await atWork(board, made.lane);
    const isNudged = await watchNudges(board);
    await made.cause(through, claim);
    const loss = await lossOf(worker, claim);
    expect(loss).toMatchObject({ code: 'claim_lost', fatal: false, reason: made.reason });
    // What it is told is what its own frames would be answered.
    const late = await worker.verb('complete', claim);
    const { code, title, detail, reason, at, by, outcome } = loss;
    expect(late['problem']).toMatchObject({ code, title, detail, reason, at, by, outcome });
    expect(worker.socket.framesOf('error'), 'once').toHaveLength(1);
    await eventually('a nudge', () => isNudged() || null);
  });

  test('also one whose lane is taken over while it holds nothing, but not who has taken it, nor who came later', async () => {
    const [board, through] = await open();
    await pushLane(board);
    const idle = await openWorker(board, { worker: 'idle' });
    const taker = await openWorker(board, { worker: 'taker' });
    await takeOver('release')(through, {} as PushedClaim);
    const frame = await idle.socket.frame('taken_over');
    expect(frame).toEqual({ type: 'taken_over', lane: 'work', worker: 'taker' });
    const later = await openWorker(board, { worker: 'later' });
    const body = { mode: 'release', worker: 'other' };
    expectStatus(await through.call('POST', '/lanes/work/takeover', { body }), 200);
    // The second takeover is the only one that either of them hears of.
    for (const { socket } of [taker, later]) {
      await socket.frame('taken_over');
      expect(socket.framesOf('taken_over')).toEqual([{ ...frame, worker: 'other' }]);
    }
  });

  test('the socket that went on with it after a cut hears of it, whether by its token or by its worker name', async () => {
    const [board, through] = await open();
    await pushLane(board);
    await board.tasks('work', 2);
    const first = await openWorker(board, { worker: 'press', tokens: true });
    await first.credit(2);
    const [one, other] = (await first.untilClaims(2)) as [PushedClaim, PushedClaim];
    for (const claim of [one, other]) first.acknowledge(claim);
    const again = await openWorker(board, { worker: 'press' });
    expect(await again.verb('heartbeat', one, { token: one.token })).toMatchObject({ ok: true });
    expect(await again.verb('heartbeat', other)).toMatchObject({ ok: true });
    for (const claim of [one, other]) await operate('reclaim', {})(through, claim);
    for (const claim of [one, other])
      expect(await lossOf(again, claim)).toMatchObject({ code: 'claim_lost', reason: 'reclaimed' });
  });
});

test('what the holder ends itself, on whatever way, is no loss; nor is what others of its lane lose', async () => {
  const [board, elsewhere] = await servers.board();
  const { worker, claim } = await atWork(board);
  const bystander = await openWorker(board, { worker: 'other', tokens: true });
  await board.tasks('work', 3);
  await bystander.credit(3);
  const [here, there, lost] = (await bystander.untilClaims(3)) as [PushedClaim, PushedClaim, PushedClaim];
  expect(await bystander.verb('complete', here)).toMatchObject({ ok: true });
  const token = { token: there.token ?? '', body: {} };
  expectStatus(await elsewhere.server.call('POST', `/v1/runs/${there.run_id}/release`, token), 200);
  await bystander.credit(0);
  await operate('reclaim', {})(elsewhere, claim);
  await lossOf(worker, claim);
  await operate('reclaim', {})(elsewhere, lost);
  await lossOf(bystander, lost);
  expect(bystander.socket.framesOf('error').map((frame) => frame.run_id)).toEqual([lost.run_id]);
  expect(worker.socket.framesOf('error')).toHaveLength(1);
});

test('a claim that is crashed because its worker has gone is told to the other socket that spoke for it', async () => {
  const [board] = await servers.board();
  await pushLane(board);
  await board.task('work');
  const worker = await openWorker(board, { worker: 'press', tokens: true });
  await worker.hello('press', { crash_on_disconnect: true });
  await worker.credit(1);
  const claim = await worker.claim();
  expect(await worker.verb('heartbeat', claim)).toMatchObject({ ok: true });
  const helper = await openWorker(board, { worker: 'helper' });
  expect(await helper.verb('heartbeat', claim, { token: claim.token })).toMatchObject({ ok: true });
  worker.socket.close();
  expect(await lossOf(helper, claim)).toMatchObject({ code: 'claim_lost', reason: 'crashed' });
});
