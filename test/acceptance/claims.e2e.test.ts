/**
 * What was asked for at first, by name, of two server processes on one database: that a task is claimed once, that only its lane may touch it
 * and only while it holds it, and that the log can be read as the record of all that. What was asked of the dispatcher is in dispatch.e2e.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../src/contract/claims.ts';
import type { Task } from '../../src/contract/tasks.ts';
import { auditBoard } from '../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, TestBoard } from '../fixtures/board.ts';
import { only } from '../fixtures/eventually.ts';
import type { TestServer } from '../fixtures/server.ts';
import { buildServer } from '../fixtures/server-process.ts';
import { asTestServer, type ServerProcesses, startServerProcesses } from '../fixtures/server-processes.ts';

/** At once, on both servers. */
const CLAIMERS = 40;
const LANES = ['ops', 'other'] as const;
type LaneName = (typeof LANES)[number];

let processes: ServerProcesses;
let servers: TestServer[];

beforeAll(async () => {
  buildServer();
  processes = await startServerProcesses();
  const first = await processes.start();
  servers = [first, await processes.start()].map(asTestServer);
});
afterAll(() => processes?.stop());

function serverAt(turn: number): TestServer {
  const server = servers[turn % servers.length];
  if (server === undefined) throw new Error('the servers are started before the tests');
  return server;
}

interface Place {
  readonly board: TestBoard;
  /** The same board through the other server. */
  readonly elsewhere: TestBoard;
  /** The keys of the lanes, as their processes have them. */
  readonly keys: Readonly<Record<LaneName, string>>;
  readonly keyIds: Readonly<Record<LaneName, string>>;
}

async function newPlace(): Promise<Place> {
  const board = await makeBoard(serverAt(0));
  const made = await Promise.all(
    LANES.map(async (lane) => {
      await board.lane(lane);
      return expectStatus(await board.call('POST', `/lanes/${lane}/keys`, { body: {} }), 201).body;
    }),
  );
  const [ops, other] = made;
  return {
    board,
    elsewhere: new TestBoard(serverAt(1), board.name),
    keys: { ops: ops.secret, other: other.secret },
    keyIds: { ops: ops.key.id, other: other.key.id },
  };
}

async function claimed({ board, keys }: Place, lane: LaneName = 'ops', worker = 'ann'): Promise<Claim> {
  const answer = await board.claims(lane, { worker }, { token: keys[lane] });
  return only(expectStatus(answer, 200).body.claims);
}

const END_BODIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  complete: { summary: 'done' },
  block: { reason: 'needs a decision', kind: 'needs_input' },
  release: { reason: 'not now' },
  fail: { error: 'broke' },
};
const VERBS = ['heartbeat', ...Object.keys(END_BODIES)];

describe('one eligible task is claimed atomically', () => {
  test('by one of many processes that want it at the same moment, on two servers', async () => {
    const place = await newPlace();
    const { id } = await place.board.task('ops');
    const answers = await Promise.all(
      Array.from({ length: CLAIMERS }, (_, turn) =>
        (turn % 2 === 0 ? place.board : place.elsewhere).claims(
          'ops',
          { worker: `process-${turn}` },
          { token: place.keys.ops },
        ),
      ),
    );
    const claims: Claim[] = answers.flatMap((answer) => expectStatus(answer, 200).body.claims);
    const claim = only(claims);
    expect([claim.task.id, claim.attempt]).toEqual([id, 1]);
    expect(await place.board.read(id)).toMatchObject({
      status: 'running',
      claim: { run_id: claim.run_id, worker: claim.worker, lane: 'ops' },
    });
    expect(await place.board.events('&kinds=task.claimed')).toHaveLength(1);
    await auditBoard(processes.sql, place.board.name);
  });

  test('and each of many tasks by exactly one of them', async () => {
    const place = await newPlace();
    const tasks = await place.board.tasks('ops', CLAIMERS);
    const answers = await Promise.all(
      tasks.map((_, turn) =>
        (turn % 2 === 0 ? place.board : place.elsewhere).claims('ops', { worker: `process-${turn}`, max: 2 }),
      ),
    );
    const taken = answers.flatMap((answer) =>
      expectStatus(answer, 200).body.claims.map(({ task }: Claim) => task.id),
    );
    expect(taken.sort()).toEqual(tasks.map(({ id }) => id).sort());
    await auditBoard(processes.sql, place.board.name);
  });
});

