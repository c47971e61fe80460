/**
 * After a gap in which no server was there nobody is reaped for it: everything here is set in SQL relative to the last beat, on a database
 * without a running server, and the sweeps are called one by one. The database's clock stands still, so what they find is exact, however
 * long a test takes.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Event } from '../../../../src/contract/events.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { Outages, Reaper } from '../../../../src/server/features/claims/service.ts';
import { lockOverdueHolds } from '../../../../src/server/features/claims/store/end.ts';
import { endClaim, expectStatus, makeBoard } from '../../../fixtures/board.ts';
import { type TestDatabase, useTestDatabase } from '../../../fixtures/database.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { holdAmnesties, holdClaim, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { startTestServer } from '../../../fixtures/server.ts';
import { stopClock } from '../../../fixtures/stopped-clock.ts';
import { fillBoard, prepareBoards, untilPrunable } from '../../db/claim-path.ts';

const NEVER = new AbortController().signal;
const LEASE_SECONDS = 60;

const quiet: Wake = {
  ring: () => undefined,
  subscribe: () => () => undefined,
  nudge: () => undefined,
  subscribeNudges: () => () => undefined,
  run: () => Promise.resolve(),
  close: () => Promise.resolve(),
  pollAgeMs: () => 0,
};

/** The sweeps of one server. */
class Sweeps {
  readonly database: Database;
  readonly outages: { seconds: number; leases: number }[] = [];
  readonly reaped: string[] = [];
  readonly #outages: Outages;
  readonly #reaper: Reaper;

  /** @param giver whose connections give time back: those of `sweeps` wait a second for a lock, those of `cold` ten. */
  constructor(url: string, giver: 'sweeps' | 'cold' = 'sweeps') {
    this.database = openDatabase({ url });
    const { sweeps } = this.database;
    this.#outages = new Outages({
      sql: this.database[giver],
      onOutage: (outage) => this.outages.push(outage),
    });
    this.#reaper = new Reaper(sweeps, quiet, (limit) => this.reaped.push(limit));
    onTestFinished(() => this.database.close());
  }

  beat(): Promise<void> {
    return this.#outages.beat(NEVER);
  }

  reap(): Promise<void> {
    return this.#reaper.sweep(NEVER);
  }
}

interface Scene {
  readonly test: TestDatabase;
  readonly sweeps: Sweeps;
  /** By the name of their worker. */
  readonly claims: ReadonlyMap<string, Claim>;
  readonly board: string;
}

/** Claims of workers with these names, as a server leaves them that is stopped. */
async function leftBehind(...workers: readonly string[]): Promise<Scene> {
  const database = await useTestDatabase();
  const server = await startTestServer(database.url);
  const board = await makeBoard(server);
  await board.lane('work');
  await board.tasks('work', workers.length, { backoff: { base_seconds: 3600 } });
  const claims = new Map<string, Claim>();
  for (const worker of workers)
    claims.set(worker, await board.claim('work', { worker, lease_seconds: LEASE_SECONDS }));
  await server.stop();
  await stopClock(database);
  return { test: database, sweeps: new Sweeps(database.url), claims, board: board.name };
}

/** The last beat was so long ago, by the clock that stands still. */
async function stopPulse({ sql }: TestDatabase, seconds: number): Promise<void> {
  await sql`
    INSERT INTO pulse (id, beat_at) SELECT 1, at - make_interval(secs => ${seconds}) FROM stopped_clock.moment
    ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at`;
}

/** Columns of a worker's claim, in seconds from the last beat. */
async function setClaim(
  { sql }: TestDatabase,
  worker: string,
  clocks: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [column, seconds] of Object.entries(clocks))
    await sql`
      UPDATE claims SET ${sql(column)} = (SELECT beat_at FROM pulse) + make_interval(secs => ${seconds}),
        is_cancel_requested = is_cancel_requested OR ${column === 'cancel_deadline_at'}
      WHERE worker = ${worker}`;
}

async function runOf({ sql }: TestDatabase, worker: string): Promise<string> {
  return only(await sql<{ run_id: string }[]>`SELECT run_id FROM claims WHERE worker = ${worker}`).run_id;
}

/** A column of all claims by worker, in seconds from the last beat. */
async function readClaims({ sql }: TestDatabase, column: string): Promise<Map<string, number>> {
  const rows = await sql<{ worker: string; seconds: number }[]>`
    SELECT worker, date_part('epoch', ${sql(column)} - (SELECT beat_at FROM pulse)) AS seconds FROM claims`;
  return new Map(rows.map(({ worker, seconds }) => [worker, seconds]));
}

