/**
 * kill -9 of a server in the middle of gathered batches, with another server on the same Postgres. The middle is forced: each batch
 * has written all of its rows and stands at the counter row, which the test holds. What was not acknowledged is there as a whole or
 * not at all, and the other server goes on at once with either.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../src/contract/claims.ts';
import type { EventKind } from '../../../src/contract/statuses.ts';
import { auditBoard } from '../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type HeldLock, holdCounter, holdGate, untilGone, untilStanding } from '../../fixtures/held-lock.ts';
import { untilLanesOnline } from '../../fixtures/lanes-online.ts';
import type { CallAnswer, TestServer } from '../../fixtures/server.ts';
import { buildServer, type ServerProcess } from '../../fixtures/server-process.ts';
import { asTestServer, type ServerProcesses, startServerProcesses } from '../../fixtures/server-processes.ts';

const OPERATIONS = 20;
/** Short, so that what the crash left held is soon ready again. */
const LEASE_SECONDS = 1;

type Send = (through: TestBoard) => Promise<CallAnswer>;

interface Batch {
  /** An operation of the verb that changes nothing, and the statement in which the gate holds it. */
  readonly opener: Send;
  readonly openerTag: string;
  readonly requests: readonly Send[];
  /** The statement that waits for the counter row. */
  readonly tag: string;
  /** What each operation writes into the log. */
  readonly effect: EventKind;
}

interface Killed {
  readonly board: TestBoard;
  readonly batch: Batch;
  /** Nobody was answered. */
  readonly unanswered: number;
  /** What the other server's claim was given that stood behind the dead one's statement. */
  readonly claimedBehind: readonly Claim[];
}

let processes: ServerProcesses;
let survivor: TestServer;
const killed = new Map<string, Killed>();
/** What a claim was given on a board that the dead server was not busy with, and how much of the dead server's work still stood then. */
const beside: { claims: readonly Claim[]; standing: number; scenes: number }[] = [];

const each = <T>(make: (index: number) => T): T[] =>
  Array.from({ length: OPERATIONS }, (_, index) => make(index));

async function claimedTasks(board: TestBoard): Promise<Claim[]> {
  await board.tasks('work', OPERATIONS);
  return expectStatus(await board.claims('work', { max: OPERATIONS }), 200).body.claims;
}

const claimsOf = async (board: TestBoard, lane: Readonly<Record<string, unknown>>): Promise<Batch> => {
  await board.lane('work', lane);
  await board.tasks('work', OPERATIONS, { backoff: { base_seconds: 0 }, max_failures: 9 });
  return {
    opener: (through) => through.claims('opener'),
    openerTag: 'claims.claim',
    requests: each(
      (index) => (through) => through.claims('work', { worker: `w-${index}`, lease_seconds: LEASE_SECONDS }),
    ),
    tag: 'claims.claim',
    effect: 'task.claimed',
  };
};

type Ends = Pick<Batch, 'tag' | 'effect'> & { readonly verb: string; readonly body: Record<string, unknown> };

const endsOf = async (board: TestBoard, ended: Claim, { verb, body, ...rest }: Ends): Promise<Batch> => ({
  ...rest,
  opener: (through) => endClaim(through.server, ended, 'complete'),
  openerTag: 'claims.complete',
  requests: (await claimedTasks(board)).map(
    (claim) => (through) => endClaim(through.server, claim, verb, body),
  ),
});

const BATCHES: Readonly<Record<string, (board: TestBoard, ended: Claim) => Promise<Batch>>> = {
  claims: (board) => claimsOf(board, {}),
  'claims under a cap': (board) => claimsOf(board, { max_concurrent_claims: OPERATIONS }),
  completions: (board, ended) =>
    endsOf(board, ended, {
      verb: 'complete',
      body: { summary: 'x' },
      tag: 'claims.complete',
      effect: 'task.completed',
    }),
  failures: (board, ended) =>
    endsOf(board, ended, {
      verb: 'fail',
      body: { error: 'x', retry_after_seconds: 3600 },
      tag: 'log.append',
      effect: 'task.failed',
    }),
  heartbeats: async (board, ended) => ({
    ...(await endsOf(board, ended, {
      verb: 'heartbeat',
      body: { lease_seconds: 3600 },
      tag: 'log.lock_counter',
      effect: 'task.heartbeat',
    })),
    opener: (through) => endClaim(through.server, ended, 'heartbeat'),
    openerTag: 'claims.heartbeat',
  }),
  creates: async () => ({
    opener: (through) =>
      through.call('POST', '/tasks', { body: { title: 'x', lane: 'opener', idempotency_key: 'known' } }),
    openerTag: 'tasks.create',
    requests: each(
      (index) => (through) =>
        through.call('POST', '/tasks', {
          body: { title: 'x', lane: 'work', idempotency_key: `key ${index}` },
        }),
    ),
    tag: 'tasks.create',
    effect: 'task.created',
  }),
};