describe('the lane can mutate only it until it is completed, blocked, released or reclaimed', () => {
  test('with the token of its claim: nothing else on the board', async () => {
    const place = await newPlace();
    await place.board.task('ops');
    const claim = await claimed(place);
    const mine = { token: claim.token };
    const sibling = await place.board.task('ops');
    const running = await claimed(place, 'ops', 'bob');
    for (const verb of ['promote', 'cancel', 'complete', 'archive', 'reclaim'])
      expect(
        (await place.board.call('POST', `/tasks/${sibling.id}/${verb}`, { ...mine, body: {} })).status,
      ).toBe(403);
    expect(
      (await place.board.call('PATCH', `/tasks/${sibling.id}`, { ...mine, body: { priority: 9 } })).status,
    ).toBe(403);
    for (const verb of VERBS) {
      const path = `/v1/runs/${running.run_id}/${verb}`;
      const answer = await place.elsewhere.server.call('POST', path, {
        ...mine,
        body: END_BODIES[verb] ?? {},
      });
      expect([answer.status, answer.code]).toEqual([403, 'not_your_claim']);
    }
    expectStatus(await endClaim(place.elsewhere.server, claim, 'heartbeat', { note: 'at work' }), 200);
    const { status, attempt } = await place.board.read(running.task.id);
    expect([status, attempt]).toEqual(['running', running.attempt]);
  });

  async function takeBack(place: Place, claim: Claim): Promise<Task> {
    return expectStatus(await place.elsewhere.operate(claim.task.id, 'reclaim', { reason: 'mine' }), 200).body
      .task;
  }

  test.each([
    ['completed', 'done', 'ended', (place: Place, claim: Claim) => endedBy(place, claim, 'complete')],
    ['blocked', 'blocked', 'ended', (place: Place, claim: Claim) => endedBy(place, claim, 'block')],
    ['released', 'ready', 'released', (place: Place, claim: Claim) => endedBy(place, claim, 'release')],
    ['reclaimed', 'ready', 'reclaimed', takeBack],
  ] as const)('and not any more once it is %s', async (outcome, status, reason, end) => {
    const place = await newPlace();
    await place.board.task('ops');
    const claim = await claimed(place);
    expectStatus(await endClaim(place.elsewhere.server, claim, 'heartbeat', { progress: 1 }), 200);
    const left = await end(place, claim);
    expect(left).toMatchObject({ status, claim: null });
    // Other words than the end's own, which would be answered as it was.
    const late = {
      ...END_BODIES,
      complete: { summary: 'late' },
      block: { reason: 'late' },
      release: { reason: 'late' },
    };
    for (const verb of VERBS) {
      const answer = await endClaim(place.board.server, claim, verb, late[verb as keyof typeof late] ?? {});
      expect([answer.status, answer.code]).toEqual([409, 'claim_lost']);
      expect(answer.body).toMatchObject({ reason, outcome });
    }
    const now = await place.board.read(claim.task.id);
    expect([now.status, now.version, now.attempt]).toEqual([status, left.version, left.attempt]);
    await auditBoard(processes.sql, place.board.name);
  });
});

async function endedBy(place: Place, claim: Claim, verb: string): Promise<Task> {
  return expectStatus(await endClaim(place.elsewhere.server, claim, verb, END_BODIES[verb] ?? {}), 200).body
    .task;
}