describe('after an outage', () => {
  test('each live lease has what it had left when it began, never more than its own length, and the dead stay dead', async () => {
    const { test: database, sweeps } = await leftBehind('alive', 'dead', 'heard');
    await stopPulse(database, 600);
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await setClaim(database, 'dead', { lease_expires_at: -1 });
    await setClaim(database, 'heard', { last_heartbeat_at: 570, lease_expires_at: 570 + LEASE_SECONDS });
    await sweeps.beat();
    // The pulse goes on, so these count from now.
    const left = await readClaims(database, 'lease_expires_at');
    expect(left.get('alive')).toBe(20);
    expect(left.get('dead')).toBe(-601);
    expect(left.get('heard')).toBe(LEASE_SECONDS);
    expect(only(sweeps.outages).leases).toBe(2);
    expect(only(sweeps.outages).seconds).toBe(600);
    await sweeps.reap();
    expect(sweeps.reaped).toEqual(['lease']);
    expect([...(await readClaims(database, 'lease_expires_at')).keys()].sort()).toEqual(['alive', 'heard']);
  });

  test('a backup of last week holds nothing for longer than a lease', async () => {
    const { test: database, sweeps } = await leftBehind('restored');
    const week = 7 * 86_400;
    await stopPulse(database, week);
    await setClaim(database, 'restored', { lease_expires_at: LEASE_SECONDS, cancel_deadline_at: 30 });
    await sweeps.beat();
    expect((await readClaims(database, 'lease_expires_at')).get('restored')).toBe(LEASE_SECONDS);
    expect((await readClaims(database, 'cancel_deadline_at')).get('restored')).toBe(30);
  });

  test('the time for progress and for the answer to a cancel stood still, the limit on run time did not', async () => {
    const { test: database, sweeps } = await leftBehind('busy', 'stuck', 'cancelled', 'late', 'new', 'long');
    await database.sql`UPDATE claims SET no_progress_seconds = 30 WHERE worker IN ('busy', 'stuck')`;
    await stopPulse(database, 600);
    await setClaim(database, 'busy', { lease_expires_at: 20, last_progress_at: -10 });
    await setClaim(database, 'stuck', { lease_expires_at: 20, last_progress_at: -31 });
    await setClaim(database, 'cancelled', { lease_expires_at: 20, cancel_deadline_at: 5 });
    await setClaim(database, 'late', { lease_expires_at: 20, cancel_deadline_at: -1 });
    // Asked for when the servers were there again already: it keeps the time that it was given.
    await setClaim(database, 'new', { lease_expires_at: 20, cancel_deadline_at: 900 });
    await setClaim(database, 'long', { lease_expires_at: 20, runtime_expires_at: 10 });
    await sweeps.beat();
    const progress = await readClaims(database, 'last_progress_at');
    expect(progress.get('busy')).toBe(-10);
    expect(progress.get('stuck')).toBe(-631);
    const deadlines = await readClaims(database, 'cancel_deadline_at');
    expect(deadlines.get('cancelled')).toBe(5);
    expect(deadlines.get('late')).toBe(-601);
    expect(deadlines.get('new')).toBe(300);
    await sweeps.reap();
    expect(sweeps.reaped.sort()).toEqual(['cancel_deadline', 'max_runtime', 'no_progress']);
    expect([...(await readClaims(database, 'lease_expires_at')).keys()].sort()).toEqual([
      'busy',
      'cancelled',
      'new',
    ]);
  });

  test('a lease that was extended and runs out all the same says by how much, in run and event', async () => {
    const { test: database, sweeps, claims, board } = await leftBehind('gone');
    await stopPulse(database, 600);
    await setClaim(database, 'gone', { claimed_at: -45, lease_expires_at: LEASE_SECONDS - 45 });
    await sweeps.beat();
    await database.sql`UPDATE claims SET claimed_at = claimed_at - interval '60 s', lease_expires_at = lease_expires_at - interval '60 s'`;
    await sweeps.reap();
    const server = await startTestServer(database.url);
    onTestFinished(() => server.stop());
    const runId = claims.get('gone')?.run_id;
    const { run } = expectStatus(await server.call('GET', `/v1/runs/${runId}`), 200).body;
    expect(run).toMatchObject({ outcome: 'crashed', evidence: { limit: 'lease' } });
    expect(run.evidence.amnesty_seconds).toBe(600);
    const { events } = (await server.call('GET', `/v1/boards/${board}/events?kinds=task.crashed`)).body;
    expect(only(events as Event[]).data['evidence']).toEqual(run.evidence);
  });
});

