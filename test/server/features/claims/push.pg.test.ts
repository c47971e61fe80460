import { describe, expect, test } from 'vitest';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { holdGate, untilStanding } from '../../../fixtures/held-lock.ts';
import { openWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

async function laneKey(board: TestBoard, lane: string): Promise<string> {
  return expectStatus(await board.call('POST', `/lanes/${lane}/keys`, { body: {} }), 201).body.secret;
}

/** The seq of every event of these kinds, in the order of the log. */
async function kindsInOrder(board: TestBoard, ...kinds: string[]): Promise<string[]> {
  return (await board.events()).map((event) => event.kind).filter((kind) => kinds.includes(kind));
}

describe('credits', () => {
  test('bring exactly so many tasks: what is there at once, and the rest as it comes, on any server', async () => {
    const [board, elsewhere] = await servers.board();
    await pushLane(board);
    await board.tasks('work', 3);
    const worker = await openWorker(board);
    expect(await worker.credit(2)).toMatchObject({ ok: true, credits: 2 });
    await worker.untilClaims(2);
    expect(worker.titles).toEqual(['task 0', 'task 1']);
    // Whatever the first one is not given, a second one with enough credits is.
    const second = await openWorker(elsewhere);
    await second.credit(10);
    await second.untilClaims(1);
    await elsewhere.task('work', { title: 'late' });
    await second.untilClaims(2);
    expect(second.titles).toEqual(['task 2', 'late']);
    expect(worker.claims).toHaveLength(2);
    await second.credit(0);
    await worker.credit(1);
    await board.task('work', { title: 'later' });
    await worker.untilClaims(3);
    expect(worker.titles[2]).toBe('later');
  });

  test('are set, not added, and count from the reply on', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    const worker = await openWorker(board);
    await worker.credit(3);
    await worker.credit(3);
    await worker.credit(1);
    await board.tasks('work', 4);
    const second = await openWorker(board);
    await second.credit(3);
    await second.untilClaims(3);
    expect(worker.claims).toHaveLength(1);
  });

  test('that are withdrawn while a claim is under way bring nothing: the claim goes back, and is no failure', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    const worker = await openWorker(board);
    await worker.credit(1);
    await worker.credit(0);
    const task = await board.task('work');
    const gate = await holdGate(servers.database.sql);
    try {
      await worker.credit(1);
      await untilStanding(servers.database.sql, 'claims.claim', 'gate');
      expect(await worker.credit(0)).toMatchObject({ ok: true, credits: 0 });
    } finally {
      await gate.release();
    }
    const released = await board.until(task.id, (current) => current.attempt === 1, 'was claimed');
    expect((await board.untilStatus(task.id, 'ready')).consecutive_failures).toBe(0);
    expect(released.attempt).toBe(1);
    expect(worker.claims).toEqual([]);
    expect((await board.runs(task.id))[0]).toMatchObject({
      outcome: 'released',
      ended_by: { type: 'system', id: 'delivery' },
    });
  });

  test('above a thousand count as a thousand, and zero is always allowed', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    const worker = await openWorker(board);
    expect(await worker.credit(5000)).toMatchObject({ ok: true, credits: 1000 });
    await board.call('PATCH', '/lanes/work', { body: { claim_mode: 'pull' } });
    expect(await worker.credit(0)).toMatchObject({ ok: true, credits: 0 });
  });

  test('of two workers of a lane bring both a fair part of what there is', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    const workers = [await openWorker(board), await openWorker(board)] as const;
    for (const worker of workers) await worker.credit(200);
    await board.tasks('work', 200);
    await eventually('all are pushed', () => workers[0].claims.length + workers[1].claims.length === 200);
    for (const worker of workers) expect(worker.claims.length).toBeGreaterThanOrEqual(80);
  });

  test('of one socket for two lanes are kept apart, each under its own hello', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    await board.lane('other', { claim_mode: 'push' });
    const worker = await openWorker(board, { worker: 'both' });
    await worker.ask('hello', { lane: 'other', worker: 'both-other' });
    await worker.credit(1);
    await worker.ask('credit', { lane: 'other', credits: 1 });
    await board.tasks('work', 2);
    await board.tasks('other', 2);
    await worker.untilClaims(2);
    expect(worker.claims.map((claim) => [claim.lane, claim.worker, 'token' in claim]).sort()).toEqual([
      ['other', 'both-other', true],
      ['work', 'both', false],
    ]);
  });
});

