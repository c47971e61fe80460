/**
 * Two servers whose every transaction may be on another session of Postgres, as behind PgBouncer in transaction mode: nothing that they do
 * rests on prepared statements, settings or locks of a session.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Claim } from '../../../src/contract/claims.ts';
import { auditBoard } from '../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard } from '../../fixtures/board.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type PgBouncer, startPgBouncer } from '../../fixtures/pgbouncer.ts';
import { buildServer, type ServerProcess } from '../../fixtures/server-process.ts';
import { asTestServer, type ServerProcesses, startServerProcesses } from '../../fixtures/server-processes.ts';
import { openSocket } from '../../fixtures/watch-socket.ts';

const TASKS = 60;
const WORKERS = 4;

let processes: ServerProcesses;
let pooler: PgBouncer;
let first: ServerProcess;
let second: ServerProcess;

beforeAll(async () => {
  buildServer();
  processes = await startServerProcesses();
  pooler = await startPgBouncer(processes.databaseUrl);
  const settings = { DATABASE_URL: pooler.url, LANEKEEPER_NOTIFY: 'poll' };
  first = await processes.start(settings);
  for (const name of ['statement_timeout', 'idle_in_transaction_session_timeout'])
    await processes.sql`ALTER ROLE CURRENT_USER SET ${processes.sql(name)} = '10s'`;
  // Sessions have what their role had when they began.
  await processes.sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
  second = await processes.start(settings);
});
afterAll(async () => {
  await processes?.stop();
  await pooler?.stop();
});

test('a role without bounds is told of at the start, with the statements that give it some', () => {
  expect(first.output()).toContain('SET statement_timeout = ');
  expect(first.output()).toContain('SET idle_in_transaction_session_timeout = ');
  expect(second.output()).not.toContain('ALTER ROLE');
});

test('tasks are created, claimed, watched, ended and changed by the hundred through shared sessions, also when Postgres was killed', async () => {
  const board = await makeBoard(asTestServer(first));
  const other = board.through(asTestServer(second));
  await board.lane('work');
  const socket = await openSocket(other.server, board.name);
  await socket.watch({ id: 'log', after: 'start' });

  // A wait on one server is over when there is work by the other.
  const waiting = other.claims('work', { worker: 'waiter' }, { waitSeconds: 20 });
  await board.tasks('work', TASKS, { max_failures: 9, backoff: { base_seconds: 0 } });
  const [claim] = expectStatus(await waiting, 200).body.claims as Claim[];
  if (claim === undefined) throw new Error('the wait ended without a claim');
  expectStatus(await endClaim(board.server, claim, 'heartbeat', { progress: 1 }), 200);
  expectStatus(await endClaim(board.server, claim, 'complete'), 200);

  await processes.killDatabase();
  const unavailable = await board.call('POST', '/tasks', { body: { title: 'not now', lane: 'work' } });
  expect(unavailable.status).toBe(503);
  await processes.restartDatabase();
  await eventually(
    'both are back',
    async () => {
      const answers = await Promise.all(
        [board, other].map((each) => each.call('PUT', '/lanes/work', { body: {} })),
      );
      return answers.every(({ status }) => status < 300);
    },
    30_000,
  );

  const done = new Set<string>([claim.task.id]);
  const work = async (through: typeof board, worker: string): Promise<void> => {
    while (done.size < TASKS / 2) {
      const claims = expectStatus(await through.claims('work', { worker, max: 3 }), 200).body
        .claims as Claim[];
      for (const held of claims) {
        expectStatus(await endClaim(through.server, held, 'complete'), 200);
        done.add(held.task.id);
      }
    }
  };
  await Promise.all(
    Array.from({ length: WORKERS }, (_, turn) => work(turn % 2 === 0 ? board : other, `w-${turn}`)),
  );
  const operation = expectStatus(
    await board.call('POST', '/tasks/bulk', { body: { action: 'cancel', filter: { status: 'ready' } } }),
    202,
  ).body.operation;
  await eventually(
    'the rest is cancelled',
    async () => {
      const { body } = await other.call('GET', `/operations/${operation.id}`);
      return body.operation.status === 'done';
    },
    30_000,
  );

  const { events, fold } = await auditBoard(processes.sql, board.name);
  // What was answered 503 may have been done all the same: a pooler keeps what it was given until there is a database.
  const made = events.filter(({ kind }) => kind === 'task.created').length;
  expect([TASKS, TASKS + 1]).toContain(made);
  expect(fold.counts).toMatchObject({ done: done.size, ready: 0, running: 0, cancelled: made - done.size });
  await socket.event('log', ({ seq }) => seq === events.length);
  // What the servers have to say of workers that left may come after the audit.
  const seen = socket.events('log').map(({ seq }) => seq);
  expect(seen.filter((seq) => seq <= events.length)).toEqual(events.map(({ seq }) => seq));
});