describe('the reaper', () => {
  test('judges nobody between the end of an outage and what is given back for it', async () => {
    const { test: database, sweeps } = await leftBehind('alive', 'dead');
    await stopPulse(database, 600);
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await setClaim(database, 'dead', { lease_expires_at: -1 });
    await sweeps.reap();
    // Nor does the statement that judges, had the sweep been on its way to it since before.
    const [board] = await database.sql<{ id: number }[]>`SELECT DISTINCT board_id AS id FROM claims`;
    const { cold } = sweeps.database;
    expect(await cold.begin((tx) => lockOverdueHolds(tx, board?.id ?? 0, 10))).toEqual([]);
    expect(sweeps.reaped).toEqual([]);
    await sweeps.beat();
    await sweeps.reap();
    expect(sweeps.reaped).toEqual(['lease']);
  });

  test('judges nobody before the very first beat, which gives nothing back', async () => {
    const { test: database, sweeps } = await leftBehind('dead');
    await stopPulse(database, 0);
    await setClaim(database, 'dead', { lease_expires_at: -1 });
    await database.sql`DELETE FROM pulse`;
    await sweeps.reap();
    expect(sweeps.reaped).toEqual([]);
    await sweeps.beat();
    await sweeps.reap();
    expect(sweeps.reaped).toEqual(['lease']);
    expect(sweeps.outages).toEqual([]);
  });

  test('takes what is overdue, and that only, on a server that was paused while others were there', async () => {
    const { test: database, sweeps: paused } = await leftBehind('alive', 'dead');
    const awake = new Sweeps(database.url);
    await paused.beat();
    await stopPulse(database, 1);
    await setClaim(database, 'dead', { lease_expires_at: -1 });
    await awake.beat();
    await Promise.all([paused.reap(), paused.beat()]);
    expect(paused.reaped).toEqual(['lease']);
    expect([...paused.outages, ...awake.outages]).toEqual([]);
    expect((await readClaims(database, 'lease_expires_at')).has('alive')).toBe(true);
  });
});

describe('when the database’s clock was put back', () => {
  test('the pulse begins afresh and gives nothing back, nobody is judged before, and the next outage is one again', async () => {
    const { test: database, sweeps } = await leftBehind('alive', 'dead');
    await stopPulse(database, -3600);
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await setClaim(database, 'dead', { lease_expires_at: -3601 });
    const leases = (): Promise<unknown> =>
      database.sql`SELECT worker, lease_expires_at::text FROM claims ORDER BY worker`;
    const before = await leases();
    await sweeps.reap();
    expect(sweeps.reaped).toEqual([]);
    await sweeps.beat();
    expect(await leases()).toEqual(before);
    expect(sweeps.outages).toEqual([]);
    expect(await database.sql`SELECT FROM pulse WHERE beat_at <= clock_timestamp()`).toHaveLength(1);
    await sweeps.beat();
    await sweeps.reap();
    expect(sweeps.reaped).toEqual(['lease']);
    // Within the hour in which the old beat would have passed for fresh.
    await stopPulse(database, 600);
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await sweeps.beat();
    expect((await readClaims(database, 'lease_expires_at')).get('alive')).toBe(20);
    expect(only(sweeps.outages).leases).toBe(1);
  });

  test('by less than the gap that counts the pulse is not taken back, and judged is as ever', async () => {
    const { test: database, sweeps } = await leftBehind('dead');
    await stopPulse(database, -1.5);
    await setClaim(database, 'dead', { lease_expires_at: -3 });
    const [before] = await database.sql<{ at: string }[]>`SELECT beat_at::text AS at FROM pulse`;
    await sweeps.beat();
    expect(
      await database.sql`SELECT FROM pulse WHERE beat_at >= ${before?.at ?? ''}::timestamptz`,
    ).toHaveLength(1);
    await sweeps.reap();
    expect(sweeps.reaped).toEqual(['lease']);
  });
});

