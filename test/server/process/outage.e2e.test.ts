/**
 * All servers or the database are away for longer than a lease. Whoever kept trying has lost nothing by it, what was acknowledged is there,
 * and everything goes on by itself.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../src/contract/claims.ts';
import type { EventKind } from '../../../src/contract/statuses.ts';
import { auditBoard } from '../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { type CallAnswer, type CallOptions, call } from '../../fixtures/server.ts';
import { buildServer, type ServerProcess } from '../../fixtures/server-process.ts';
import { asTestServer, type ServerProcesses, startServerProcesses } from '../../fixtures/server-processes.ts';

/** More than the 4 s from which docs/guarantees.md promises it: two gaps that do not count as an outage may come behind each other. */
const LEASE_SECONDS = 5;
/** How long everybody is away: longer than a lease, and than the gap that counts as an outage. */
const AWAY_MS = 5500;
/** A request to a server that stands still is given up after this, and sent again. */
const PATIENCE_MS = 1000;
/** Often, so that nearly the whole lease is left for coming back on a busy machine. */
const BEAT_INTERVAL_MS = 250;
const WORKERS = 6;
const TASKS = 90;
const REAPED: readonly EventKind[] = ['task.crashed', 'task.timed_out'];

let processes: ServerProcesses;
let server: ServerProcess;

beforeAll(async () => {
  buildServer();
  processes = await startServerProcesses();
  server = await processes.start();
});
afterAll(() => processes?.stop());

const passed = (ms: number): Promise<unknown> => {
  const until = performance.now() + ms;
  return eventually(`${ms} ms are over`, () => performance.now() >= until);
};

/** Null: nobody there, or not now. */
async function attempt(
  url: string,
  method: string,
  path: string,
  options: CallOptions,
): Promise<CallAnswer | null> {
  try {
    return await call(url, method, path, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    return null;
  }
}

/** A worker that heartbeats until its test is over, whatever it is answered. */
class PatientWorker {
  readonly statuses: (number | null)[] = [];
  #isOver = false;

  constructor(claim: Claim, urlOf: () => string) {
    const beat = async (): Promise<void> => {
      while (!this.#isOver) {
        const path = `/v1/runs/${claim.run_id}/heartbeat`;
        this.statuses.push(
          (await attempt(urlOf(), 'POST', path, { token: claim.token, body: {} }))?.status ?? null,
        );
        await passed(BEAT_INTERVAL_MS);
      }
    };
    const beating = beat();
    onTestFinished(() => this.stop(beating));
  }

  /** After what was answered so far, one of its heartbeats was accepted. */
  untilHeard(): Promise<unknown> {
    const known = this.statuses.length;
    return eventually('a heartbeat is accepted', () => this.statuses.slice(known).includes(200));
  }

  async stop(beating: Promise<void>): Promise<void> {
    this.#isOver = true;
    await beating;
  }
}

async function claimed(board: TestBoard, worker: string): Promise<Claim> {
  await board.task('work', { backoff: { base_seconds: 3600 } });
  return board.claim('work', { worker, lease_seconds: LEASE_SECONDS });
}

async function newBoard(): Promise<TestBoard> {
  const board = await makeBoard(asTestServer(server));
  await board.lane('work');
  return board;
}

const AWAY: Readonly<Record<string, () => Promise<() => Promise<void>>>> = {
  'was killed and is started again': async () => {
    await server.stop('SIGKILL');
    return async () => {
      server = await processes.start({ PORT: new URL(server.url).port });
    };
  },
  'stood still': async () => {
    server.child.kill('SIGSTOP');
    return async () => {
      server.child.kill('SIGCONT');
    };
  },
};

test.each(Object.keys(AWAY))(
  'a worker that keeps trying keeps its claim when the only server %s',
  async (name) => {
    const board = await newBoard();
    const [healthy, dead] = [await claimed(board, 'healthy'), await claimed(board, 'dead')];
    const worker = new PatientWorker(healthy, () => server.url);
    await worker.untilHeard();
    const comeBack = await AWAY[name]?.();
    await passed(AWAY_MS);
    // As if it had run out before: nothing is given back to this one, so its end shows that the reaper has judged.
    const { sql } = processes;
    await sql`UPDATE claims SET lease_expires_at = clock_timestamp() - interval '1 minute' WHERE worker = 'dead'`;
    await comeBack?.();
    await board.until(dead.task.id, ({ status }) => status !== 'running', 'is reaped');
    await worker.untilHeard();
    expectStatus(await endClaim(asTestServer(server), healthy, 'complete'), 200);
    expect(only(await board.runs(healthy.task.id)).outcome).toBe('completed');
    expect(server.output()).toContain('live leases are extended');
    expect((await call(server.url, 'GET', '/metrics')).body).toMatch(/^lanekeeper_outages_total [1-9]/m);
  },
);

/** Takes and completes tasks on two servers while there are any, and writes down what it was told. */
class Load {
  readonly delivered = new Set<string>();
  readonly completed = new Set<string>();
  readonly unavailable: CallAnswer[] = [];
  readonly wrong: CallAnswer[] = [];
  readonly #board: TestBoard;
  readonly #urls: readonly string[];
  isOver = false;

  constructor(board: TestBoard, urls: readonly string[]) {
    this.#board = board;
    this.#urls = urls;
  }

  async #attempt(turn: number, path: string, options: CallOptions): Promise<CallAnswer | null> {
    const answer = await call(this.#urls[turn % this.#urls.length] ?? '', 'POST', path, options);
    if (answer.status === 503) this.unavailable.push(answer);
    else if (answer.status >= 500) this.wrong.push(answer);
    return answer.status >= 500 ? null : answer;
  }

  #insist(turn: number, path: string, options: CallOptions): Promise<CallAnswer> {
    let next = turn;
    return eventually(`an answer to ${path}`, () => {
      next += 1;
      return this.#attempt(next, path, options);
    });
  }

  /** What the log knows of a run that was lost, for the message of a failure. */
  async #storyOf(run: string, answer: CallAnswer): Promise<string> {
    const events = (await this.#board.events()).filter((event) => event.run_id === run);
    return JSON.stringify({ answer: answer.body, events });
  }

  async work(worker: number): Promise<void> {
    for (let turn = worker; !this.isOver; turn += 1) {
      const body = { worker: `w-${worker}`, lease_seconds: LEASE_SECONDS };
      const options = { body, headers: { Prefer: 'wait=1' } };
      const answer = expectStatus(
        await this.#insist(turn, this.#board.path('/lanes/load/claims'), options),
        200,
      );
      for (const { run_id: run, token } of answer.body.claims as Claim[]) {
        this.delivered.add(run);
        expectStatus(
          await this.#insist(turn, `/v1/runs/${run}/heartbeat`, { token, body: { progress: 1 } }),
          200,
        );
        const completed = await this.#insist(turn, `/v1/runs/${run}/complete`, { token, body: {} });
        if (completed.status !== 200)
          throw new Error(`not completed: ${await this.#storyOf(run, completed)}`);
        this.completed.add(run);
      }
    }
  }
}

