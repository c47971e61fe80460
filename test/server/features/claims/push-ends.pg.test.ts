import { describe, expect, test } from 'vitest';
import type { PushedClaim } from '../../../../src/contract/frames.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { openWorker, PushWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

interface Held {
  readonly board: TestBoard;
  readonly elsewhere: TestBoard;
  readonly worker: PushWorker;
  readonly claim: PushedClaim;
}

async function held(options: { readonly tokens?: boolean } = {}): Promise<Held> {
  const [board, elsewhere] = await servers.board();
  await pushLane(board);
  await board.task('work');
  const worker = await openWorker(board, { worker: 'holder', ...options });
  await worker.credit(1);
  return { board, elsewhere, worker, claim: await worker.claim() };
}

const NOT_YOURS = { ok: false, problem: { code: 'not_your_claim', status: 403 } };

describe('a verb on the socket that the claim was pushed to', () => {
  test.each([
    ['complete', { summary: 's', result: { n: 1 }, metadata: { m: 1 } }, 'completed', 'done'],
    ['block', { reason: 'why', kind: 'needs_input' }, 'blocked', 'blocked'],
    ['release', { reason: 'no', delay_seconds: 60 }, 'released', 'scheduled'],
    ['fail', { error: 'broken', permanent: true }, 'failed', 'blocked'],
  ])('needs no token: %s', async (verb, body, outcome, status) => {
    const { board, worker, claim } = await held();
    expect(claim.token).toBeUndefined();
    const { type, id, ...reply } = await worker.verb(verb, claim, body);
    expect(reply).toEqual({ ok: true, run_id: claim.run_id, outcome, task_status: status });
    expect([type, typeof id]).toEqual(['reply', 'string']);
    expect(await board.read(claim.task.id)).toMatchObject({ status });
    expect((await board.runs(claim.task.id))[0]).toMatchObject({
      outcome,
      worker: 'holder',
      ended_by: { type: 'claim', id: claim.run_id },
    });
  });

  test('renews the lease, and carries what a heartbeat carries', async () => {
    const { board, worker, claim } = await held();
    const reply = await worker.verb('heartbeat', claim, { note: 'half', progress: 5, lease_seconds: 3600 });
    expect(reply).toMatchObject({ ok: true, run_id: claim.run_id, cancel_requested: false, messages: [] });
    const { lease_expires_at } = (await board.read(claim.task.id)).claim ?? {};
    expect(reply['lease_expires_at']).toBe(lease_expires_at);
    expect(Date.parse(lease_expires_at ?? '')).toBeGreaterThan(Date.parse(claim.lease_expires_at));
    const events = await board.events('&kinds=task.progress');
    expect(events[0]?.data).toMatchObject({ note: 'half', progress: 5 });
  });

  test('may be repeated with the same body and gets the same answer, another one is told what happened', async () => {
    const { worker, claim } = await held();
    const first = await worker.verb('complete', claim, { result: 1 });
    const { id: _first, ...again } = await worker.verb('complete', claim, { result: 1 });
    expect(first).toMatchObject(again);
    expect(again).toMatchObject({ ok: true, outcome: 'completed' });
    for (const [verb, body] of [
      ['complete', { result: 2 }],
      ['heartbeat', {}],
    ] as const)
      expect(await worker.verb(verb, claim, body)).toMatchObject({
        ok: false,
        problem: { code: 'claim_lost', status: 409, reason: 'ended', outcome: 'completed' },
      });
  });

  test('is told when the claim was taken away meanwhile', async () => {
    const { board, worker, claim } = await held();
    const body = { deadline_seconds: 0 };
    expectStatus(await board.operate(claim.task.id, 'cancel', body), 200);
    await board.untilStatus(claim.task.id, 'cancelled');
    expect(await worker.verb('complete', claim)).toMatchObject({
      ok: false,
      problem: { code: 'claim_lost', reason: 'cancelled' },
    });
  });

  test('that is wrong in its fields is refused alone, as its route would: the socket and its claims live on', async () => {
    const { worker, claim } = await held();
    for (const [verb, body] of [
      ['block', {}],
      ['complete', { surprise: 1 }],
      ['complete', { result: 'half \ud800' }],
      ['complete', { result: 'x'.repeat(300 * 1024) }],
      ['fail', { error: 'x', retry_after_seconds: -1 }],
    ] as const) {
      const reply = await worker.verb(verb, claim, body);
      expect(reply).toMatchObject({ ok: false, problem: { code: 'invalid_request', status: 400 } });
      expect(reply['problem'].errors).toHaveLength(1);
    }
    // What the route takes, the frame takes.
    expect(await worker.verb('complete', claim, { result: 'x'.repeat(250 * 1024) })).toMatchObject({
      ok: true,
    });
  });

  test('and a hundred of them at once are all answered, each under its id', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    await board.tasks('work', 100);
    const worker = await openWorker(board);
    await worker.credit(100);
    const claims = await worker.untilClaims(100);
    const replies = await Promise.all(claims.map((claim) => worker.verb('complete', claim)));
    expect(replies.map((reply) => [reply['run_id'], reply.ok])).toEqual(
      claims.map((claim) => [claim.run_id, true]),
    );
  });
});