describe('two servers that come back together', () => {
  test('give back once: the other one does not wait, and nobody reaps meanwhile', async () => {
    const { test: database, sweeps: second, claims } = await leftBehind('alive', 'other');
    const first = new Sweeps(database.url, 'cold');
    await stopPulse(database, 600);
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await setClaim(database, 'other', { lease_expires_at: 20 });
    const lock = await untilTestEnds(holdAmnesties(database.sql));
    const giving = first.beat();
    await untilStanding(database.sql, 'claims.give_back', 'gate');
    await second.beat();
    await second.reap();
    expect([second.outages, second.reaped]).toEqual([[], []]);
    await lock.release();
    await giving;
    await second.beat();
    await Promise.all([first.reap(), second.reap()]);
    expect(first.outages).toMatchObject([{ leases: claims.size }]);
    expect([...second.outages, ...first.reaped, ...second.reaped]).toEqual([]);
    expect((await readClaims(database, 'lease_expires_at')).get('alive')).toBe(20);
  });

  test('give back once, whichever of them is first', async () => {
    const { test: database, sweeps: first } = await leftBehind('alive');
    const second = new Sweeps(database.url);
    for (let round = 0; round < 10; round += 1) {
      await stopPulse(database, 600);
      await setClaim(database, 'alive', { lease_expires_at: 20 });
      await Promise.all([first.beat(), second.beat(), first.beat(), second.beat()]);
      expect((await readClaims(database, 'lease_expires_at')).get('alive')).toBe(20);
      expect(first.outages.length + second.outages.length).toBe(round + 1);
    }
  });

  test('what a server gave that died in the middle is taken back, and given by the next', async () => {
    const { test: database, sweeps: survivor } = await leftBehind('alive', 'other');
    const dying = new Sweeps(database.url, 'cold');
    await stopPulse(database, 600);
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await setClaim(database, 'other', { lease_expires_at: 20 });
    const lock = await untilTestEnds(holdAmnesties(database.sql));
    const giving = dying.beat();
    const [pid = 0] = await untilStanding(database.sql, 'claims.give_back', 'gate');
    const failed = expect(giving).rejects.toThrow();
    await database.sql`SELECT pg_terminate_backend(${pid})`;
    await failed;
    await lock.release();
    await survivor.beat();
    expect(survivor.outages).toMatchObject([{ leases: 2 }]);
    const left = await readClaims(database, 'lease_expires_at');
    for (const worker of ['alive', 'other']) expect(left.get(worker)).toBe(20);
  });
});

describe('a claim that somebody has locked when time is given back', () => {
  test('holds up nobody, is judged by nobody, and has what it is owed when it is free again, once', async () => {
    const { test: database, sweeps } = await leftBehind('alive', 'dead', 'locked');
    const other = new Sweeps(database.url);
    await stopPulse(database, 600);
    await setClaim(database, 'dead', { lease_expires_at: -1 });
    await setClaim(database, 'alive', { lease_expires_at: 20 });
    await setClaim(database, 'locked', { lease_expires_at: 20 });
    const lock = await untilTestEnds(holdClaim(database.sql, await runOf(database, 'locked')));
    await sweeps.beat();
    expect(only(sweeps.outages).leases).toBe(2);
    await Promise.all([sweeps.reap(), other.reap()]);
    expect([...sweeps.reaped, ...other.reaped]).toEqual(['lease']);
    expect((await readClaims(database, 'lease_expires_at')).get('alive')).toBe(20);
    // Still locked: what it is owed stays owed.
    await sweeps.beat();
    await lock.release();
    // Nobody judges it either before it has had its time.
    await sweeps.reap();
    expect((await readClaims(database, 'lease_expires_at')).get('locked')).toBe(-580);
    await Promise.all([sweeps.beat(), other.beat()]);
    expect((await readClaims(database, 'lease_expires_at')).get('locked')).toBe(20);
    await sweeps.beat();
    expect((await readClaims(database, 'lease_expires_at')).get('locked')).toBe(20);
    expect(await database.sql`SELECT FROM amnesties`).toHaveLength(0);
    expect([...sweeps.outages, ...other.outages]).toHaveLength(1);
  });

  test('is given the time of a second outage behind that of the first, and nothing is owed to one that is gone', async () => {
    const { test: database, sweeps } = await leftBehind('locked', 'gone');
    await stopPulse(database, 600);
    for (const worker of ['locked', 'gone']) await setClaim(database, worker, { lease_expires_at: 20 });
    const locks = [
      await untilTestEnds(holdClaim(database.sql, await runOf(database, 'locked'))),
      await untilTestEnds(holdClaim(database.sql, await runOf(database, 'gone'))),
    ];
    await sweeps.beat();
    await stopPulse(database, 300);
    await sweeps.beat();
    expect(await database.sql`SELECT FROM amnesties`).toHaveLength(4);
    for (const lock of locks) await lock.release();
    await database.sql`DELETE FROM claims WHERE worker = 'gone'`;
    // One outage at a time.
    for (let beat = 0; beat < 2; beat += 1) await sweeps.beat();
    expect(await database.sql`SELECT FROM amnesties`).toHaveLength(0);
    // 20 s were left of it, of which 300 were not spent: the second outage began when 300 s of the first were over.
    expect((await readClaims(database, 'lease_expires_at')).get('locked')).toBe(60);
    await sweeps.reap();
    expect(sweeps.reaped).toEqual([]);
  });
});