describe('a credit is refused', () => {
  test('without a hello for the lane, and to those who may not say one', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    await board.lane('other', { claim_mode: 'push' });
    const own = await openWorker(board, { token: await laneKey(board, 'work') });
    expect(await own.ask('credit', { lane: 'other', credits: 1 })).toMatchObject({ code: 'invalid_request' });
    await board.lane('pulled');
    const task = await board.task('pulled');
    const claim = await board.claim('pulled');
    const socket = await openSocket(board.server, board.name, { token: claim.token });
    socket.send({ type: 'credit', id: 'c', lane: 'work', credits: 1 });
    expect(await socket.frame('error')).toMatchObject({ id: 'c', code: 'forbidden', fatal: false });
    expect(await board.read(task.id)).toMatchObject({ status: 'running' });
  });

  test.each([
    ['that is not registered any more', null, 'lane_not_found'],
    ['of another claim mode', { claim_mode: 'watch' }, 'claim_mode_mismatch'],
    [
      'that may mutate nothing',
      { claim_mode: 'push', allowed_status_mutations: 'none' },
      'lane_may_not_claim',
    ],
    ['for people', { claim_mode: 'push', kind: 'human' }, 'lane_may_not_claim'],
  ])('for a lane %s, until the lane is one to push to', async (_what, lane, code) => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work', lane ?? {});
    const worker = await openWorker(board);
    if (lane === null) await board.call('DELETE', '/lanes/work');
    expect(await worker.credit(1)).toMatchObject({ ok: false, code, fatal: false });
    await elsewhere.task('work');
    // The other server changes it: what this one remembers is not believed.
    const body = { claim_mode: 'push', kind: 'persistent', allowed_status_mutations: 'own-claimed-only' };
    expectStatus(await elsewhere.call('PUT', '/lanes/work', { body }), 200, 201);
    expect(await worker.credit(1)).toMatchObject({ ok: true });
    await worker.untilClaims(1);
  });
});

