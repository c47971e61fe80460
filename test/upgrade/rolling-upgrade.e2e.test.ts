/**
 * An upgrade under load, and the way back: servers of the version before the newest migration work on while the schema becomes the new one,
 * are replaced one by one, and one of them is put back. Nobody is refused, and nothing acknowledged is lost. What the load asks for, servers
 * of the version before must offer, too.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../src/contract/constants.ts';
import { DELIVERY_STATUSES, type EventKind } from '../../src/contract/statuses.ts';
import { auditBoard } from '../fixtures/audit.ts';
import { expectStatus, makeBoard } from '../fixtures/board.ts';
import { eventually } from '../fixtures/eventually.ts';
import { beginRequest } from '../fixtures/late-request.ts';
import type { Conflict, RollingClient } from '../fixtures/rolling-client.ts';
import { RollingLoad } from '../fixtures/rolling-load.ts';
import { call } from '../fixtures/server.ts';
import { buildServer, ROOT, type ServerProcess } from '../fixtures/server-process.ts';
import { asTestServer, type ServerProcesses, startServerProcesses } from '../fixtures/server-processes.ts';
import { connectSocket } from '../fixtures/watch-socket.ts';
import { Families } from './families.ts';
import { Handovers } from './handovers.ts';
import { buildPreviousServer, type PreviousServer } from './previous-server.ts';
import { Promotions } from './promotions.ts';
import { DRAFTS, Reviews } from './reviews.ts';

const run = promisify(execFile);
const HTTP_WORKERS = 4;
const SOCKET_WORKERS = 2;
const WATCHERS = 2;
const GATEWAYS = 2;
/** Completions under each state of affairs. */
const TASKS_BETWEEN = 80;
const OPEN_DELIVERIES = DELIVERY_STATUSES.filter((status) => status !== 'acked').join();
const FAILURES: readonly EventKind[] = ['task.crashed', 'task.failed', 'task.timed_out', 'task.gave_up'];

/** What else may be answered with 409 while servers are replaced; `isRepeat`: only to who asks again. */
const LEGITIMATE: readonly (Partial<Conflict> & Pick<Conflict, 'operation' | 'code'>)[] = [
  // Its claim_ack did not get through any more: the server that drained gave it back, and it is worked by another.
  { operation: 'complete what was pushed', code: 'claim_lost', reason: 'released' },
  // The one that was not answered has done it; the load sees to it that it has.
  { operation: 'accept', code: 'illegal_transition', isRepeat: true },
  // The one that was not answered is still at it; it is asked again.
  { operation: 'delegate', code: 'idempotency_in_flight', isRepeat: true },
  { operation: 'promote', code: 'idempotency_in_flight', isRepeat: true },
];

let processes: ServerProcesses;
let previous: PreviousServer;
/** Those that are asked; one that is replaced leaves before it stops. */
const servers: ServerProcess[] = [];

beforeAll(async () => {
  buildServer();
  previous = await buildPreviousServer();
  processes = await startServerProcesses({ isDatabaseEmpty: true });
});
afterAll(async () => {
  await processes?.stop();
  await previous?.remove();
});

function serverAt(turn: number): ServerProcess {
  const server = servers[turn % servers.length];
  if (server === undefined) throw new Error('there is always a server');
  return server;
}

function isLegitimate({ operation, code, reason, isRepeat }: Conflict): boolean {
  return LEGITIMATE.some(
    (known) =>
      known.operation === operation &&
      known.code === code &&
      known.reason === reason &&
      (isRepeat || known.isRepeat !== true),
  );
}

function expectPromised({ faults, conflicts, statuses }: RollingClient): void {
  expect(faults, 'refusals that are no 503 with its reason and Retry-After').toEqual([]);
  expect(
    conflicts.filter((conflict) => !isLegitimate(conflict)),
    'what was refused with 409',
  ).toEqual([]);
  expect(statuses.get(0) ?? 0, 'requests that got no answer at all').toBe(0);
}

/** As an operator does behind a balancer: the new one is ready before the old one is asked no more, and stops. */
async function replace(old: ServerProcess, { board, client }: RollingLoad, program?: string): Promise<void> {
  const server = await processes.start({}, program);
  expect((await call(server.url, 'GET', '/readyz', { token: null })).status).toBe(200);
  const late = await beginRequest(old.url, board.path(''));
  const socket = await connectSocket(asTestServer(old), board.name);
  servers.splice(servers.indexOf(old), 1, server);
  const stopped = old.stop();
  // It drains already when it closes its sockets.
  expect((await socket.closed()).code).toBe(CLOSE_CODES.drain);
  const refusal = await late.finish();
  client.note('a request to a server that drains', refusal);
  expect([refusal.status, refusal.code]).toEqual([503, 'draining']);
  expect(await stopped).toBe(0);
}