test('outage after outage, heartbeats and ends that are under way neither fail nor meet it in a circle', async () => {
  const database = await useTestDatabase();
  const server = await startTestServer(database.url);
  onTestFinished(() => server.stop());
  const board = await makeBoard(server);
  await board.lane('work');
  await board.tasks('work', 200);
  const claims = expectStatus(await board.claims('work', { max: 100, lease_seconds: LEASE_SECONDS }), 200)
    .body.claims as Claim[];
  claims.push(
    ...expectStatus(await board.claims('work', { max: 100, lease_seconds: LEASE_SECONDS }), 200).body.claims,
  );
  const sweeps = new Sweeps(database.url);
  let isOver = false;
  const work = async (order: readonly Claim[]): Promise<void> => {
    for (let count = 0; !isOver; count += 1) {
      const operations = order.map(({ token }) => ({ op: 'heartbeat', token, progress: count }));
      const { results } = (await server.call('POST', '/v1/runs/batch', { body: { operations } })).body;
      expect(results.filter((result: { ok: boolean }) => !result.ok)).toEqual([]);
    }
    for (const claim of order) expectStatus(await endClaim(server, claim, 'release'), 200);
  };
  const workers = [claims.slice(0, 100), claims.slice(100).reverse()].map(work);
  while (sweeps.outages.length < 15) {
    // By a clock that goes on: the server works all the while.
    await database.sql`UPDATE pulse SET beat_at = clock_timestamp() - interval '10 minutes'`;
    await Promise.all([sweeps.beat(), sweeps.reap()]);
  }
  isOver = true;
  await Promise.all(workers);
  expect(sweeps.reaped).toEqual([]);
  const [counted] = await database.sql<{ deadlocks: number }[]>`
    SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`;
  expect(counted).toEqual({ deadlocks: 0 });
});

test('a fleet’s leases are extended in place, all of them, and each once', async () => {
  const fleet = 5000;
  const database = await useTestDatabase({ plainBecause: 'updates in place are counted, of one table' });
  await prepareBoards(database, 2);
  await fillBoard(database, { ready: 0, done: 0, running: fleet, lanes: 2 });
  await fillBoard(database, { boardId: 2, ready: 0, done: 0, running: 10, lanes: 2 });
  await stopClock(database);
  const sweeps = new Sweeps(database.url);
  const updates = async () => {
    const [row] = await database.sql<{ all: number; hot: number }[]>`
      SELECT n_tup_upd::int AS "all", n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'claims'`;
    return row ?? { all: 0, hot: 0 };
  };
  await stopPulse(database, 600);
  await database.sql`UPDATE claims SET lease_expires_at = (SELECT beat_at FROM pulse) + interval '20 s'`;
  await untilPrunable(database);
  await database.sql`VACUUM claims`;
  const before = await updates();
  await sweeps.beat();
  expect(only(sweeps.outages).leases).toBe(fleet + 10);
  // Each session tells of its own, some later than others.
  const after = await eventually('all of it is counted', async () => {
    await sweeps.database.sweeps`SELECT pg_stat_force_next_flush()`;
    const counted = await updates();
    return counted.all - before.all >= fleet + 10 ? counted : null;
  });
  expect(after.all - before.all).toBe(fleet + 10);
  expect((after.hot - before.hot) / (after.all - before.all)).toBeGreaterThan(0.95);
  const left = await database.sql`
    SELECT FROM claims, stopped_clock.moment WHERE lease_expires_at = moment.at + interval '20 s'`;
  expect(left).toHaveLength(fleet + 10);
});