describe('a lane that has credits', () => {
  test.each([
    ['paused lane', '/lanes/work/pause', '/lanes/work/resume', 'lane.resumed'],
    ['draining lane', '/lanes/work/drain', '/lanes/work/resume', 'lane.resumed'],
  ])(
    'and is a %s is pushed nothing, and keeps them until it is resumed, on either server',
    async (...row) => {
      const [, stop, go, kind] = row;
      const [board, elsewhere] = await servers.board();
      await pushLane(board);
      const worker = await openWorker(board);
      await worker.credit(2);
      await board.task('work');
      await worker.untilClaims(1);
      expectStatus(await elsewhere.call('POST', stop), 200);
      await elsewhere.task('work', { title: 'held back' });
      expectStatus(await elsewhere.call('POST', go), 200);
      await worker.untilClaims(2);
      expect(await kindsInOrder(board, 'task.claimed', kind)).toEqual(['task.claimed', kind, 'task.claimed']);
    },
  );

  test('on a paused board is pushed nothing until it is resumed', async () => {
    const [board, elsewhere] = await servers.board();
    await pushLane(board);
    await elsewhere.call('PATCH', '', { body: { settings: { paused: true } } });
    const worker = await openWorker(board);
    expect(await worker.credit(1)).toMatchObject({ ok: true });
    await board.task('work');
    await elsewhere.call('PATCH', '', { body: { settings: { paused: false } } });
    await worker.untilClaims(1);
    expect(await kindsInOrder(board, 'task.claimed', 'board.updated')).toEqual([
      'board.updated',
      'board.updated',
      'task.claimed',
    ]);
  });

  test('is at its cap until one of its claims ends or the cap is raised, and never above it', async () => {
    const [board, elsewhere] = await servers.board();
    await pushLane(board, { max_concurrent_claims: 1 });
    const workers = [await openWorker(board), await openWorker(elsewhere)] as const;
    for (const worker of workers) await worker.credit(5);
    await board.tasks('work', 4);
    const claimed = () => workers.flatMap((worker) => worker.claims);
    await eventually('one is claimed', () => claimed().length === 1);
    const [first] = claimed();
    const holder = workers[0].claims.length === 1 ? workers[0] : workers[1];
    if (first === undefined) throw new Error('there is one');
    expect(await holder.verb('complete', first)).toMatchObject({ ok: true });
    await eventually('the second one follows', () => claimed().length === 2);
    await board.call('PATCH', '/lanes/work', { body: { max_concurrent_claims: 3 } });
    await eventually('the others follow', () => claimed().length === 4);
    expect(Fold.of(await board.events()).peaks.get('work')).toBe(3);
  });

  test('and is then claimed in another way, or not at all, says so and drops them', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    const worker = await openWorker(board);
    await worker.credit(3);
    await board.call('PATCH', '/lanes/work', { body: { claim_mode: 'pull' } });
    expect(await worker.socket.frame('error')).toMatchObject({ code: 'claim_mode_mismatch', fatal: false });
    await board.task('work');
    await board.call('PATCH', '/lanes/work', { body: { claim_mode: 'push' } });
    const second = await openWorker(board);
    await second.credit(1);
    await second.untilClaims(1);
    expect(worker.claims).toEqual([]);
  });

  test('has no hints, neither for its workers nor for who watches it: nobody can ask for its work', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    await board.lane('pulled');
    for (const lane of ['work', 'pulled']) await board.task(lane);
    const worker = await openWorker(board);
    const watcher = await openSocket(board.server, board.name);
    await watcher.watch({ id: 'w', lanes: ['work', 'pulled'] });
    expect(await watcher.frame('available')).toMatchObject({ lane: 'pulled' });
    await worker.credit(0);
    expect(watcher.framesOf('available')).toHaveLength(1);
    expect(worker.socket.framesOf('available')).toEqual([]);
  });

  test('is given what an operator makes ready', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    const worker = await openWorker(board);
    await worker.credit(2);
    const task = await board.task('work', { status: 'triage' });
    expectStatus(await board.operate(task.id, 'promote'), 200);
    const [claim] = await worker.untilClaims(1);
    expect(claim?.task.id).toBe(task.id);
    await worker.verb('release', claim ?? { run_id: '' });
    await worker.untilClaims(2);
  });
});

test('a pushed claim is the one that a claim request would get, with its handoff and a heartbeat interval', async () => {
  const [board] = await servers.board();
  await board.lane('work', { lease_seconds: 60 });
  const task = await board.task('work', { payload: { n: 1 } });
  const first = await board.claim('work', { worker: 'puller' });
  await board.server.call('POST', `/v1/runs/${first.run_id}/release`, {
    token: first.token,
    body: { reason: 'not me' },
  });
  const pulled = await board.claim('work', { worker: 'puller' });
  await board.server.call('POST', `/v1/runs/${pulled.run_id}/release`, { token: pulled.token, body: {} });
  await board.call('PATCH', '/lanes/work', { body: { claim_mode: 'push' } });
  const worker = await openWorker(board, { worker: 'pushed', tokens: true });
  await worker.credit(1);
  const claim = await worker.claim();
  expect(Object.keys(claim).sort()).toEqual(Object.keys(pulled).sort());
  expect(claim).toMatchObject({
    lane: 'work',
    worker: 'pushed',
    attempt: 3,
    heartbeat_interval_seconds: 20,
    task: { id: task.id, status: 'running', payload: { n: 1 }, claim: { worker: 'pushed', attempt: 3 } },
    handoff: { attempts: [{ outcome: 'released', error: 'not me' }, { outcome: 'released' }] },
  });
});

test('the socket of a push lane is ended when its board is deleted', async () => {
  const [board] = await servers.board();
  await pushLane(board);
  const worker = await openWorker(board);
  await worker.credit(1);
  expectStatus(await board.server.call('DELETE', board.path('')), 200, 204);
  expect((await worker.socket.closed()).code).toBe(1008);
});