test('Postgres is killed under load and comes back: 503 with Retry-After meanwhile, nobody who works is reaped, nothing told is lost', async () => {
  const other = await processes.start();
  const urls = [server.url, other.url];
  const board = await newBoard();
  await board.lane('load');
  await board.tasks('load', TASKS, { max_failures: 9, backoff: { base_seconds: 0 } });
  const held = await claimed(board, 'holder');
  const holder = new PatientWorker(held, () => server.url);
  const load = new Load(board, urls);
  const workers = Promise.all(Array.from({ length: WORKERS }, (_, index) => load.work(index)));
  const story = async (): Promise<void> => {
    await Promise.all([
      holder.untilHeard(),
      eventually('some are done', () => load.completed.size >= TASKS / 3),
    ]);
    await processes.killDatabase();
    await passed(AWAY_MS);
    await processes.restartDatabase();
    await holder.untilHeard();
    const done = async () => (await board.call('GET', '')).body.board.counts.done === TASKS;
    await eventually('all are done', done);
    load.isOver = true;
  };
  await Promise.race([story(), workers.then(() => new Promise<never>(() => undefined))]);
  await workers;
  expectStatus(await endClaim(asTestServer(server), held, 'complete'), 200);

  expect(load.wrong).toEqual([]);
  expect(load.unavailable.length).toBeGreaterThan(0);
  for (const answer of load.unavailable) expect(answer.headers.get('Retry-After')).not.toBeNull();
  for (const one of [server, other]) expect(one.child.exitCode).toBeNull();
  const { events, fold } = await auditBoard(processes.sql, board.name);
  expect(fold.counts).toMatchObject({ done: TASKS + 1, ready: 0, running: 0 });
  // A claim may be made and its answer lost; whoever was told of one and went on has kept it.
  const runsOf = (kinds: readonly EventKind[]): Set<string> =>
    new Set(
      events.flatMap(({ kind, run_id }) => (kinds.includes(kind) && run_id !== undefined ? [run_id] : [])),
    );
  expect([...runsOf(REAPED)].filter((run) => load.delivered.has(run) || run === held.run_id)).toEqual([]);
  const completed = runsOf(['task.completed']);
  expect([...load.completed].filter((run) => !completed.has(run))).toEqual([]);
});