describe('another lane or process cannot complete or block it', () => {
  test('with the key of another lane, its own key, the token of another claim, or none at all', async () => {
    const place = await newPlace();
    await place.board.task('ops');
    const claim = await claimed(place);
    await place.board.task('other');
    const foreign = await claimed(place, 'other', 'eve');
    const strangers = [
      [place.keys.other, 403, 'claim_token_required'],
      [place.keys.ops, 403, 'claim_token_required'],
      [foreign.token, 403, 'not_your_claim'],
      [null, 401, 'unauthenticated'],
    ] as const;
    for (const [token, status, code] of strangers)
      for (const verb of ['complete', 'block', 'release', 'fail']) {
        const path = `/v1/runs/${claim.run_id}/${verb}`;
        const answer = await place.elsewhere.server.call('POST', path, { token, body: END_BODIES[verb] });
        expect([verb, answer.status, answer.code]).toEqual([verb, status, code]);
      }
    for (const [lane, key] of Object.entries(place.keys)) {
      const answer = await place.board.call('POST', `/tasks/${claim.task.id}/complete`, {
        token: key,
        body: {},
      });
      expect([lane, answer.status]).toEqual([lane, 403]);
    }
    expect(expectStatus(await place.board.operate(claim.task.id, 'complete'), 409).code).toBe(
      'illegal_transition',
    );
    expect(await place.board.read(claim.task.id)).toMatchObject({
      status: 'running',
      claim: { run_id: claim.run_id },
    });
    expectStatus(await endClaim(place.elsewhere.server, claim, 'complete'), 200);
    await auditBoard(processes.sql, place.board.name);
  });

  test('also not the process that held it before', async () => {
    const place = await newPlace();
    await place.board.task('ops');
    const former = await claimed(place);
    expectStatus(await place.board.operate(former.task.id, 'reclaim'), 200);
    const claim = await claimed(place, 'ops', 'bob');
    expect(claim.attempt).toBe(former.attempt + 1);
    for (const verb of ['complete', 'block'])
      expect((await endClaim(place.elsewhere.server, former, verb, END_BODIES[verb] ?? {})).code).toBe(
        'claim_lost',
      );
    expect((await place.board.read(claim.task.id)).claim).toMatchObject({ worker: 'bob' });
    expectStatus(await endClaim(place.elsewhere.server, claim, 'complete'), 200);
  });
});

test('event log shows lane, claim owner, run metadata and outcome', async () => {
  const place = await newPlace();
  const { id } = await place.board.task('ops', { title: 'nightly' });
  const claim = await claimed(place);
  expectStatus(
    await endClaim(place.board.server, claim, 'heartbeat', { note: 'half', metadata: { rows: 5 } }),
    200,
  );
  const metadata = { model: 'm1', cost: 3 };
  expectStatus(
    await endClaim(place.elsewhere.server, claim, 'complete', { summary: 'all well', metadata }),
    200,
  );
  const events = await place.elsewhere.events(`&tasks=${id}`);
  expect(events.map(({ kind }) => kind)).toEqual([
    'task.created',
    'task.claimed',
    'task.heartbeat',
    'task.completed',
  ]);
  const owner = { task_id: id, lane: 'ops', worker: 'ann', run_id: claim.run_id, attempt: 1 };
  const [, began, beat, ended] = events;
  expect(began).toMatchObject({
    ...owner,
    actor: { type: 'key', id: place.keyIds.ops },
    data: { status_before: 'ready', status_after: 'running' },
  });
  expect(beat).toMatchObject({ ...owner, data: { note: 'half', metadata: { rows: 5 } } });
  expect(ended).toMatchObject({
    ...owner,
    actor: { type: 'claim', id: claim.run_id },
    data: {
      status_before: 'running',
      status_after: 'done',
      outcome: 'completed',
      summary: 'all well',
      metadata,
    },
  });
  expect(only(await place.board.runs(id))).toMatchObject({
    run_id: claim.run_id,
    lane: 'ops',
    worker: 'ann',
    outcome: 'completed',
    metadata: { rows: 5, ...metadata },
  });
  await auditBoard(processes.sql, place.board.name);
});
