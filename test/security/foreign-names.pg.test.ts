/**
 * Names of a foreign board where they can be smuggled in: in bodies, queries, page tokens, cursors and keys that make a request
 * idempotent. Wherever one can be given, it does what a made-up one does.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '../../src/contract/route.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { formatCursor } from '../../src/server/kernel/cursor.ts';
import { uniqueName, useBench } from '../fixtures/bench.ts';
import type { CheckedClient } from '../fixtures/checked-client.ts';
import type { CallAnswer } from '../fixtures/server.ts';
import { pathTo } from './requests.ts';
import { faceOf, MARKERS, makeWorld, type Place, type World } from './world.ts';

const bench = useBench();
let world: World;
let boardAdmin: CheckedClient;
let places: { foreign: Place; missing: Place };

beforeAll(async () => {
  world = await makeWorld(bench);
  boardAdmin = bench.as(world.callers.boardAdmin.token ?? '');
  places = { foreign: world.places.foreign, missing: world.places.missing };
});

/** The same request once with a foreign name and once with one that nobody has. */
async function expectAlike(ask: (place: Place) => Promise<CallAnswer>, status: number): Promise<void> {
  const [there, nowhere] = [await ask(places.foreign), await ask(places.missing)];
  expect(faceOf(there, places.foreign)).toEqual(faceOf(nowhere, places.missing));
  expect(there.status).toBe(status);
  expect(JSON.stringify(there.body)).not.toContain(MARKERS.foreign);
}