describe('a verb without a token', () => {
  test('is refused on every socket but that of the worker: another one, one without hello, a watcher', async () => {
    const { board, elsewhere, claim } = await held();
    const other = await openWorker(board, { worker: 'other' });
    // A name of its own: the second socket of one worker takes the place of the first.
    const elsewhereOther = await openWorker(elsewhere, { worker: 'another' });
    const greeted = new PushWorker(await openSocket(board.server, board.name), 'work');
    for (const socket of [other, elsewhereOther, greeted])
      for (const verb of ['heartbeat', 'complete', 'release'])
        expect(await socket.verb(verb, claim)).toMatchObject(NOT_YOURS);
    expect(await board.read(claim.task.id)).toMatchObject({ status: 'running', attempt: 1 });
  });

  test('is refused for a run that is made up, or of another board', async () => {
    const { worker } = await held();
    const other = await held();
    expect(await worker.verb('complete', other.claim)).toMatchObject(NOT_YOURS);
    const madeUp = `${worker.claims[0]?.run_id.slice(0, -8)}00000000`;
    expect(await worker.verb('complete', { run_id: madeUp })).toMatchObject(NOT_YOURS);
  });

  test('works on a new socket that says hello as the claiming worker, on any server', async () => {
    const { elsewhere, worker, claim } = await held();
    await worker.verb('heartbeat', claim);
    worker.socket.close();
    const again = await openWorker(elsewhere, { worker: 'holder' });
    expect(await again.verb('complete', claim, { result: 1 })).toMatchObject({
      ok: true,
      outcome: 'completed',
    });
    expect(await again.verb('complete', claim, { result: 1 })).toMatchObject({
      ok: true,
      outcome: 'completed',
    });
  });

  test('may follow its hello at once', async () => {
    const { elsewhere, worker, claim } = await held();
    await worker.verb('heartbeat', claim);
    const again = new PushWorker(await openSocket(elsewhere.server, elsewhere.name), 'work');
    const [greeting, reply] = await Promise.all([again.hello('holder'), again.verb('complete', claim)]);
    expect([greeting.ok, reply.ok]).toEqual([true, true]);
  });

  test('works on a socket that was opened with the token of the claim, for that claim alone', async () => {
    const { board, worker, claim } = await held({ tokens: true });
    await board.task('work');
    await worker.credit(1);
    const second = (await worker.untilClaims(2))[1] ?? claim;
    const socket = await openSocket(board.server, board.name, { token: claim.token ?? '' });
    const own = new PushWorker(socket, 'work');
    expect(await own.verb('complete', second)).toMatchObject(NOT_YOURS);
    expect(await own.verb('complete', claim)).toMatchObject({ ok: true });
  });
});

describe('a token', () => {
  test('comes with a pushed claim unless the hello said no, and is as good over HTTP', async () => {
    const { board, elsewhere, worker, claim } = await held({ tokens: true });
    const ended = await endClaim(elsewhere.server, { ...claim, token: claim.token ?? '' }, 'complete');
    expect(expectStatus(ended, 200).body.task).toMatchObject({ id: claim.task.id, status: 'done' });
    // The same end, by the socket: known as the same.
    expect(await worker.verb('complete', claim)).toMatchObject({ ok: true, outcome: 'completed' });
    expect(await board.runs(claim.task.id)).toHaveLength(1);
  });

  test('in a frame proves the verb on any socket, for its own run only', async () => {
    const { board, elsewhere, worker, claim } = await held({ tokens: true });
    const body = { role: 'observer', name: 'o', boards: [board.name] };
    const { secret } = expectStatus(await board.server.call('POST', '/v1/keys', { body }), 201).body;
    const observer = new PushWorker(
      await openSocket(elsewhere.server, board.name, { token: secret }),
      'work',
    );
    const { token } = claim;
    await board.task('work');
    await worker.credit(1);
    const second = (await worker.untilClaims(2))[1] ?? claim;
    expect(await observer.verb('heartbeat', claim, { token })).toMatchObject({ ok: true });
    expect(await observer.verb('complete', second, { token })).toMatchObject(NOT_YOURS);
    expect(await observer.verb('complete', claim, { token: 'made up' })).toMatchObject({
      ok: false,
      problem: { code: 'unauthenticated', status: 401 },
    });
    expect(await observer.verb('complete', claim, { token })).toMatchObject({ ok: true });
  });
});

test('a push lane refuses every kind of claim request', async () => {
  const { board } = await held();
  const task = await board.task('work');
  for (const answer of [
    await board.claims('work'),
    await board.claims('work', {}, { waitSeconds: 1 }),
    await board.claims('work', { task_id: task.id }),
    await board.claims('work', {}, { headers: { 'Idempotency-Key': 'k' } }),
  ])
    expect([answer.status, answer.code]).toEqual([409, 'claim_mode_mismatch']);
});
