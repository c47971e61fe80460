/**
 * The statements of the claim path find their rows by index whatever the statistics say: on a database that nobody has analyzed and on
 * one that was vacuumed while it was empty; with a large backlog, a long history and many live claims; and with plans that were
 * made before all that was there. Shown twice: by what Postgres counted, and by the plans of the server's own texts, caught
 * as they are sent.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/server/db/client.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import { BATCH, countReads, fillBoard, operations, prepareBoards, untilPrunable } from './claim-path.ts';

/** Far from what a look-up of each row takes, farther from any part of what is filled in below. */
const READS_MAX = 20 * BATCH;
/** Rows of these grow with the work; everything else in a plan is small by construction. */
const GROWING = [
  'tasks',
  'task_details',
  'links',
  'comments',
  'claims',
  'runs',
  'events',
  'outputs',
  'output_lines',
];

interface Site {
  readonly test: TestDatabase;
  readonly connect: () => Connection;
}

/** One connection of the claim path, which keeps its plans. */
interface Connection {
  readonly database: Database;
  readonly statements: { text: string; parameters: readonly unknown[] }[];
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Join Filter'?: string;
  readonly Plans?: readonly PlanNode[];
}

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function openSite(): Promise<Site> {
  const database = await createTestDatabase({ plainBecause: 'vacuums are switched off table by table' });
  cleanUps.push(() => database.drop());
  await prepareBoards(database);
  const connect = (): Connection => {
    const statements: Connection['statements'] = [];
    const opened = openDatabase({
      url: database.url,
      hotConnectionsMax: 1,
      onHotStatement: (text, parameters) => statements.push({ text, parameters }),
    });
    cleanUps.push(() => opened.close());
    return { database: opened, statements };
  };
  return { test: database, connect };
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** Whether the node's own input holds the backlog: tasks that were neither limited nor looked up one by one. */
function readsBacklog(node: PlanNode): boolean {
  if (node['Node Type'] === 'Limit' || node['Node Type'] === 'CTE Scan') return false;
  const isLookedUp = node['Node Type'] === 'Tid Scan' || /[( ]id = /.test(node['Index Cond'] ?? '');
  return (node['Relation Name'] === 'tasks' && !isLookedUp) || (node.Plans ?? []).some(readsBacklog);
}

/** What is wrong with a plan, in words. */
function faultsOf(plan: PlanNode): string[] {
  return nodesOf(plan).flatMap((node) => {
    const type = node['Node Type'];
    const relation = node['Relation Name'] ?? '';
    const isScan = type.endsWith('Scan') && GROWING.includes(relation);
    const condition = node['Index Cond']?.replaceAll('board_id', '') ?? '';
    if (isScan && type !== 'Tid Scan' && !/(id|key|lane|reviewer|created_by_run) = /.test(condition))
      return [`${type} of ${relation} by ${condition || 'nothing'}`];
    if (node['Join Filter'] !== undefined) return [`each row compared with each: ${node['Join Filter']}`];
    const sorts = type.includes('Sort') && (node.Plans ?? []).some(readsBacklog);
    return sorts ? ['a sort of tasks'] : [];
  });
}

/** The driver shows parameters as it sends them: as text. */
function literalOf(value: unknown): string {
  return value === null || value === undefined ? 'NULL' : `'${String(value).replaceAll("'", "''")}'`;
}

/** Faults in the plans of everything that was sent since the last call, planned anew for any parameters. */
async function plannedFaults({ database, statements }: Connection): Promise<string[]> {
  const caught = new Map(
    statements
      .splice(0)
      .filter(({ text }) => /^\s*\/\* \w+\.\w+ \*\//.test(text))
      .map(({ text, parameters }) => [text, parameters]),
  );
  expect(caught.size).toBeGreaterThanOrEqual(15);
  const faults: string[] = [];
  for (const [text, parameters] of caught) {
    const tag = /\/\* (\S+) \*\//.exec(text)?.[1];
    await database.hot.unsafe(`PREPARE explained AS ${text}`);
    const values = parameters.length === 0 ? '' : `(${parameters.map(literalOf).join(', ')})`;
    const [row] = await database.hot.unsafe(`EXPLAIN (FORMAT JSON) EXECUTE explained ${values}`);
    await database.hot.unsafe('DEALLOCATE explained');
    const [explained] = (row?.['QUERY PLAN'] ?? []) as { Plan: PlanNode }[];
    if (explained === undefined) throw new Error(`no plan for ${tag}`);
    faults.push(...faultsOf(explained.Plan).map((fault) => `${tag}: ${fault}`));
  }
  return faults;
}

/** Operations that read more than their own rows, each done twice: the second time with the plan of the first. */
async function greedyOperations(site: Site, { database }: Connection): Promise<string[]> {
  const greedy: string[] = [];
  for (const round of [1, 2])
    for (const [name, work] of operations()) {
      // Entries of rows that are gone are read until Postgres may forget them, and another test's transaction can keep it from that.
      await untilPrunable(site.test);
      const reads = await countReads(site.test, database.hot, () => work(database.hot));
      for (const [table, { rows, entries, sequentialScans }] of reads)
        if (GROWING.includes(table) && (Math.max(rows, entries) > READS_MAX || sequentialScans > 0))
          greedy.push(`${name}, round ${round}: ${rows} rows, ${entries} entries of ${table}`);
    }
  return greedy;
}

describe('plans of the claim path', () => {
  test('made on a new database that was never analyzed, they hold when it is full', async () => {
    const site = await openSite();
    const old = site.connect();
    expect(await greedyOperations(site, old)).toEqual([]);
    expect(await plannedFaults(old)).toEqual([]);

    await fillBoard(site.test, {
      ready: 200_000,
      done: 200_000,
      running: 50_000,
      reviews: 50_000,
      lanes: 10,
    });
    expect(await greedyOperations(site, old)).toEqual([]);
    const young = site.connect();
    expect(await greedyOperations(site, young)).toEqual([]);
    expect(await plannedFaults(young)).toEqual([]);

    await site.test.sql`ANALYZE`;
    expect(await greedyOperations(site, old)).toEqual([]);
    expect(await plannedFaults(old)).toEqual([]);
  });

  test('made on a database that was vacuumed and analyzed while it was empty, they hold when it is full', async () => {
    const site = await openSite();
    await site.test.sql`VACUUM ANALYZE`;
    const old = site.connect();
    expect(await greedyOperations(site, old)).toEqual([]);
    expect(await plannedFaults(old)).toEqual([]);

    await fillBoard(site.test, { ready: 20_000, done: 20_000, running: 5_000, reviews: 5_000, lanes: 10 });
    expect(await greedyOperations(site, old)).toEqual([]);
    await site.test.sql`VACUUM ANALYZE`;
    expect(await greedyOperations(site, old)).toEqual([]);
    expect(await plannedFaults(old)).toEqual([]);
  });
});
