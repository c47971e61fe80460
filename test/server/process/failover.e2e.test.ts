/**
 * The primary is killed under load and its standby promoted. Two servers that were told of both hosts find the new one by themselves, and
 * nothing that anybody was told of is lost: docs/scaling.md says by which settings.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../src/contract/claims.ts';
import type { Task } from '../../../src/contract/tasks.ts';
import { type Audit, auditBoard } from '../../fixtures/audit.ts';
import { endClaim, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { ADMIN_KEY, type CallAnswer } from '../../fixtures/call.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type PostgresPair, startPostgresPair } from '../../fixtures/postgres-pair.ts';
import {
  buildServer,
  makeDataDir,
  type ServerProcess,
  startServerProcess,
} from '../../fixtures/server-process.ts';
import { asTestServer } from '../../fixtures/server-processes.ts';
import { connectSocket, type WatchSocket } from '../../fixtures/watch-socket.ts';

const WORKERS = 4;
/** Of each kind, before the primary is killed, and again afterwards. */
const ENOUGH = 25;
/** A request that waits for a database that is away is answered within 8 s; the rest is for a busy machine. */
const PATIENCE_MS = 40_000;

let pair: PostgresPair;
const servers: ServerProcess[] = [];
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  buildServer();
  pair = await startPostgresPair();
  ends.push(() => pair.stop());
  for (const turn of [0, 1]) {
    const { path, remove } = await makeDataDir();
    ends.push(remove);
    const settings = { DATABASE_URL: pair.url, LANEKEEPER_ADMIN_KEY: ADMIN_KEY };
    servers[turn] = await startServerProcess(path, settings);
    ends.push(() => serverAt(turn).stop());
  }
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

function serverAt(turn: number): ServerProcess {
  const server = servers[turn % servers.length];
  if (server === undefined) throw new Error('the servers are started before the tests');
  return server;
}

/** What was acknowledged, and nothing else. */
class Load {
  readonly created = new Set<string>();
  readonly completed = new Set<string>();
  readonly cancelled = new Set<string>();
  readonly unexpected: CallAnswer[] = [];
  readonly #board: TestBoard;
  #isOver = false;

  constructor(board: TestBoard) {
    this.#board = board;
  }

  get counts(): number[] {
    return [this.created.size, this.completed.size, this.cancelled.size];
  }

  /** Each kind by enough. */
  haveRisen(from: readonly number[]): boolean {
    return this.counts.every((count, kind) => count >= (from[kind] ?? 0) + ENOUGH);
  }

  stop(): void {
    this.#isOver = true;
  }

  through(turn: number): TestBoard {
    return this.#board.through(asTestServer(serverAt(turn)));
  }

