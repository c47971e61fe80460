/** Cancel as the holder of a claim lives it: told over its socket, told again with each heartbeat, answered by its end. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
/** Far beyond the test. */
const LATER = { deadline_seconds: 3600 };

function cancel(board: TestBoard, claim: Pick<Claim, 'task'>, body: object = LATER) {
  return board.operate(claim.task.id, 'cancel', { ...body });
}

test('the holder hears of a cancel over its socket, whichever server was asked, and with each heartbeat', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.tasks('work', 2);
  const worker = await openWorker(board, { worker: 'press' });
  const bystander = await openWorker(board, { worker: 'other' });
  const claims = expectStatus(await board.claims('work', { max: 2, worker: 'press' }), 200).body.claims as [
    Claim,
    Claim,
  ];

  for (const [through, claim] of [
    [board, claims[0]],
    [elsewhere, claims[1]],
  ] as const) {
    expectStatus(await cancel(through, claim, { ...LATER, reason: 'not needed' }), 200);
    const frame = await worker.socket.frame('cancel', (candidate) => candidate.run_id === claim.run_id);
    const [event] = await board.events(`&kinds=task.cancel_requested&tasks=${claim.task.id}`);
    expect(frame).toEqual({
      type: 'cancel',
      run_id: claim.run_id,
      deadline_at: event?.data['deadline_at'],
      reason: 'not needed',
    });
    expect(await worker.verb('heartbeat', claim)).toMatchObject({ ok: true, cancel_requested: true });
  }
  expect(bystander.socket.framesOf('cancel')).toEqual([]);

  expect(await worker.verb('release', claims[0])).toMatchObject({ ok: true, outcome: 'cancelled' });
  expect(await worker.verb('complete', claims[1])).toMatchObject({ ok: true, outcome: 'completed' });
  expect((await board.read(claims[0].task.id)).status).toBe('cancelled');
  expect((await board.read(claims[1].task.id)).status).toBe('done');
});

test.each(['release', 'fail', 'block'])(
  'a %s that answers a cancel leaves the task cancelled',
  async (verb) => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const worker = await openWorker(board, { worker: 'press' });
    const claim = await board.claim('work', { worker: 'press' });
    expectStatus(await cancel(board, claim, { ...LATER, reason: 'enough' }), 200);
    await worker.socket.frame('cancel');
    const body = { fail: { error: 'x' }, block: { reason: 'x' } }[verb] ?? {};
    expect(await worker.verb(verb, claim, body)).toMatchObject({
      ok: true,
      outcome: 'cancelled',
      task_status: 'cancelled',
    });
    const [event] = await board.events('&kinds=task.cancelled');
    expect(event).toMatchObject({ run_id: claim.run_id, data: { ended_by_verb: verb, reason: 'enough' } });
  },
);

test('a cancel is told once per socket; a shorter deadline is told again; a new socket hears it at its hello', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work');
  const worker = await openWorker(board, { worker: 'press' });
  const claim = await board.claim('work', { worker: 'press' });
  expectStatus(await cancel(board, claim), 200);
  const first = await worker.socket.frame('cancel');
  // Later than what counts: nothing changes for the holder. Then sooner.
  expectStatus(await cancel(board, claim, { deadline_seconds: 7200 }), 200);
  expectStatus(await cancel(elsewhere, claim, { deadline_seconds: 60 }), 200);
  const sooner = await worker.socket.frame('cancel', ({ deadline_at }) => deadline_at < first.deadline_at);
  // Said hello again, the socket knows already.
  expect((await worker.hello('press')).ok).toBe(true);
  const again = await openWorker(elsewhere, { worker: 'press' });
  expect(await again.socket.frame('cancel')).toEqual(sooner);
  expect(worker.socket.framesOf('cancel')).toEqual([first, sooner]);
});

test('a cancel that is not answered by its deadline ends the claim, and the holder hears it was cancelled', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.task('work');
  const worker = await openWorker(board, { worker: 'press' });
  const claim = await board.claim('work', { worker: 'press' });
  expectStatus(await cancel(board, claim, { deadline_seconds: 0 }), 200);
  await board.untilStatus(claim.task.id, 'cancelled');
  const late = await worker.verb('complete', claim);
  expect(late).toMatchObject({ ok: false, problem: { code: 'claim_lost', reason: 'cancelled' } });
  expect((await endClaim(board.server, claim, 'output', { lines: ['x'] })).code).toBe('claim_lost');
});

test('a worker of another lane with the same name hears nothing', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.lane('other');
  await board.task('work');
  const namesake = await openWorker(board, { lane: 'other', worker: 'press' });
  const worker = await openWorker(board, { worker: 'press' });
  const claim = await board.claim('work', { worker: 'press' });
  expectStatus(await cancel(board, claim), 200);
  await worker.socket.frame('cancel');
  expect(namesake.socket.framesOf('cancel')).toEqual([]);
});

test('a fleet that is cancelled at once is told in full', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const tasks = await board.tasks('work', 60);
  const worker = await openWorker(elsewhere, { worker: 'press' });
  const { claims } = expectStatus(await board.claims('work', { max: 60, worker: 'press' }), 200).body;
  await Promise.all(tasks.map((task) => board.operate(task.id, 'cancel', { ...LATER })));
  for (const claim of claims as Claim[])
    await worker.socket.frame('cancel', ({ run_id }) => run_id === claim.run_id);
  expect(worker.socket.framesOf('cancel')).toHaveLength(60);
});