async function migrate(...words: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [join(ROOT, 'dist/server/main.js'), 'migrate', ...words], {
    env: { PATH: process.env['PATH'], DATABASE_URL: processes.databaseUrl },
  });
  return stdout;
}

test('the schema and then the servers are replaced under load, and one server goes back: nothing is refused, nothing is lost', async () => {
  const oldest = await processes.start({}, previous.program);
  servers.push(oldest, await processes.start({}, previous.program));
  const board = await makeBoard(asTestServer(oldest));
  await board.lane('work');
  await board.lane('pushed', { claim_mode: 'push' });
  await board.lane(DRAFTS);
  const load = new RollingLoad(board, serverAt);
  const [families, handovers] = [new Families(load), new Handovers(load)];
  const [reviews, promotions] = [new Reviews(load), new Promotions(load)];
  const kinds = [families, handovers, reviews, promotions];
  let last = Number.POSITIVE_INFINITY;
  const watchers = Array.from({ length: WATCHERS }, (_, index) =>
    load.watch(index, (seqs) => (seqs.at(-1) ?? 0) >= last),
  );
  const workers = [
    ...Array.from({ length: HTTP_WORKERS }, (_, index) => load.workOverHttp(index)),
    ...Array.from({ length: SOCKET_WORKERS }, (_, index) => load.workOverSocket(index)),
    ...Array.from({ length: GATEWAYS }, (_, index) => handovers.bring(index)),
  ];
  const creators = [load.create(0), load.create(1), ...kinds.map((kind) => kind.run())];
  const everybody = Promise.all([...workers, ...creators]);
  const untilMore = (): Promise<unknown> => {
    const target = load.completed.size + TASKS_BETWEEN;
    const before = kinds.map(({ rounds }) => rounds);
    return eventually(`${target} are completed, and a round of every kind`, () => {
      const isRound = kinds.every(({ rounds }, index) => rounds > (before[index] ?? 0));
      return isRound && load.completed.size >= target;
    });
  };
  const story = async (): Promise<void> => {
    await untilMore();
    expect(await migrate('--dry-run')).toMatch(/^Would apply \d+ of \d+ migrations/);
    expect(await migrate()).toMatch(/^Applied \d+ of \d+ migrations/);
    await untilMore();
    for (const old of [...servers]) {
      await replace(old, load);
      await untilMore();
    }
    await replace(serverAt(0), load, previous.program);
    await untilMore();
    load.isCreating = false;
    await Promise.all(creators);
    await eventually('all are completed', () => load.completed.size >= load.created.size);
    load.isOver = true;
  };
  try {
    // A worker that fails says so at once.
    await Promise.race([story(), everybody.then(() => new Promise<never>(() => undefined))]);
    await everybody;
  } finally {
    // Whatever else it led to: what was refused comes first, by its name.
    expectPromised(load.client);
  }

  const { events, fold } = await auditBoard(processes.sql, board.name);
  last = fold.seq;
  const every = events.map((event) => event.seq);
  for (const seen of await Promise.all(watchers)) expect(seen.slice(0, every.length)).toEqual(every);
  const finished = load.created.size + reviews.accepted.size;
  expect(Object.entries(fold.counts).filter(([, count]) => count > 0)).toEqual([['done', finished]]);
  expect(events.filter((event) => FAILURES.includes(event.kind))).toEqual([]);
  // An accept is nobody's run.
  const completions = events.filter(
    ({ kind, task_id: task = '' }) => kind === 'task.completed' && !reviews.accepted.has(task),
  );
  expect(completions).toHaveLength(load.completed.size);
  expect(new Map(completions.map((event) => [event.run_id, event.task_id]))).toEqual(load.completed);
  expect(new Set(load.completed.values())).toEqual(load.created);
  families.check(events);
  handovers.check({ events, fold });
  reviews.check(events);
  promotions.check(events);
  const there = board.through(asTestServer(serverAt(0)));
  const open = await there.call('GET', `/deliveries?status=${OPEN_DELIVERIES}`);
  expect(expectStatus(open, 200).body.deliveries).toEqual([]);

  expect(new Set(load.closeCodes)).toEqual(new Set([CLOSE_CODES.drain]));
});