  /** null: refused for now, so nobody was told that it is done. */
  async #acknowledged(answer: Promise<CallAnswer>): Promise<CallAnswer | null> {
    const given = await answer;
    if (given.status < 300) return given;
    // A claim that was made and never answered is held by its lease; its end by somebody else is none of ours.
    if (given.status !== 503) this.unexpected.push(given);
    return null;
  }

  async create(turn: number): Promise<void> {
    for (let count = turn; !this.#isOver; count += 1) {
      const body = { title: `task ${count}`, lane: 'work', max_failures: 9, backoff: { base_seconds: 0 } };
      const answer = await this.#acknowledged(this.through(count).call('POST', '/tasks', { body }));
      if (answer === null) continue;
      const task = answer.body.task as Task;
      this.created.add(task.id);
      await eventually(
        'the workers keep up',
        () => this.#isOver || this.created.size - this.completed.size < 300,
      );
    }
  }

  /** Of a lane on which nobody works: a cancel meets no claim. */
  async cancel(turn: number): Promise<void> {
    for (let count = turn; !this.#isOver; count += 1) {
      const body = { title: `task ${count}`, lane: 'idle' };
      const answer = await this.#acknowledged(this.through(count).call('POST', '/tasks', { body }));
      if (answer === null) continue;
      const { id } = answer.body.task as Task;
      this.created.add(id);
      if ((await this.#acknowledged(this.through(count + 1).operate(id, 'cancel'))) !== null)
        this.cancelled.add(id);
    }
  }

  async work(turn: number): Promise<void> {
    for (let count = turn; !this.#isOver; count += 1) {
      const body = { worker: `w-${turn}`, lease_seconds: 60 };
      const answer = await this.#acknowledged(this.through(count).claims('work', body, { waitSeconds: 1 }));
      for (const claim of (answer?.body.claims ?? []) as Claim[]) {
        const { server } = this.through(count + 1);
        await eventually(
          'its end is answered',
          async () => {
            if ((await this.#acknowledged(endClaim(server, claim, 'complete'))) === null)
              return this.unexpected.length > 0;
            this.completed.add(claim.task.id);
            return true;
          },
          PATIENCE_MS,
        );
      }
    }
  }
}

function expectAcknowledged({ events, fold }: Audit, load: Load): void {
  const statusOf = (id: string): string | undefined => fold.tasks.get(id)?.status;
  expect(
    [...load.created].filter((id) => statusOf(id) === undefined),
    'created',
  ).toEqual([]);
  expect(
    [...load.completed].filter((id) => statusOf(id) !== 'done'),
    'completed',
  ).toEqual([]);
  expect(
    [...load.cancelled].filter((id) => statusOf(id) !== 'cancelled'),
    'cancelled',
  ).toEqual([]);
  expect(events.at(-1)?.seq, 'the log is dense').toBe(events.length);
}

test('a primary is killed under load: its standby takes over, servers follow by themselves, nothing acknowledged or seen is lost', async () => {
  const board = await makeBoard(asTestServer(serverAt(0)));
  for (const lane of ['work', 'idle']) await board.lane(lane);
  const load = new Load(board);
  onTestFinished(() => load.stop());
  const watchers: WatchSocket[] = [];
  for (const turn of [0, 1]) {
    const socket = await connectSocket(asTestServer(serverAt(turn)), board.name);
    ends.push(async () => socket.close());
    await socket.watch({ id: 'log', after: 'start' });
    watchers.push(socket);
  }
  const turns = Array.from({ length: WORKERS }, (_, turn) => turn);
  const working = Promise.all([
    load.create(0),
    load.create(1),
    load.cancel(0),
    ...turns.map((turn) => load.work(turn)),
  ]);
  await eventually('enough is acknowledged', () => load.haveRisen([0, 0, 0]), PATIENCE_MS);
  const before = load.counts;
  await pair.primary.kill();
  await pair.standby.sql`SELECT pg_promote(true, 30)`;
  await eventually('it goes on', () => load.haveRisen(before), PATIENCE_MS);
  load.stop();
  await working;

  expect(load.unexpected).toEqual([]);
  for (const { child } of servers) expect(child.exitCode).toBeNull();
  const audit = await auditBoard(pair.standby.sql, board.name);
  expectAcknowledged(audit, load);
  const last = audit.events.length;
  const log = audit.events.map(({ seq, kind, task_id }) => ({ seq, kind, task_id }));
  for (const watcher of watchers) {
    await watcher.event('log', ({ seq }) => seq === last);
    const seen = watcher.events('log').map(({ seq, kind, task_id }) => ({ seq, kind, task_id }));
    expect(seen, 'what was seen is what is').toEqual(log);
  }
});

const connections = async (): Promise<number[]> => {
  const rows = await pair.standby.sql<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity WHERE application_name = 'lanekeeper'`;
  return rows.map(({ pid }) => pid);
};

/** Every pool of both servers has to dial again. */
async function cutConnections(): Promise<void> {
  await pair.standby.sql`SELECT pg_terminate_backend(pid) FROM unnest(${await connections()}::int[]) AS pid`;
}

test('an old primary that comes back as one takes no writes of servers that have left it', async () => {
  const { primary, standby } = pair;
  await primary.start();
  const [stray] = await primary.sql`SELECT pg_is_in_recovery() AS is_standby`;
  expect(stray).toEqual({ is_standby: false });
  await cutConnections();
  const board = await eventually('the servers are back', () =>
    makeBoard(asTestServer(serverAt(0))).catch(() => null),
  );
  await eventually('the other one, too', async () => {
    const answer = await board.through(asTestServer(serverAt(1))).call('GET', '');
    return answer.status === 200;
  });
  expect(await standby.sql`SELECT FROM boards WHERE name = ${board.name}`).toHaveLength(1);
  expect(await primary.sql`SELECT FROM boards WHERE name = ${board.name}`).toHaveLength(0);
  expect(await primary.sql`SELECT FROM pg_stat_activity WHERE application_name = 'lanekeeper'`).toHaveLength(
    0,
  );
  await primary.kill();
});

test('a primary that takes no more writes loses its connections: whoever does is looked for', async () => {
  const { sql } = pair.standby;
  const board = await makeBoard(asTestServer(serverAt(0)));
  const before = await connections();
  expect(before.length).toBeGreaterThan(0);
  await sql`ALTER SYSTEM SET default_transaction_read_only = on`;
  await sql`SELECT pg_reload_conf()`;
  await eventually('both have let go', async () => {
    const now = await connections();
    return !now.some((pid) => before.includes(pid));
  });
  expect((await board.call('PUT', '/lanes/work', { body: {} })).status).toBe(503);
  await sql`ALTER SYSTEM RESET default_transaction_read_only`;
  await sql`SELECT pg_reload_conf()`;
  await eventually(
    'they write again',
    async () => (await board.call('PUT', '/lanes/work', { body: {} })).status < 300,
    PATIENCE_MS,
  );
});