describe('in a body', () => {
  test('a task to claim by name', async () => {
    const lane = bench.as(world.callers.ownLane.token ?? '');
    const path = `/v1/boards/own/lanes/${world.places.own.lane}/claims`;
    await expectAlike((place) => lane.post(path, { task_id: place.task }), 404);
    await expectAlike((place) => lane.post(path, { task_id: place.ref }), 404);
  });

  test('a lane to assign to, or to create for', async () => {
    const outcomes: unknown[] = [];
    for (const { lane } of [places.foreign, places.missing]) {
      const task = await bench.makeTask('own', { title: 'x' });
      const assigned = await boardAdmin.post(`/v1/boards/own/tasks/${task.id}/assign`, { lane });
      const created = await boardAdmin.post('/v1/boards/own/tasks', { title: 'x', lane });
      outcomes.push([assigned, created].map(({ status, body }) => [status, body.code, body.task?.status]));
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  test('a board to make a key for', async () => {
    await expectAlike(
      ({ board }) => boardAdmin.post('/v1/keys', { role: 'observer', name: 'x', board }),
      404,
    );
    await expectAlike(
      ({ board }) => boardAdmin.post('/v1/keys', { role: 'observer', name: 'x', boards: ['own', board] }),
      404,
    );
    await expectAlike(
      ({ board, lane }) => boardAdmin.post('/v1/keys', { role: 'lane', name: 'x', board, lane }),
      404,
    );
  });

  test('a key to revoke', async () => {
    await expectAlike(({ key }) => boardAdmin.delete(`/v1/keys/${key}`), 404);
  });

  test('an external_ref or idempotency_key of another board is free here, and leads to a task of one’s own', async () => {
    const made = await boardAdmin.post('/v1/boards/own/tasks', {
      title: 'x',
      external_ref: places.foreign.ref,
    });
    expect([made.status, made.body.task.board]).toEqual([201, 'own']);
    expect(made.body.task.id).not.toBe(places.foreign.task);
    const key = uniqueName('guessed');
    const theirs = await bench.makeTask('foreign', { title: MARKERS.foreign, idempotency_key: key });
    const ours = await boardAdmin.post('/v1/boards/own/tasks', { title: 'x', idempotency_key: key });
    expect([ours.status, ours.body.task.title]).toEqual([201, 'x']);
    expect(ours.body.task.id).not.toBe(theirs.id);
  });

  test('a task or delegation to subscribe to, and a child to steer', async () => {
    const path = '/v1/boards/own/subscriptions';
    const target = { platform: 'discord', chat_id: 'c1' };
    await expectAlike(({ task }) => boardAdmin.put(path, { task_id: task, ...target }), 404);
    await expectAlike(
      ({ delegation }) => boardAdmin.put(path, { delegation_id: delegation, ...target }),
      404,
    );
    const steer = `/v1/boards/own/delegations/${world.places.own.delegation}/steer`;
    await expectAlike(({ task }) => boardAdmin.post(steer, { message: 'x', task_id: task }), 404);
  });

  test('a session, whose delegations are to stop', async () => {
    await expectAlike(
      ({ session }) => boardAdmin.post('/v1/boards/own/delegations/cancel', { session_id: session }),
      200,
    );
    const theirs = await bench.api.get('/v1/boards/foreign/delegations?status=running');
    expect(theirs.body.delegations).toHaveLength(1);
  });

  test('a steering message to acknowledge', async () => {
    const foreign = `/v1/boards/foreign/tasks/${places.foreign.task}`;
    const { message } = (await bench.api.post(`${foreign}/steer`, { message: MARKERS.foreign })).body;
    const worker = bench.as(world.own.token);
    for (const id of [message.id, 'msg_01jcqk0v3te8sr3x6y9m2b4n5p']) {
      const answer = await worker.post(`/v1/runs/${world.own.run_id}/messages/ack`, { ids: [id] });
      expect([answer.status, answer.body]).toEqual([200, { acknowledged: 0 }]);
    }
    const [kept] = (await bench.api.get(`${foreign}/messages`)).body.messages;
    expect(kept).toMatchObject({ id: message.id, acknowledged_at: null });
  });

  test('a lane key claims no task of another lane by name', async () => {
    const task = await bench.makeTask('own', { lane: 'other' });
    const lane = bench.as(world.callers.ownLane.token ?? '');
    const answer = await lane.post(`/v1/boards/own/lanes/${world.places.own.lane}/claims`, {
      task_id: task.id,
    });
    expect([answer.status, answer.code]).toEqual([409, 'task_not_claimable']);
  });
});

describe('in a header', () => {
  test('an Idempotency-Key of somebody else replays nothing of theirs', async () => {
    const headers = { 'Idempotency-Key': uniqueName('guessed') };
    const body = { title: 'the same request' };
    const path = '/v1/boards/own/tasks';
    const first = await bench.api.post(path, body, { headers });
    const claim = bench.as(world.callers.ownClaim.token ?? '');
    const orchestrator = bench.as(world.callers.orchestrator.token ?? '');
    const others = [boardAdmin, orchestrator, claim].map((caller) => caller.post(path, body, { headers }));
    for (const answer of await Promise.all(others)) {
      expect([answer.status, answer.headers.get('Idempotent-Replayed')]).toEqual([201, null]);
      expect(answer.body.task.id).not.toBe(first.body.task.id);
    }
  });

  test('one’s own Idempotency-Key replays nothing on another board or route', async () => {
    const headers = { 'Idempotency-Key': uniqueName('reused') };
    const body = { title: 'the same request' };
    const first = await bench.api.post('/v1/boards/own/tasks', body, { headers });
    const second = await bench.api.post('/v1/boards/foreign/tasks', body, { headers });
    expect([second.status, second.body.task.board]).toEqual([201, 'foreign']);
    expect(second.body.task.id).not.toBe(first.body.task.id);
  });

  test('a remembered claim is given to nobody else', async () => {
    const lane = uniqueName('remembered');
    await bench.makeLane('own', lane);
    await bench.makeTask('own', { lane });
    const headers = { 'Idempotency-Key': uniqueName('claim') };
    const path = `/v1/boards/own/lanes/${lane}/claims`;
    const keyOfLane = async () =>
      bench.as((await bench.makeKey({ role: 'lane', boards: ['own'], lane })).secret);
    const first = await (await keyOfLane()).post(path, {}, { headers });
    expect(first.body.claims).toHaveLength(1);
    const thief = await (await keyOfLane()).post(path, {}, { headers });
    expect(thief.body).toMatchObject({ claims: [], reason: 'none_ready' });
  });
});

describe('in a query', () => {
  test('filters find nothing of another board', async () => {
    const { foreign } = places;
    for (const query of [
      `lane=${foreign.lane}`,
      `label=marker:${MARKERS.foreign}`,
      `tenant=${MARKERS.foreign}`,
      `q=${MARKERS.foreign}`,
      `delegation=${foreign.delegation}`,
      `session_id=${foreign.session}`,
    ]) {
      const { status, body } = await boardAdmin.get(`/v1/boards/own/tasks?${query}`);
      expect([query, status, body.tasks.filter(({ board }: { board: string }) => board !== 'own')]).toEqual([
        query,
        200,
        [],
      ]);
      expect(JSON.stringify(body)).not.toContain(MARKERS.foreign);
    }
    for (const query of [`tasks=${foreign.task}`, `lanes=${foreign.lane}`]) {
      const { body } = await boardAdmin.get(`/v1/boards/own/events?${query}`);
      expect(JSON.stringify(body)).not.toContain(MARKERS.foreign);
    }
    expect((await boardAdmin.get(`/v1/boards/own/events?tasks=${foreign.task}`)).body.events).toEqual([]);
  });

  test('what returns to a session, or is told to a subscription, of another board is not found', async () => {
    for (const [path, member] of [
      [`delegations?session_id=${places.foreign.session}`, 'delegations'],
      [`subscriptions?delegation_id=${places.foreign.delegation}`, 'subscriptions'],
      [`deliveries?subscription_id=${places.foreign.subscription}`, 'deliveries'],
      [`sessions/${places.foreign.session}/messages`, 'messages'],
    ] as const) {
      const { status, body } = await boardAdmin.get(`/v1/boards/own/${path}`);
      expect([path, status, body[member]]).toEqual([path, 200, []]);
    }
    await expectAlike(({ task }) => boardAdmin.get(`/v1/boards/own/subscriptions?task_id=${task}`), 200);
  });

  const paged = ROUTES.filter(
    (route) => route.query !== undefined && 'page_token' in route.query.shape && route.path.includes('{'),
  );
  test.each(paged.map((route): [string, Route] => [route.operationId, route]))(
    'a page token of another board’s %s is one that nobody made',
    async (_, route) => {
      const { own, foreign } = world.places;
      if (route.operationId === 'listTaskRuns') await endAndClaimAgain('foreign', foreign);
      const theirs = await bench.api.get(`${pathTo(route, foreign)}?limit=1`);
      const token = theirs.body.next_page_token;
      expect(token).toEqual(expect.any(String));
      const invented = Buffer.from(JSON.stringify(['abc', 'x'])).toString('base64url');
      const answers: unknown[] = [];
      for (const given of [token, invented]) {
        const answer = await boardAdmin.get(`${pathTo(route, own)}?limit=1&page_token=${given}`);
        expect([answer.status, answer.code]).toEqual([400, 'invalid_cursor']);
        answers.push(faceOf(answer, own));
      }
      expect(answers[0]).toEqual(answers[1]);
    },
  );

  test('a page token of a list of everything goes on within what the caller may see', async () => {
    for (const [path, member] of [
      ['/v1/keys', 'keys'],
      ['/v1/boards', 'boards'],
    ] as const) {
      const { body } = await bench.api.get(`${path}?limit=1`);
      const next = await boardAdmin.get(`${path}?limit=200&page_token=${body.next_page_token}`);
      expect(next.status).toBe(200);
      expect(next.body[member].length).toBeGreaterThan(0);
      expect(JSON.stringify(next.body)).not.toContain(MARKERS.foreign);
    }
  });

  test('a cursor of another board is one of a board that does not exist', async () => {
    const theirs = (await bench.api.get('/v1/boards/foreign')).body.board.cursor;
    const invented = formatCursor({ boardId: 2_000_000_000, incarnation: 'abcdefgh', seq: 1 });
    const { own } = world.places;
    const stream = { Accept: 'text/event-stream' };
    for (const [path, headersOf] of [
      ['/v1/boards/own/events?after=', () => ({})],
      [`/v1/boards/own/tasks/${own.task}/events?after=`, () => ({})],
      ['/v1/boards/own/events?after=', () => stream],
      [
        '/v1/boards/own/events?limit=1&after=now',
        (cursor: string) => ({ ...stream, 'Last-Event-ID': cursor }),
      ],
    ] as const) {
      const answers: unknown[] = [];
      for (const after of [theirs, invented]) {
        const address = path.endsWith('=') ? `${path}${after}` : path;
        const answer = await boardAdmin.get(address, { headers: headersOf(after) });
        expect([answer.status, answer.code]).toEqual([400, 'invalid_cursor']);
        answers.push(faceOf(answer, own));
      }
      expect(answers[0]).toEqual(answers[1]);
    }
  });
});

async function endAndClaimAgain(board: string, place: Place): Promise<void> {
  await bench.as(world.foreign.token).post(`/v1/runs/${place.run}/release`, {});
  await bench.claim(board, place.lane);
}

describe('over several hops', () => {
  test('a batch under one lane’s key does only what each operation’s own token may, and tells nothing of the others', async () => {
    for (const board of ['own', 'foreign']) await bench.makeTask(board, { lane: 'other' });
    const claim = await bench.claim('own', 'other');
    const theirs = await bench.claim('foreign', 'other');
    const forged = await world.sign(claim, { jti: theirs.run_id, task: theirs.task.id });
    const lane = bench.as(world.callers.ownLane.token ?? '');
    const operations = [
      { op: 'heartbeat', token: claim.token },
      { op: 'complete', token: `${claim.token.slice(0, -8)}AAAAAAAA` },
      { op: 'fail', token: 'garbage', error: 'x' },
      { op: 'complete', token: world.callers.boardAdmin.token },
      { op: 'complete', token: world.callers.endedClaim.token, summary: 'again' },
      { op: 'complete', token: world.callers.expiredClaim.token },
      // Even with the server's own key: the row of that run is on another board.
      { op: 'complete', token: forged },
    ];
    const { body } = await lane.post('/v1/runs/batch', { operations });
    expect(
      body.results.map(({ ok, problem }: { ok: boolean; problem?: { code: string } }) => ok || problem?.code),
    ).toEqual([
      true,
      'unauthenticated',
      'unauthenticated',
      'unauthenticated',
      'claim_lost',
      'token_expired',
      'claim_lost',
    ]);
    expect(JSON.stringify(body)).not.toContain(MARKERS.foreign);
    expect((await bench.api.get(`/v1/runs/${theirs.run_id}`)).body.run.outcome).toBe(null);
  });
});