async function setBoard(
  server: TestServer,
  name: string,
): Promise<{ name: string; board: TestBoard; batch: Batch }> {
  const board = await makeBoard(server);
  for (const lane of ['work', 'opener', 'other', 'barrier']) await board.lane(lane);
  await board.task('opener', { idempotency_key: 'known' });
  const ended = await board.claim('opener');
  expectStatus(await endClaim(server, ended, 'complete'), 200);
  await board.task('other');
  const make = BATCHES[name];
  if (make === undefined) throw new Error(`no batch is called ${name}`);
  return { name, board, batch: await make(board, ended) };
}

/** Every request that was sent before has long been gathered when the server has written down who it has seen. */
async function untilSeen(board: TestBoard): Promise<void> {
  const { sql } = processes;
  await eventually('the barrier is seen', async () => {
    const rows =
      await sql`SELECT FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name} AND w.worker = 'barrier'`;
    return rows.length > 0;
  });
}

/** How many statements stand, by tag. */
function tagsOf(tags: readonly string[]): [string, number][] {
  return [...new Set(tags)].map((tag) => [tag, tags.filter((other) => other === tag).length]);
}

async function claimedBy(work: Promise<CallAnswer>): Promise<Claim[]> {
  return expectStatus(await work, 200).body.claims;
}

/** How many of these backends still wait for a row. */
async function countStanding(pids: readonly number[]): Promise<number> {
  const rows = await processes.sql`
    SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = ANY(${pids as number[]}::int[])`;
  return rows.length;
}

async function killInTheMiddle(victim: ServerProcess, names: readonly string[]): Promise<void> {
  const { sql } = processes;
  const server = asTestServer(victim);
  const scenes = await Promise.all(names.map((name) => setBoard(server, name)));
  const idle = await makeBoard(survivor);
  await idle.lane('work');
  await idle.tasks('work', names.length);

  await untilLanesOnline(sql);

  const gate = await holdGate(sql);
  const counters: HeldLock[] = [];
  const openers = scenes.map(({ board, batch }) => batch.opener(board));
  for (const [tag, count] of tagsOf(scenes.map(({ batch }) => batch.openerTag)))
    await untilStanding(sql, tag, 'gate', count);
  const answers = scenes.map(({ board, batch }) =>
    Promise.allSettled(batch.requests.map((send) => send(board))),
  );
  for (const { board } of scenes) board.claims('barrier', { worker: 'barrier' }).catch(() => undefined);
  for (const { board } of scenes) await untilSeen(board);
  for (const { board } of scenes) counters.push(await holdCounter(sql, board.name));
  await gate.release();
  await Promise.all(openers);
  const pids: number[] = [];
  for (const [tag, count] of tagsOf(scenes.map(({ batch }) => batch.tag)))
    pids.push(...(await untilStanding(sql, tag, 'row', count)));

  await victim.stop('SIGKILL');
  const unanswered = (await Promise.all(answers)).map(
    (list) => list.filter((answer) => answer.status === 'rejected').length,
  );
  const claims = await claimedBy(idle.claims('work'));
  beside.push({ claims, standing: await countStanding(pids), scenes: scenes.length });
  // On the boards themselves the other server stands behind the dead one's statement, and is served as soon as that is over.
  const behind = scenes.map(({ board }) => board.through(survivor).claims('other', { worker: 'behind' }));
  await untilStanding(
    sql,
    'claims.claim',
    'row',
    scenes.length + scenes.filter(({ batch }) => batch.tag === 'claims.claim').length,
  );
  await Promise.all(counters.map((counter) => counter.release()));
  const claimedBehind = await Promise.all(behind.map(claimedBy));
  await untilGone(sql, pids);
  for (const [index, { name, board, batch }] of scenes.entries())
    killed.set(name, {
      board: board.through(survivor),
      batch,
      unanswered: unanswered[index] ?? 0,
      claimedBehind: claimedBehind[index] ?? [],
    });
}

