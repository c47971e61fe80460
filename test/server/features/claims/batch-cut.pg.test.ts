/**
 * A gathered batch is cut off from its answer in the middle of its statement, with everything written and only the counter row
 * to come: its backend is killed, or the connection to it. What was not acknowledged is told to try again, and trying again has
 * one effect; what was acknowledged before is untouched.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Event } from '../../../../src/contract/events.ts';
import type { EventKind } from '../../../../src/contract/statuses.ts';
import { formatId, parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { gather } from '../../../fixtures/gathering.ts';
import {
  type HeldLock,
  holdClaim,
  holdCounter,
  untilGone,
  untilStanding,
} from '../../../fixtures/held-lock.ts';
import { startProxy, type TestProxy } from '../../../fixtures/proxy.ts';
import { type CallAnswer, startTestServer, type TestServer } from '../../../fixtures/server.ts';

const OPERATIONS = 12;
/** Acknowledged before the cut: claimed and completed, and claimed only. */
const ACKNOWLEDGED = 3;

let database: TestDatabase;
let survivor: TestServer;
/** Stopped together at the end: a server that has lost connections takes its full time to let go of the rest. */
const victims: { readonly server: TestServer; readonly proxy: TestProxy }[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  survivor = await startTestServer(database.url);
});
afterAll(async () => {
  await Promise.all([survivor, ...victims.map(({ server }) => server)].map((server) => server?.stop()));
  await Promise.all(victims.map(({ proxy }) => proxy.stop()));
  await database?.drop();
});

const CUTS = [
  {
    name: 'the backend of the batch is terminated',
    cut: (_proxy: TestProxy, pids: readonly number[]): Promise<unknown> =>
      database.sql`SELECT pg_terminate_backend(pid) FROM unnest(${pids as number[]}::int[]) AS pid`,
  },
  {
    name: 'the connections to Postgres are cut',
    cut: (proxy: TestProxy): Promise<unknown> => Promise.resolve(proxy.cut()),
  },
] as const;

/** A board seen through a server that can be cut off, and through another; everything acknowledged that a cut must not harm. */
class Scene {
  readonly board: TestBoard;
  readonly elsewhere: TestBoard;
  readonly acknowledged: { readonly completed: Claim[]; readonly held: Claim[]; readonly ended: Claim };
  readonly #proxy: TestProxy;

  private constructor(board: TestBoard, proxy: TestProxy, acknowledged: Scene['acknowledged']) {
    this.board = board;
    this.elsewhere = board.through(survivor);
    this.acknowledged = acknowledged;
    this.#proxy = proxy;
  }

  static async set(): Promise<Scene> {
    const proxy = await startProxy(database.url);
    const server = await startTestServer(proxy.url);
    victims.push({ server, proxy });
    const board = await makeBoard(server);
    for (const lane of ['work', 'before', 'opener']) await board.lane(lane);
    await board.tasks('before', 2 * ACKNOWLEDGED);
    await board.task('opener', { title: 'known', idempotency_key: 'known' });
    const ended = await board.claim('opener');
    const { claims } = expectStatus(await board.claims('before', { max: 2 * ACKNOWLEDGED }), 200).body;
    const [completed, held] = [claims.slice(0, ACKNOWLEDGED), claims.slice(ACKNOWLEDGED)];
    for (const claim of [...completed, ended])
      expectStatus(await endClaim(board.server, claim, 'complete'), 200);
    return new Scene(board, proxy, { completed, held, ended });
  }

