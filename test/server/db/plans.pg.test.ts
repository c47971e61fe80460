/**
 * The statements of the claim path find their rows by index whatever the statistics say: on a database that nobody has
 * analyzed, and on one with a large backlog and a long history. The texts are the server's own, caught as they are sent.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/server/db/client.ts';
import { claimReady } from '../../../src/server/features/claims/store/claim.ts';
import { completeRuns } from '../../../src/server/features/claims/store/complete.ts';
import { closeRuns, deleteClaims, lockHolds } from '../../../src/server/features/claims/store/end.ts';
import { extendLeases, recordBeats } from '../../../src/server/features/claims/store/heartbeat.ts';
import { moveTasks } from '../../../src/server/features/tasks/store/change.ts';
import { insertTasks } from '../../../src/server/features/tasks/store/create.ts';
import { DatabaseClock } from '../../../src/server/kernel/clock.ts';
import { IdSource } from '../../../src/server/kernel/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';

const BOARD_ID = 1;
const READY = 20_000;
const FINISHED = 20_000;
/** Rows of these grow with the work; everything else in a plan is small by construction. */
const GROWING = ['tasks', 'task_details', 'claims', 'runs', 'events'];
/** The live set, which stays small here. */
const SMALL = new Set(['claims']);

const ids = new IdSource(new DatabaseClock());
let testDatabase: TestDatabase;
let database: Database;
/**
 * Relations whose rows must be found by id. Postgres before 17 reads all of a board that it believes to hold a handful of rows,
 * which is right while it does; the pool's connections live for a minute, so the belief is never older. There, only relations that
 * are filled are held to it.
 */
let lookedUp: ReadonlySet<string> = new Set(GROWING);
let isOldPlanner = false;
let statements: { text: string; parameters: readonly unknown[] }[] = [];

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Parent Relationship'?: string;
  readonly Plans?: readonly PlanNode[];
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** Whether the node's own input holds the backlog: tasks that were neither limited nor looked up by id. */
function readsBacklog(node: PlanNode): boolean {
  if (node['Node Type'] === 'Limit' || node['Parent Relationship'] === 'InitPlan') return false;
  const isLookedUp = /[( ]id = /.test(node['Index Cond'] ?? '');
  return (node['Relation Name'] === 'tasks' && !isLookedUp) || (node.Plans ?? []).some(readsBacklog);
}

/** What is wrong with a plan, in words. */
function faultsOf(plan: PlanNode): string[] {
  return nodesOf(plan).flatMap((node) => {
    const relation = node['Relation Name'] ?? '';
    const inserts = node['Node Type'] === 'ModifyTable';
    if (lookedUp.has(relation) && !inserts && !node['Node Type'].startsWith('Index'))
      return [`${node['Node Type']} of ${relation}`];
    if (
      lookedUp.has(relation) &&
      node['Node Type'].startsWith('Index') &&
      !/id = /.test(node['Index Cond']?.replace('board_id', '') ?? '')
    ) {
      const isClaimOrder = /lane = /.test(node['Index Cond'] ?? '');
      if (!isClaimOrder) return [`${node['Node Type']} of ${relation} by ${node['Index Cond']}`];
    }
    const sorts = node['Node Type'].includes('Sort') && (node.Plans ?? []).some(readsBacklog);
    return sorts ? ['a sort of tasks'] : [];
  });
}

/** The driver shows parameters as it sends them: as text. */
function inlined(text: string, parameters: readonly unknown[]): string {
  return text.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = parameters[Number(number) - 1];
    return value === null || value === undefined ? 'NULL' : `'${String(value).replaceAll("'", "''")}'`;
  });
}

/** Runs the work, then explains every statement that it sent. */
async function faultsDuring(work: () => Promise<unknown>): Promise<string[]> {
  statements = [];
  await work();
  const caught = statements.filter(({ text }) => /^\s*\/\* (claims|tasks|log)\./.test(text));
  expect(caught.length).toBeGreaterThan(0);
  const faults: string[] = [];
  for (const { text, parameters } of caught) {
    const tag = /\/\* (\S+) \*\//.exec(text)?.[1];
    const [row] = await database.hot.unsafe(`EXPLAIN (FORMAT JSON) ${inlined(text, parameters)}`);
    const [explained] = (row?.['QUERY PLAN'] ?? []) as { Plan: PlanNode }[];
    if (explained === undefined) throw new Error(`no plan for ${tag}`);
    faults.push(...faultsOf(explained.Plan).map((fault) => `${tag}: ${fault}`));
  }
  return faults;
}

function newTasks(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    id: ids.next(),
    title: `task ${index}`,
    body: null,
    status: 'ready' as const,
    lane: 'lane-0',
    priority: 0,
    payload: null,
    labels: {},
    backoff: null,
    tenant: null,
    external_ref: null,
    idempotency_key: null,
    traceparent: null,
    max_failures: 2,
    max_runtime_seconds: null,
    no_progress_seconds: null,
    run_at: null,
    blocked_kind: null,
    actor: { type: 'system' as const, id: 'test' },
    created_by_run: null,
  }));
}

