import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import type { Run } from '../../../../src/contract/runs.ts';
import type { TakeoverMode } from '../../../../src/contract/statuses.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { openWorker, pushLane } from '../../../fixtures/push-worker.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** Everything that a holder may do, with a body that it could send. */
const VERBS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  heartbeat: { note: 'still here' },
  complete: { summary: 'stale' },
  block: { reason: 'stale' },
  release: {},
  fail: { error: 'stale' },
  output: { lines: ['stale'] },
  'messages/ack': { ids: ['msg_00000000000000000000000000'] },
};
const BATCH_VERBS = ['heartbeat', 'complete', 'block', 'release', 'fail', 'output'];

function takeOver(board: TestBoard, mode: TakeoverMode, worker = 'new', token?: string): Promise<CallAnswer> {
  const body = { mode, worker };
  return board.call('POST', '/lanes/work/takeover', token === undefined ? { body } : { body, token });
}

async function laneKey(board: TestBoard): Promise<string> {
  return expectStatus(await board.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
}

/** A board whose lane `work` has so many claims of the worker `old`. */
async function heldByOld(
  count: number,
  lane: Readonly<Record<string, unknown>> = {},
): Promise<{ boards: TestBoard[]; held: Claim[] }> {
  const boards = await servers.board();
  const [board] = boards;
  await board.lane('work', lane);
  await board.tasks('work', count);
  const answer = await board.claims('work', { worker: 'old', max: count, lease_seconds: 120 });
  const held = expectStatus(answer, 200).body.claims as Claim[];
  expect(held).toHaveLength(count);
  return { boards: [...boards], held };
}

const boardOf = (boards: readonly TestBoard[]): TestBoard => {
  const [board] = boards;
  if (board === undefined) throw new Error('there is a board');
  return board;
};

const idOf = ({ id }: { readonly id: string }): string => id;

async function runOf(board: TestBoard, claim: Claim): Promise<Run | undefined> {
  return (await board.runs(claim.task.id)).find((run) => run.run_id === claim.run_id);
}

/** Workers are seen for 90 s; here, nobody was for longer. */
async function letTimePass(board: TestBoard): Promise<void> {
  const { sql } = servers.database;
  const of = sql`board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
  await board.call('GET', '/lanes/work'); // What is pending is written.
  await sql`UPDATE workers SET last_seen_at = last_seen_at - interval '2 minutes' WHERE ${of}`;
  await sql`UPDATE claims SET claimed_at = claimed_at - interval '2 minutes', last_heartbeat_at = last_heartbeat_at - interval '2 minutes' WHERE ${of}`;
}

describe('a takeover by release', () => {
  test('gives the claims of all other workers back, without a failure, and leaves its own and other lanes alone', async () => {
    const { boards, held } = await heldByOld(2);
    const board = boardOf(boards);
    await board.lane('other');
    await board.task('other');
    const foreign = await board.claim('other', { worker: 'old' });
    await board.tasks('work', 1);
    const own = await board.claim('work', { worker: 'new' });
    const answer = expectStatus(await takeOver(board, 'release'), 200);
    expect(answer.body).toMatchObject({ lane: { name: 'work', epoch: 2, version: 2 }, claims: [] });
    for (const claim of held) {
      expect(await board.read(claim.task.id)).toMatchObject({
        status: 'ready',
        consecutive_failures: 0,
        claim: null,
      });
      expect(await runOf(board, claim)).toMatchObject({
        outcome: 'released',
        ended_by: { type: 'key' },
        evidence: { takeover: { mode: 'release', worker: 'new', epoch: 2, by: { type: 'key' } } },
      });
    }
    for (const claim of [own, foreign])
      expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    const { events } = await auditBoard(servers.database.sql, board.name);
    expect(only(events.filter((event) => event.kind === 'lane.taken_over'))).toMatchObject({
      lane: 'work',
      worker: 'new',
      data: { mode: 'release', worker: 'new', epoch: 2, claims: 2 },
    });
  });

  test('cancels a task whose cancel was requested', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    const claim = only(held);
    await board.operate(claim.task.id, 'cancel', { reason: 'not wanted' });
    expect((await takeOver(board, 'adopt')).body.claims).toEqual([]);
    expect(await board.read(claim.task.id)).toMatchObject({ status: 'cancelled' });
    await auditBoard(servers.database.sql, board.name);
  });
});

describe('a takeover by adoption', () => {
  test('hands the same tasks on under the next attempt, with the same lease, a handoff and a token that works', async () => {
    const { boards, held } = await heldByOld(3, { max_concurrent_claims: 3, max_runtime_seconds: 600 });
    const board = boardOf(boards);
    await endClaim(board.server, held[0] as Claim, 'heartbeat', { checkpoint: { step: 7 } });
    const { body } = expectStatus(await takeOver(board, 'adopt'), 200);
    const adopted = body.claims as Claim[];
    expect(adopted.map((claim) => claim.task.id).sort()).toEqual(held.map((claim) => claim.task.id).sort());
    for (const claim of adopted) {
      expect(claim).toMatchObject({ lane: 'work', worker: 'new', attempt: 2 });
      const leaseMs = Date.parse(claim.lease_expires_at) - Date.parse(claim.claimed_at);
      expect([leaseMs, claim.heartbeat_interval_seconds]).toEqual([120_000, 40]);
      expect(claim.handoff.attempts).toMatchObject([{ attempt: 1, worker: 'old', outcome: 'released' }]);
    }
    const first = adopted.find((claim) => claim.task.id === held[0]?.task.id);
    expect(first?.handoff.attempts[0]?.checkpoint).toEqual({ step: 7 });
    await auditBoard(servers.database.sql, board.name);
    // The lane is as full as it was.
    await board.task('work');
    expect((await board.claims('work', { worker: 'old' })).body.reason).toBe('at_capacity');
    const elsewhere = boards[1] as TestBoard;
    for (const claim of adopted)
      expect((await endClaim(elsewhere.server, claim, 'complete')).status).toBe(200);
    const { fold, events } = await auditBoard(servers.database.sql, board.name);
    expect(fold.peaks.get('work')).toBe(3);
    const kinds = events.filter((event) => event.task_id === held[0]?.task.id).map((event) => event.kind);
    expect(kinds).toEqual([
      'task.created',
      'task.claimed',
      'task.progress',
      'task.released',
      'task.claimed',
      'task.completed',
    ]);
  });

  test('a second time finds nothing that is not its own', async () => {
    const { boards } = await heldByOld(2);
    const board = boardOf(boards);
    const adopted = (await takeOver(board, 'adopt')).body.claims as Claim[];
    const again = expectStatus(await takeOver(board, 'adopt'), 200).body;
    expect([again.claims, again.lane.epoch]).toEqual([[], 3]);
    for (const claim of adopted) expect((await endClaim(board.server, claim, 'heartbeat')).status).toBe(200);
  });

  test("adopts reviews, but those of the new worker's own work wait for somebody else", async () => {
    const [board] = await servers.board();
    for (const name of ['work', 'other']) await board.lane(name);
    const own: string[] = [];
    for (const [lane, worker] of [
      ['work', 'new'],
      ['work', 'ann'],
      ['other', 'new'],
    ] as const) {
      const { id } = await board.task(lane);
      own.push(id);
      const handOver = { review: true, reviewer: 'work' };
      expectStatus(
        await endClaim(board.server, await board.claim(lane, { worker }), 'complete', handOver),
        200,
      );
    }
    expectStatus(await board.claims('work', { worker: 'old', max: 3 }), 200);
    const adopted = expectStatus(await takeOver(board, 'adopt'), 200).body.claims as Claim[];
    expect(adopted.map((claim) => claim.task.id).sort()).toEqual(own.slice(1).sort());
    expect((await board.read(own[0] ?? '')).status).toBe('review');
    await auditBoard(servers.database.sql, board.name);
  });

  test('of more claims than one transaction carries adopts what one answer carries, and releases the others', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 640);
    for (let held = 0; held < 640; held += 80) await board.claims('work', { worker: `old-${held}`, max: 80 });
    const adopted = expectStatus(await takeOver(board, 'adopt'), 200).body.claims as Claim[];
    expect(new Set(adopted.map((claim) => claim.task.id)).size).toBe(LIMITS.claimsMax);
    const { fold } = await auditBoard(servers.database.sql, board.name);
    expect(fold.counts).toMatchObject({ running: LIMITS.claimsMax, ready: 640 - LIMITS.claimsMax });
  });
});

describe('a takeover under an Idempotency-Key', () => {
  const once = (
    board: TestBoard,
    key: string,
    mode: TakeoverMode = 'adopt',
    signal?: AbortSignal,
  ): Promise<CallAnswer> =>
    board.call('POST', '/lanes/work/takeover', {
      body: { mode, worker: 'new' },
      headers: { 'Idempotency-Key': key },
      ...(signal === undefined ? {} : { signal }),
    });
  const runsOf = (answer: CallAnswer): string[] =>
    (expectStatus(answer, 200).body.claims as Claim[]).map((claim) => claim.run_id).sort();

  test('whose answer was lost hands the adopted claims over again, those that are still held, without a second takeover', async () => {
    const { boards, held } = await heldByOld(3);
    const [board, elsewhere] = boards as [TestBoard, TestBoard];
    // One more is the worker's own, and one becomes so afterwards: neither was adopted.
    await board.tasks('work', 2);
    await board.claim('work', { worker: 'new' });
    const first = await once(board, 'lost');
    expect(runsOf(first)).toHaveLength(3);
    await board.claim('work', { worker: 'new' });
    const [ended, ...kept] = expectStatus(first, 200).body.claims as Claim[];
    expect((await endClaim(board.server, ended as Claim, 'release')).status).toBe(200);
    // Claimed again in the ordinary way, it is no adopted claim any more.
    await board.claim('work', { worker: 'new', task_id: ended?.task.id ?? '' });
    const again = await once(elsewhere, 'lost');
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
    expect(runsOf(again)).toEqual(kept.map((claim) => claim.run_id).sort());
    expect(again.body).toMatchObject({ lane: { epoch: 2 }, remaining: 0 });
    for (const claim of again.body.claims as Claim[])
      expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    expect(await board.events('&kinds=lane.taken_over')).toHaveLength(1);
    expect(held).toHaveLength(3);
    await auditBoard(servers.database.sql, board.name);
  });

  test('that was cut off after its first transaction is finished by the same request, also when a client asks twice at once', async () => {
    const { boards, held } = await heldByOld(2);
    const [board, elsewhere] = boards as [TestBoard, TestBoard];
    const { sql } = servers.database;
    const slow = parseId('task', held[1]?.task.id ?? '') ?? '';
    await sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE id = ${slow} FOR UPDATE`;
      const cut = once(board, 'cut');
      const pids = await untilStanding(sql, 'claims.lock_taken', 'row');
      await sql`SELECT pg_terminate_backend(pid) FROM unnest(${pids}::int[]) AS pid`;
      expect((await cut).status).toBe(503);
    });
    const answers = await Promise.all([once(elsewhere, 'cut'), once(board, 'cut')]);
    const answered = answers.filter(({ status }) => status === 200).map(runsOf);
    const runs = new Set(answered.flat());
    expect(runs.size).toBe(2);
    for (const own of answered) expect(own).toEqual([...runs].sort());
    const last = await once(board, 'cut');
    expect(runsOf(last)).toEqual([...runs].sort());
    expect(last.body.lane.epoch).toBe(2);
    for (const claim of last.body.claims as Claim[])
      expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    await auditBoard(sql, board.name);
  });

  test('that comes again while the first still runs is answered with what the first adopts', async () => {
    const { boards, held } = await heldByOld(3);
    const [board, elsewhere] = boards as [TestBoard, TestBoard];
    const { sql } = servers.database;
    const gone = new AbortController();
    const tries: Promise<CallAnswer | null>[] = [];
    await sql.begin(async (tx) => {
      const runs = held.map((claim) => parseId('run', claim.run_id) ?? '');
      await tx`SELECT FROM claims WHERE run_id = ANY(${runs}::uuid[]) FOR UPDATE`;
      tries.push(once(board, 'twice', 'adopt', gone.signal).catch(() => null));
      await untilStanding(sql, 'claims.lock_taken', 'row');
      // Its client has lost the connection, and asks again.
      gone.abort();
      tries.push(once(elsewhere, 'twice'));
      await untilStanding(sql, 'lanes.lock', 'row');
    });
    const [first, second] = await Promise.all(tries);
    expect(first).toBeNull();
    expect(second?.headers.get('Idempotent-Replayed')).toBe('true');
    const claims: Claim[] = second?.body.claims;
    expect(claims).toHaveLength(3);
    for (const claim of claims) expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    await auditBoard(sql, board.name);
  });

  test('does nothing more once the lane was taken over anew', async () => {
    const { boards } = await heldByOld(1);
    const board = boardOf(boards);
    await once(board, 'old');
    const newest = expectStatus(await takeOver(board, 'adopt', 'newest'), 200).body.claims as Claim[];
    expect((await once(board, 'old')).body).toMatchObject({ claims: [], lane: { epoch: 3 } });
    expect((await endClaim(board.server, only(newest), 'complete')).status).toBe(200);
  });
});