beforeAll(async () => {
  buildServer();
  processes = await startServerProcesses();
  // The first one migrates; so many at once would only wait for it.
  const first = await processes.start();
  const [second, third] = await Promise.all([processes.start(), processes.start()]);
  survivor = asTestServer(first);
  await killInTheMiddle(second, ['claims', 'completions', 'creates']);
  await killInTheMiddle(third, ['claims under a cap', 'failures', 'heartbeats']);
});
afterAll(() => processes?.stop());

function sceneOf(name: string): Killed {
  const scene = killed.get(name);
  if (scene === undefined) throw new Error(`nothing was killed in the middle of ${name}`);
  return scene;
}

/** How many operations of the batch the log knows. */
async function effectsOf({ board, batch }: Killed): Promise<number> {
  const { events } = await auditBoard(processes.sql, board.name);
  return events.filter((event) => event.kind === batch.effect && event.lane === 'work').length;
}

test('a server that is killed delays nobody else: other boards not at all, its own until its statement is over', () => {
  // While the dead one's statements still stood there, which Postgres ends after 7 s.
  expect(beside).toHaveLength(2);
  for (const { claims, standing, scenes } of beside) expect([claims.length, standing]).toEqual([1, scenes]);
  // A claim that were not served when they are over would be given up as they are.
  for (const { claimedBehind } of killed.values()) expect(claimedBehind).toHaveLength(1);
});

test.each(Object.keys(BATCHES))('of %s that nobody was answered all have happened, or none', async (name) => {
  const scene = sceneOf(name);
  expect(scene.unanswered).toBe(OPERATIONS);
  expect([0, OPERATIONS]).toContain(await effectsOf(scene));
});

describe.each(['claims', 'claims under a cap'])('%s', (name) => {
  test('that were taken for nobody lapse, and every task is claimed again and done', async () => {
    const { board } = sceneOf(name);
    const claims: Claim[] = [];
    while (claims.length < OPERATIONS) {
      const answer = await board.claims('work', { max: OPERATIONS, worker: 'after' }, { waitSeconds: 10 });
      claims.push(...expectStatus(answer, 200).body.claims);
    }
    for (const claim of claims) expectStatus(await endClaim(board.server, claim, 'complete'), 200);
    expect(new Set(claims.map((claim) => claim.task.id)).size).toBe(OPERATIONS);
    expect(new Set(claims.map((claim) => claim.attempt)).size).toBe(1);
    const { runs, fold } = await auditBoard(processes.sql, board.name);
    expect(fold.counts).toMatchObject({ ready: 0, running: 1, done: OPERATIONS + 1 });
    expect(runs.filter((run) => run.outcome === 'completed')).toHaveLength(OPERATIONS + 1);
  });
});

describe.each(['completions', 'failures', 'heartbeats', 'creates'])('%s', (name) => {
  test('that are sent again to the other server are answered, and have happened once', async () => {
    const scene = sceneOf(name);
    const again = () => Promise.all(scene.batch.requests.map((send) => send(scene.board)));
    const first = await again();
    for (const answer of first) expectStatus(answer, 200, 201);
    if (name !== 'heartbeats')
      expect((await again()).map((answer) => answer.body)).toEqual(first.map((answer) => answer.body));
    expect(await effectsOf(scene)).toBe(OPERATIONS);
  });
});

test('claims outlive the server that gave them: their tokens are good for the other one', async () => {
  const { board, batch } = sceneOf('heartbeats');
  for (const send of batch.requests) expectStatus(await send(board), 200);
  const { fold } = await auditBoard(processes.sql, board.name);
  expect(fold.counts.running).toBe(OPERATIONS + 1);
});