function slots(count: number) {
  return Array.from({ length: count }, () => ({
    lane: 'lane-0',
    runId: ids.next(BOARD_ID),
    worker: 'w',
    keyId: 'key',
    leaseSeconds: 60,
    maxRuntimeSeconds: null,
    noProgressSeconds: null,
  }));
}

/** One life of some tasks: created, claimed, renewed, completed or moved otherwise. */
async function faultsOfALife(): Promise<string[]> {
  const faults = await faultsDuring(() => insertTasks(database.hot, BOARD_ID, newTasks(20)));
  let claimed: Awaited<ReturnType<typeof claimReady>> = [];
  faults.push(
    ...(await faultsDuring(async () => {
      claimed = await claimReady(database.hot, BOARD_ID, 1, slots(20), null);
    })),
  );
  expect(claimed).toHaveLength(20);
  const holds = claimed.map((row) => ({ taskId: row.id, runId: row.run_id, attempt: row.attempt }));
  const beats = holds.map((hold) => ({ ...hold, leaseSeconds: null, progress: null, hasCheckpoint: false }));
  faults.push(...(await faultsDuring(() => extendLeases(database.hot, BOARD_ID, beats))));
  const logged = holds.map((hold) => ({ ...hold, metadata: { a: 1 }, checkpoint: '{}' }));
  faults.push(...(await faultsDuring(() => database.hot.begin((tx) => recordBeats(tx, BOARD_ID, logged)))));
  const completions = holds.slice(0, 10).map((hold) => ({
    ...hold,
    actorId: 'run',
    fingerprint: 'f',
    summary: null,
    result: null,
    metadata: null,
  }));
  faults.push(...(await faultsDuring(() => completeRuns(database.hot, BOARD_ID, completions))));
  faults.push(
    ...(await faultsDuring(() =>
      database.hot.begin(async (tx) => {
        const held = await lockHolds(tx, BOARD_ID, holds.slice(10));
        await deleteClaims(
          tx,
          BOARD_ID,
          held.map((row) => row.id),
        );
        await moveTasks(
          tx,
          BOARD_ID,
          held.map((before) => ({ before, after: { status: 'ready' as const } })),
        );
        const closing = {
          outcome: 'released' as const,
          endedBy: { type: 'system' as const, id: 'test' },
          fingerprint: null,
          summary: null,
        };
        await closeRuns(
          tx,
          BOARD_ID,
          held.map((row) => ({
            taskId: row.id,
            attempt: row.attempt,
            ...closing,
            error: null,
            result: null,
            metadata: null,
            evidence: null,
          })),
        );
      }),
    )),
  );
  return faults;
}

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  const { sql } = testDatabase;
  const [version] = await sql`SELECT current_setting('server_version_num')::int AS number`;
  isOldPlanner = version?.['number'] < 170000;
  await sql`INSERT INTO boards (name, log_incarnation) VALUES ('default', 'abcdefgh')`;
  await sql`INSERT INTO board_seq (board_id) VALUES (${BOARD_ID})`;
  database = openDatabase({
    url: testDatabase.url,
    onHotStatement: (text, parameters) => statements.push({ text, parameters }),
  });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

describe('plans of the claim path', () => {
  test('use indexes on a database that is new and was never analyzed', async () => {
    lookedUp = new Set(isOldPlanner ? [] : GROWING);
    expect(await faultsOfALife()).toEqual([]);
  });

  test('use indexes on a database with a large backlog and a long history, analyzed or not', async () => {
    lookedUp = new Set(GROWING.filter((relation) => !(isOldPlanner && SMALL.has(relation))));
    const { sql } = testDatabase;
    await sql`
      INSERT INTO tasks (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures, protocol_violations,
        max_failures, status_since, created_at, updated_at)
      SELECT ${BOARD_ID}, gen_random_uuid(), 'lane-' || n % 10, CASE WHEN n <= ${READY} THEN 'ready' ELSE 'done' END, -1, 1, 1, 0, 0, 0, 2, now(), now(), now()
      FROM generate_series(1, ${READY + FINISHED}::int) AS n`;
    await sql`INSERT INTO task_details (board_id, task_id, title, created_by_type, created_by_id) SELECT board_id, id, 'filler', 'system', 'test' FROM tasks ON CONFLICT DO NOTHING`;
    await sql`
      INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at)
      SELECT board_id, id, 1, gen_random_uuid(), lane, 'w', 'completed', now(), now() FROM tasks WHERE status = 'done' ON CONFLICT DO NOTHING`;
    expect(await faultsOfALife()).toEqual([]);
    await sql`ANALYZE`;
    expect(await faultsOfALife()).toEqual([]);
  });
});