  /** Cuts the statements off, sees what their clients are told, and returns when the database has made up its mind. */
  async cutOff(
    { cut }: (typeof CUTS)[number],
    pids: readonly number[],
    answers: readonly Promise<CallAnswer>[],
    held: HeldLock | null,
  ): Promise<void> {
    await cut(this.#proxy, pids);
    for (const answer of await Promise.all(answers)) {
      expect([answer.status, answer.code]).toEqual([503, 'database_unavailable']);
      expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
    }
    await held?.release();
    await untilGone(database.sql, pids);
    this.#proxy.pass();
  }

  async expectAcknowledgedKept(): Promise<void> {
    const { completed, held } = this.acknowledged;
    const { runs } = await auditBoard(database.sql, this.board.name);
    const outcomes = new Map(runs.map((run) => [formatId('run', run.id), run.outcome]));
    expect(completed.map((claim) => outcomes.get(claim.run_id))).toEqual(completed.map(() => 'completed'));
    expect(held.map((claim) => outcomes.get(claim.run_id))).toEqual(held.map(() => null));
    for (const claim of held)
      expectStatus(await patiently(() => endClaim(this.board.server, claim, 'complete')), 200);
  }
}

/** As a client that was told to try again. */
const patiently = (send: () => Promise<CallAnswer>): Promise<CallAnswer> =>
  eventually('an answer', async () => {
    const answer = await send();
    return answer.status === 503 ? null : answer;
  });

interface Verb {
  readonly name: string;
  /** Where the batch stands when it is cut off. */
  readonly tag: string;
  readonly openerTag: string;
  readonly opener: (board: TestBoard, ended: Claim) => Promise<CallAnswer>;
  readonly prepare: (board: TestBoard) => Promise<((board: TestBoard) => Promise<CallAnswer>)[]>;
  readonly effect: EventKind;
  /** What the tasks of the batch come to, once every request has been repeated. */
  readonly counts: Readonly<Record<string, number>>;
}

const count = <T>(make: (index: number) => T): T[] =>
  Array.from({ length: OPERATIONS }, (_, index) => make(index));

async function claimedTasks(board: TestBoard): Promise<Claim[]> {
  await board.tasks('work', OPERATIONS);
  return expectStatus(await board.claims('work', { max: OPERATIONS }), 200).body.claims;
}

const endsOf = (
  verb: string,
  body: Record<string, unknown>,
): Pick<Verb, 'openerTag' | 'opener' | 'prepare'> => ({
  openerTag: 'claims.complete',
  opener: (board, ended) => endClaim(board.server, ended, 'complete'),
  prepare: async (board) =>
    (await claimedTasks(board)).map((claim) => (through) => endClaim(through.server, claim, verb, body)),
});

const VERBS: readonly Verb[] = [
  {
    ...endsOf('complete', { summary: 'done' }),
    name: 'completions',
    tag: 'claims.complete',
    effect: 'task.completed',
    counts: { done: OPERATIONS },
  },
  {
    ...endsOf('release', { delay_seconds: 3600 }),
    name: 'releases',
    tag: 'log.append',
    effect: 'task.released',
    counts: { scheduled: OPERATIONS },
  },
  {
    name: 'new tasks with an idempotency_key',
    tag: 'tasks.create',
    effect: 'task.created',
    openerTag: 'tasks.create',
    opener: (board) =>
      board.call('POST', '/tasks', { body: { title: 'known', lane: 'opener', idempotency_key: 'known' } }),
    prepare: async () =>
      count(
        (index) => (through) =>
          through.call('POST', '/tasks', {
            body: { title: 'x', lane: 'work', idempotency_key: `key ${index}` },
          }),
      ),
    counts: { ready: OPERATIONS },
  },
];

describe.each(CUTS)('while $name', (cut) => {
  test.each(VERBS)('a batch of $name is answered 503, and repeated it takes effect once', async (verb) => {
    const scene = await Scene.set();
    const { board, elsewhere } = scene;
    const requests = await verb.prepare(board);
    const isEffect = (event: Event) => event.kind === verb.effect && event.lane === 'work';
    const { answers, held } = await gather({
      database,
      opener: () => verb.opener(board, scene.acknowledged.ended),
      openerTag: verb.openerTag,
      requests: requests.map((send) => () => send(board)),
      hold: () => holdCounter(database.sql, board.name),
    });
    const pids = await untilStanding(database.sql, verb.tag, 'row');
    await scene.cutOff(cut, pids, answers, held);
    const before = await auditBoard(database.sql, board.name);
    // One statement: all of it or nothing.
    expect([0, OPERATIONS]).toContain(before.events.filter(isEffect).length);

    // Half of them again through each server, and then all through the other one.
    const answersOf = async (boards: readonly TestBoard[]) =>
      Promise.all(
        requests.map((send, index) => patiently(() => send(boards[index % boards.length] as TestBoard))),
      );
    const again = await answersOf([board, elsewhere]);
    for (const answer of again) expectStatus(answer, 200, 201);
    const repeated = await answersOf([elsewhere, board]);
    expect(repeated.map((answer) => answer.body)).toEqual(again.map((answer) => answer.body));
    await scene.expectAcknowledgedKept();
    const { fold, events } = await auditBoard(database.sql, board.name);
    const total = { done: 2 * ACKNOWLEDGED + 1, ready: 0, scheduled: 0, running: 0 };
    for (const [status, tasks] of Object.entries(verb.counts)) total[status as keyof typeof total] += tasks;
    expect(fold.counts).toMatchObject(total);
    expect(events.filter(isEffect)).toHaveLength(OPERATIONS);
  });

  test('claims are answered 503; under an Idempotency-Key a repeated request gets one claim', async () => {
    const scene = await Scene.set();
    const { board, elsewhere } = scene;
    await board.tasks('work', OPERATIONS);
    // Each of them is a transaction of its own; more than a few would wait for a connection instead of the counter row.
    const keyed = count((index) => index).slice(0, 4);
    const claimOnce = (through: TestBoard, index: number) =>
      through.claims(
        'work',
        { worker: `worker-${index}` },
        { headers: { 'Idempotency-Key': `claim-${index}` } },
      );
    const held = await holdCounter(database.sql, board.name);
    const answers = keyed.map((index) => claimOnce(board, index));
    const pids = await untilStanding(database.sql, 'claims.claim', 'row', keyed.length);
    await scene.cutOff(cut, pids, answers, held);
    const again = await Promise.all(
      keyed.map((index) => patiently(() => claimOnce(index % 2 === 0 ? board : elsewhere, index))),
    );
    const repeated = await Promise.all(
      keyed.map((index) => patiently(() => claimOnce(index % 2 === 0 ? elsewhere : board, index))),
    );
    const runOf = (answer: CallAnswer) =>
      answer.body.claims.map((claim: Claim) => [claim.run_id, claim.worker]);
    expect(repeated.map(runOf)).toEqual(again.map(runOf));
    expect(new Set(again.flatMap(runOf).map(String)).size).toBe(keyed.length);
    await scene.expectAcknowledgedKept();
    const { fold } = await auditBoard(database.sql, board.name);
    expect(fold.counts).toMatchObject({ running: keyed.length, ready: OPERATIONS - keyed.length });
  });

  test('a gathered batch of claims is there as a whole or not at all, and what nobody was told of is ready again', async () => {
    const scene = await Scene.set();
    const { board, elsewhere } = scene;
    await board.lane('empty');
    const backoff = { base_seconds: 0 };
    await board.tasks('work', OPERATIONS, { backoff, max_failures: 5 });
    const { answers, held } = await gather({
      database,
      opener: () => board.claims('empty'),
      openerTag: 'claims.claim',
      requests: count((index) => () => board.claims('work', { worker: `worker-${index}`, lease_seconds: 1 })),
      hold: () => holdCounter(database.sql, board.name),
    });
    const pids = await untilStanding(database.sql, 'claims.claim', 'row');
    await scene.cutOff(cut, pids, answers, held);
    const { events } = await auditBoard(database.sql, board.name);
    const claimed = events.filter((event) => event.kind === 'task.claimed' && event.lane === 'work');
    expect([0, OPERATIONS]).toContain(claimed.length);
    const attempt = claimed.length === 0 ? 1 : 2;
    const claims: Claim[] = [];
    while (claims.length < OPERATIONS) {
      const answer = await elsewhere.claims('work', { max: OPERATIONS }, { waitSeconds: 10 });
      claims.push(...expectStatus(answer, 200).body.claims);
    }
    expect(claims.map((claim) => claim.attempt)).toEqual(count(() => attempt));
    for (const claim of claims)
      expectStatus(await patiently(() => endClaim(board.server, claim, 'complete')), 200);
    await scene.expectAcknowledgedKept();
    expect((await auditBoard(database.sql, board.name)).fold.counts).toMatchObject({ running: 0, ready: 0 });
  });

  test('a batch of heartbeats extends every lease or none, and repeated it extends them all', async () => {
    const scene = await Scene.set();
    const { board, elsewhere } = scene;
    const claims = await claimedTasks(board);
    // The batch has changed the other rows when it meets the last one, which is held.
    const inOrder = claims.sort((left, right) => (left.task.id < right.task.id ? -1 : 1));
    const holdRow = (claim: Claim | undefined) =>
      holdClaim(database.sql, parseId('run', claim?.run_id ?? '') ?? '');
    const beat = (through: TestBoard) => (claim: Claim) =>
      endClaim(through.server, claim, 'heartbeat', { lease_seconds: 3600 });
    const [opener] = scene.acknowledged.held;
    const { answers, held } = await gather({
      database,
      gate: () => holdRow(opener),
      opener: () => endClaim(board.server, opener as Claim, 'heartbeat'),
      openerTag: 'claims.heartbeat',
      requests: inOrder.map((claim) => () => beat(board)(claim)),
      hold: () => holdRow(inOrder.at(-1)),
    });
    const pids = await untilStanding(database.sql, 'claims.heartbeat', 'row');
    await scene.cutOff(cut, pids, answers, held);
    const extended = async () => {
      const rows = await database.sql`
        SELECT FROM claims c JOIN boards b ON b.id = c.board_id
        WHERE b.name = ${board.name} AND c.lane = 'work' AND c.last_heartbeat_at IS NOT NULL AND c.lease_seconds = 3600`;
      return rows.length;
    };
    expect([0, OPERATIONS]).toContain(await extended());
    const again = claims.map((claim, index) =>
      patiently(() => beat(index % 2 === 0 ? board : elsewhere)(claim)),
    );
    for (const answer of await Promise.all(again)) expectStatus(answer, 200);
    expect(await extended()).toBe(OPERATIONS);
    await scene.expectAcknowledgedKept();
  });
});