describe('a takeover by expiry', () => {
  test('leaves the claims to their leases: they block their tasks, lapse as crashed, and their holders hear why', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    const claim = only(held);
    expect(expectStatus(await takeOver(board, 'expire'), 200).body).toMatchObject({
      lane: { epoch: 2 },
      claims: [],
    });
    expect(await board.read(claim.task.id)).toMatchObject({ status: 'running', claim: { worker: 'old' } });
    expect((await endClaim(board.server, claim, 'complete')).body).toMatchObject({
      code: 'claim_lost',
      reason: 'superseded',
      outcome: null,
    });
    // There is nothing more to leave to expire, and its worker is no sign of life any more.
    expect((await takeOver(board, 'expire')).body.lane.epoch).toBe(3);
    const [last] = (await board.events('&kinds=lane.taken_over')).slice(-1);
    expect(last?.data).toMatchObject({ claims: 0 });
    await servers.database.sql`
      UPDATE claims SET lease_expires_at = clock_timestamp() - interval '1 second' WHERE lane = 'work'
        AND board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    const task = await board.until(claim.task.id, ({ status }) => status !== 'running', 'has lapsed');
    expect(task).toMatchObject({ status: 'scheduled', consecutive_failures: 1 });
    expect(await runOf(board, claim)).toMatchObject({
      outcome: 'crashed',
      evidence: { limit: 'lease', takeover: { mode: 'expire', worker: 'new', epoch: 2 } },
    });
    expect((await endClaim(board.server, claim, 'complete')).body).toMatchObject({
      code: 'claim_lost',
      reason: 'superseded',
      outcome: 'crashed',
    });
    await auditBoard(servers.database.sql, board.name);
  });

  test('may be followed by one that adopts or releases after all', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    await takeOver(board, 'expire');
    const adopted = only((await takeOver(board, 'adopt', 'third')).body.claims as Claim[]);
    expect(adopted).toMatchObject({ task: { id: only(held).task.id }, attempt: 2, worker: 'third' });
    expect((await endClaim(board.server, adopted, 'complete')).status).toBe(200);
  });
});

describe.each(['release', 'adopt', 'expire'] as const)('after a takeover by %s', (mode) => {
  test('every verb of the old holder is refused everywhere as superseded, and changes nothing', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    const claim = only(held);
    await takeOver(board, mode);
    const state = async () => ({ task: await board.read(claim.task.id), events: await board.events() });
    const { events, ...before } = await state();
    const superseded = {
      code: 'claim_lost',
      reason: 'superseded',
      outcome: mode === 'expire' ? null : 'released',
      by: { type: 'key' },
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    };
    for (const { server } of boards) {
      for (const [verb, body] of Object.entries(VERBS)) {
        const answer = await endClaim(server, claim, verb, body);
        expect(answer.body, verb).toMatchObject({ status: 409, ...superseded });
      }
      const operations = BATCH_VERBS.map((op) => ({ op, token: claim.token, ...VERBS[op] }));
      const { results } = (await server.call('POST', '/v1/runs/batch', { body: { operations } })).body;
      for (const result of results) expect(result).toMatchObject({ ok: false, problem: superseded });
    }
    const child = await board.call('POST', '/tasks', { token: claim.token, body: { title: 'child' } });
    expect([child.status, child.code]).toEqual([409, 'claim_lost']);
    const { events: after, ...rest } = await state();
    expect(rest).toEqual(before);
    expect(after.filter(({ kind }) => !/line$/.test(kind))).toEqual(
      events.filter(({ kind }) => !/line$/.test(kind)),
    );
  });
});

test('a worker on its socket hears the same to its frames, also of claims that it has not acknowledged yet', async () => {
  const [board, elsewhere] = await servers.board();
  await pushLane(board);
  await board.tasks('work', 2);
  const worker = await openWorker(elsewhere, { worker: 'old' });
  await worker.credit(2);
  const [heard, unheard] = await worker.untilClaims(2);
  if (heard === undefined || unheard === undefined) throw new Error('two claims were pushed');
  worker.acknowledge(heard);
  expect((await takeOver(board, 'adopt')).body.claims).toHaveLength(2);
  for (const claim of [heard, unheard])
    for (const verb of ['heartbeat', 'complete', 'output'] as const) {
      const reply = await worker.verb(verb, claim, verb === 'output' ? { lines: ['x'] } : {});
      expect(reply).toMatchObject({ ok: false, problem: { code: 'claim_lost', reason: 'superseded' } });
    }
  // The socket is still a worker's, and what it is given now is a new claim.
  await board.task('work');
  await worker.credit(1);
  const [, , next] = await worker.untilClaims(3);
  expect((await worker.verb('complete', next as Claim)).ok).toBe(true);
  await auditBoard(servers.database.sql, board.name);
});

describe('who may take a lane over', () => {
  test('with a lane key nobody, while another worker is online; an orchestrator always', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    const key = await laneKey(board);
    const refused = await takeOver(board, 'adopt', 'new', key);
    expect([refused.status, refused.code]).toEqual([403, 'forbidden']);
    expect(refused.body.detail).toContain('"old"');
    expect((await board.call('GET', '/lanes/work')).body.lane.epoch).toBe(1);
    // The worker itself, restarted under its name, is not another one.
    expect((await takeOver(board, 'adopt', 'old', key)).status).toBe(200);
    const orchestrator = expectStatus(
      await board.server.call('POST', '/v1/keys', {
        body: { role: 'orchestrator', name: 'o', boards: [board.name] },
      }),
      201,
    ).body.secret;
    expect((await takeOver(board, 'release', 'new', orchestrator)).status).toBe(200);
    expect((await endClaim(board.server, only(held), 'heartbeat')).body.reason).toBe('superseded');
  });

  test('with a lane key nobody, while another worker holds a live claim, however long it has been silent', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    const key = await laneKey(board);
    await letTimePass(board);
    const refused = await takeOver(board, 'adopt', 'new', key);
    expect([refused.status, refused.code]).toEqual([403, 'forbidden']);
    expect((await endClaim(board.server, only(held), 'heartbeat')).status).toBe(200);
  });

  test('with a lane key, once the others have gone: also what an orchestrator has left to expire', async () => {
    const { boards, held } = await heldByOld(1);
    const board = boardOf(boards);
    const key = await laneKey(board);
    await takeOver(board, 'expire', 'new');
    expect((await takeOver(board, 'adopt', 'new', key)).status).toBe(403); // Seen a moment ago.
    await letTimePass(board);
    const adopted = expectStatus(await takeOver(board, 'adopt', 'new', key), 200).body.claims as Claim[];
    expect(adopted.map((claim) => claim.task.id)).toEqual(held.map((claim) => claim.task.id));
    expect((await endClaim(board.server, only(adopted), 'complete')).status).toBe(200);
  });

  test('nobody, where no worker claims, and on no lane that is not there', async () => {
    const [board] = await servers.board();
    expect((await takeOver(board, 'release')).code).toBe('lane_not_found');
    await board.lane('work', { kind: 'human' });
    expect((await takeOver(board, 'release')).code).toBe('lane_may_not_claim');
    await board.lane('work', { kind: 'persistent', allowed_status_mutations: 'none' });
    expect((await takeOver(board, 'release')).code).toBe('lane_may_not_claim');
    await board.lane('other');
    const other = expectStatus(await board.call('POST', '/lanes/other/keys', { body: {} }), 201).body.secret;
    expect((await takeOver(board, 'release', 'new', other)).code).toBe('forbidden');
    expect(
      (await board.call('POST', '/lanes/work/takeover', { body: { mode: 'seize', worker: 'w' } })).code,
    ).toBe('invalid_request');
  });
});

test('tasks that were taken over are still there, each once', async () => {
  const { boards, held } = await heldByOld(2);
  const board = boardOf(boards);
  await takeOver(board, 'release');
  const again = (await board.claims('work', { worker: 'new', max: 5 })).body.claims as Claim[];
  expect(again.map(({ task }) => idOf(task)).sort()).toEqual(held.map(({ task }) => idOf(task)).sort());
});
