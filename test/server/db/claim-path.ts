/** The statements of the claim path, called as the server calls them, on boards of any size. */
import type postgres from 'postgres';
import type { Sql } from '../../../src/server/db/client.ts';
import { appendEvents } from '../../../src/server/db/event-log.ts';
import { readPasts } from '../../../src/server/features/claims/claiming/pasts.ts';
import { claimReady } from '../../../src/server/features/claims/store/claim.ts';
import type { ClaimedRow } from '../../../src/server/features/claims/store/claimed-row.ts';
import { completeRuns } from '../../../src/server/features/claims/store/complete.ts';
import { closeRuns, deleteClaims, lockHolds } from '../../../src/server/features/claims/store/end.ts';
import { extendLeases, recordBeats } from '../../../src/server/features/claims/store/heartbeat.ts';
import { countLaneClaims, lockLanes } from '../../../src/server/features/claims/store/lane-room.ts';
import { appendLines } from '../../../src/server/features/claims/store/output.ts';
import { listReviewedLanes, lockReviews } from '../../../src/server/features/claims/store/review.ts';
import { findRuns } from '../../../src/server/features/claims/store/run.ts';
import { handoffCapsOf } from '../../../src/server/features/claims/view.ts';
import { moveTasks, type TaskAfter } from '../../../src/server/features/tasks/store/change.ts';
import {
  countTasksOfRun,
  insertTasks,
  lockClaimOfRun,
  type NewTask,
} from '../../../src/server/features/tasks/store/create.ts';
import { findIdsByIdempotencyKey, findTasks } from '../../../src/server/features/tasks/store/read.ts';
import { DatabaseClock } from '../../../src/server/kernel/clock.ts';
import { IdSource, type Uuid } from '../../../src/server/kernel/ids.ts';
import type { TestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';

export const BOARD_ID = 1;
/** Of every operation below. */
export const BATCH = 20;

const ids = new IdSource(new DatabaseClock());

export function newTasks(count: number, more: Partial<NewTask> = {}): NewTask[] {
  return Array.from({ length: count }, (_, index) => ({
    id: ids.next(),
    title: `task ${index}`,
    body: null,
    status: 'ready',
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
    actor: { type: 'system', id: 'test' },
    created_by_run: null,
    delegation_id: null,
    delegation_depth: 0,
    is_followed: false,
    is_system: false,
    origin: null,
    unmet_parents: 0,
    parents: [],
    ...more,
  }));
}

export function slots(count: number, boardId = BOARD_ID, lane = 'lane-0') {
  return Array.from({ length: count }, () => ({
    lane,
    runId: ids.next(boardId),
    worker: 'w',
    keyId: 'key',
    leaseSeconds: 60,
    maxRuntimeSeconds: null,
    noProgressSeconds: null,
  }));
}

export interface Hold {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
}

/** In task order, as the server sends operations. */
export function holdsOf(claimed: readonly ClaimedRow[]): Hold[] {
  return claimed
    .map((row) => ({ taskId: row.id, runId: row.run_id, attempt: row.attempt }))
    .sort((left, right) => (left.taskId < right.taskId ? -1 : 1));
}

export const beatsOf = (holds: readonly Hold[]) => holds.map((hold) => ({ ...hold, leaseSeconds: null }));

export const completionsOf = (holds: readonly Hold[]) =>
  holds.map((hold) => ({
    ...hold,
    actorId: 'run',
    fingerprint: 'f',
    summary: null,
    result: null,
    metadata: null,
  }));

/** One claim path operation of BATCH rows. */
export type Operation = readonly [name: string, work: (hot: Sql) => Promise<unknown>];

/** Every kind of operation there is on the pool of the claim path, in an order in which each finds its rows. */
export function operations(): Operation[] {
  const keys = Array.from({ length: BATCH }, () => `key-${ids.next()}`);
  const creator = ids.next(BOARD_ID);
  let named: readonly NewTask[] = [];
  let holds: readonly Hold[] = [];
  const claim = async (hot: Sql): Promise<void> => {
    holds = holdsOf(await claimReady(hot, BOARD_ID, 1, slots(BATCH)));
    if (holds.length !== BATCH) throw new Error(`claimed ${holds.length}`);
  };
  return [
    ['create', (hot) => insertTasks(hot, BOARD_ID, newTasks(2.5 * BATCH))],
    [
      'create with keys',
      (hot) => {
        named = keys.flatMap((key) => newTasks(1, { idempotency_key: key, created_by_run: creator }));
        return insertTasks(hot, BOARD_ID, named);
      },
    ],
    ['find by key', (hot) => findIdsByIdempotencyKey(hot, BOARD_ID, keys)],
    ['count what a run created', (hot) => countTasksOfRun(hot, BOARD_ID, creator)],
    [
      'claim by name',
      async (hot) => {
        for (const task of named) {
          const [claimed] = await claimReady(hot, BOARD_ID, 1, slots(1), { namedTaskId: task.id });
          if (claimed?.id !== task.id) throw new Error('the named task was not claimed');
        }
      },
    ],
    ['claim', claim],
    [
      'claim from a place on',
      async (hot) => {
        const made = newTasks(BATCH + 1);
        await insertTasks(hot, BOARD_ID, made);
        const [place] = made;
        if (place === undefined) throw new Error('there are as many as were made');
        const heads = new Map([['lane-0', { priority: place.priority, id: place.id }]]);
        const claimed = await claimReady(hot, BOARD_ID, 1, slots(BATCH), { heads });
        if (claimed.length !== BATCH) throw new Error(`claimed ${claimed.length}`);
        await completeRuns(hot, BOARD_ID, completionsOf(holdsOf(claimed)));
      },
    ],
    [
      'count under a cap',
      (hot) =>
        hot.begin(async (tx) => {
          await lockLanes(tx, BOARD_ID, ['lane-0']);
          await countLaneClaims(tx, BOARD_ID, ['no-lane']);
        }),
    ],
    ['heartbeat', (hot) => extendLeases(hot, BOARD_ID, beatsOf(holds))],
    [
      'log heartbeats',
      (hot) =>
        hot.begin((tx) =>
          recordBeats(
            tx,
            BOARD_ID,
            holds.map((hold) => ({
              ...hold,
              progress: 1,
              metadata: { a: 1 },
              checkpoint: '{}',
              isTelling: true,
            })),
          ),
        ),
    ],
    [
      'lock claims of creators',
      async (hot) => {
        for (const hold of holds) await lockClaimOfRun(hot, BOARD_ID, hold.taskId, hold.runId);
      },
    ],
    [
      'append output',
      (hot) =>
        appendLines(
          hot,
          BOARD_ID,
          holds.map((hold) => ({ ...hold, lines: ['a line', 'and another'] })),
        ),
    ],
    ['complete', (hot) => completeRuns(hot, BOARD_ID, completionsOf(holds))],
    [
      'claim again, to be taken when the socket closes',
      async (hot) => {
        const flagged = slots(BATCH).map((slot) => ({ ...slot, isCrashOnDisconnect: true }));
        holds = holdsOf(await claimReady(hot, BOARD_ID, 1, flagged));
        if (holds.length !== BATCH) throw new Error(`claimed ${holds.length}`);
      },
    ],
    ['release', (hot) => release(hot, holds, { status: 'ready' })],
    ['claim what will be reviewed', claim],
    ['hand over for review', (hot) => release(hot, holds, UNDER_REVIEW)],
    [
      'look for reviews',
      async (hot) => {
        if ((await listReviewedLanes(hot, BOARD_ID, ['lane-0', 'no-lane'])).length !== 1)
          throw new Error('there are reviews');
      },
    ],
    ['claim reviews and new work', claimReviews],
    [
      'claim a review by name',
      (hot) => hot.begin((tx) => lockReviews(tx, BOARD_ID, [REVIEW_WANT], namedReview(holds[0]?.taskId))),
    ],
    [
      'read what is handed over',
      (hot) => {
        const ids = holds.map((hold) => hold.taskId);
        return readPasts(hot, BOARD_ID, { ids, children: ids, delegated: ids }, handoffCapsOf(ids.length));
      },
    ],
    [
      'find runs',
      (hot) =>
        findRuns(
          hot,
          BOARD_ID,
          holds.map((hold) => hold.runId),
        ),
    ],
    [
      'find tasks',
      (hot) =>
        findTasks(
          hot,
          BOARD_ID,
          holds.map((hold) => hold.taskId),
        ),
    ],
  ];
}

const UNDER_REVIEW: TaskAfter = {
  status: 'review',
  review: { resultAttempt: 1, reviewer: 'lane-0', implementerLane: 'lane-1', implementerWorker: 'w' },
};

const REVIEW_WANT = { lane: 'lane-0', worker: 'w', count: BATCH / 2 };
const namedReview = (id: Uuid | undefined) => ({ namedTaskId: id ?? null, exceptIds: [] });

/** Half a batch of each, as filling.ts does it; with the second look of a batch in which the first found somebody's own work. */
async function claimReviews(hot: Sql): Promise<void> {
  await hot.begin(async (tx) => {
    const first = await lockReviews(
      tx,
      BOARD_ID,
      [{ ...REVIEW_WANT, worker: null, count: 1 }],
      namedReview(undefined),
    );
    const exceptIds = first.map((row) => row.id);
    const rows = [
      ...first,
      ...(await lockReviews(tx, BOARD_ID, [{ ...REVIEW_WANT, count: BATCH / 2 - 1 }], {
        namedTaskId: null,
        exceptIds,
      })),
    ];
    const reviewing = slots(BATCH).map((slot, index) => {
      const review = rows[index];
      return review === undefined ? slot : { ...slot, review };
    });
    const claimed = await claimReady(tx, BOARD_ID, 1, reviewing);
    if (claimed.length !== BATCH || claimed.filter((row) => row.reviewer !== null).length !== BATCH / 2)
      throw new Error(`claimed ${claimed.length}`);
  });
}

/** As settle.ts does it. */
async function release(hot: Sql, holds: readonly Hold[], after: TaskAfter): Promise<void> {
  await hot.begin(async (tx) => {
    const held = await lockHolds(tx, BOARD_ID, holds);
    if (held.length !== holds.length) throw new Error(`held ${held.length}`);
    await deleteClaims(
      tx,
      BOARD_ID,
      held.map((row) => row.id),
    );
    await moveTasks(
      tx,
      BOARD_ID,
      held.map((before) => ({ before, after })),
    );
    const closing = {
      outcome: 'released',
      endedBy: { type: 'system', id: 'test' },
      fingerprint: null,
      summary: null,
      error: null,
      result: null,
      metadata: null,
      evidence: null,
    } as const;
    await closeRuns(
      tx,
      BOARD_ID,
      held.map((row) => ({ ...closing, taskId: row.id, attempt: row.attempt })),
    );
    const events = held.map((row) => ({
      kind: 'task.released' as const,
      taskId: row.id,
      runId: row.run_id,
      actor: { type: 'system', id: 'test' } as const,
      data: {},
    }));
    await appendEvents(tx, BOARD_ID, {
      events,
      counts: { running: -held.length, [after.status]: held.length },
    });
  });
}

const HOT_TABLES = ['boards', 'board_seq', 'lanes', 'tasks', 'task_details', 'claims', 'runs', 'events'];

/** Of these tables, or of their partitions. */
export async function switchVacuumOff(sql: TestDatabase['sql'], tables: readonly string[]): Promise<void> {
  const rows = await sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE c.relkind = 'r' AND coalesce(i.inhparent, c.oid) = ANY (${tables as string[]}::text[]::regclass[])`;
  for (const { name } of rows) await sql`ALTER TABLE ${sql(name)} SET (autovacuum_enabled = off)`;
}

/** Boards without anything, on a database that nobody but the test analyzes or vacuums. */
export async function prepareBoards({ sql }: TestDatabase, count = 1): Promise<void> {
  await switchVacuumOff(sql, HOT_TABLES);
  await sql`INSERT INTO boards (name, log_incarnation) SELECT 'board-' || n, 'abcdefgh' FROM generate_series(1, ${count}::int) AS n`;
  await sql`INSERT INTO board_seq (board_id) SELECT id FROM boards`;
}

export interface Filling {
  readonly boardId?: number;
  readonly ready: number;
  readonly done: number;
  readonly running: number;
  /** Under review, of the lanes' reviewers. Default: none. */
  readonly reviews?: number;
  /** Spread over so many, lane-0 first. */
  readonly lanes: number;
}

/** Tasks behind everything that the operations make, in key order as the server makes them. */
export async function fillBoard({ sql }: TestDatabase, filling: Filling): Promise<void> {
  await sql.begin(async (tx) => {
    await insertFilling(tx, filling);
    // What this reads is counted now, and not by chance during what is measured later.
    await tx`SELECT pg_stat_force_next_flush()`;
  });
}

async function insertFilling(tx: postgres.TransactionSql, filling: Filling): Promise<void> {
  const { boardId = BOARD_ID, ready, done, running, reviews = 0, lanes } = filling;
  await tx`
    INSERT INTO tasks (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures, protocol_violations,
      max_failures, status_since, created_at, updated_at, result_attempt, reviewer)
    SELECT ${boardId}, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, lane,
      CASE WHEN n <= ${done} THEN 'done' WHEN n <= ${done + running} THEN 'running' WHEN is_review THEN 'review' ELSE 'ready' END,
      -1, 1, 1, 0, 0, 0, 2, now(), now(), now(), CASE WHEN is_review THEN 1 END, CASE WHEN is_review THEN lane END
    FROM generate_series(1, ${ready + done + running + reviews}::int) AS n,
      LATERAL (SELECT 'lane-' || n % ${lanes} AS lane, n > ${ready + done + running} AS is_review) AS filler`;
  await tx`
    INSERT INTO task_details (board_id, task_id, title, created_by_type, created_by_id, idempotency_key)
    SELECT board_id, id, 'filler', 'system', 'test', id FROM tasks WHERE board_id = ${boardId} ON CONFLICT DO NOTHING`;
  await tx`
    INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at)
    SELECT board_id, id, 1, id, lane, 'w', CASE status WHEN 'done' THEN 'completed' END, now(), CASE status WHEN 'done' THEN now() END
    FROM tasks WHERE board_id = ${boardId} AND status IN ('done', 'running') ON CONFLICT DO NOTHING`;
  await tx`
    INSERT INTO claims (board_id, task_id, run_id, attempt, lane, worker, claimed_from, claimed_at, lease_seconds, lease_expires_at, last_progress_at)
    SELECT board_id, id, id, 1, lane, 'w', 'ready', now(), 60, now(), now() FROM tasks
    WHERE board_id = ${boardId} AND status = 'running' ON CONFLICT DO NOTHING`;
}

/**
 * Until Postgres may forget what everything before this replaced: it keeps that for any transaction that writes in any database of the
 * server, and other tests write there.
 */
export async function untilPrunable({ sql }: TestDatabase): Promise<void> {
  const [now] = await sql<{ xid: string }[]>`SELECT pg_current_xact_id()::text AS xid`;
  await eventually('no older transaction is running', async () => {
    const [row] = await sql<{ is_so: boolean }[]>`
      SELECT pg_snapshot_xmin(pg_current_snapshot()) > ${now?.xid ?? ''}::text::xid8 AS is_so`;
    return row?.is_so;
  });
}

/** What Postgres counted, since its statistics were last reset. */
export interface Counted {
  readonly sequentialScans: number;
  /** Rows of the table that were looked at. */
  readonly rows: number;
  /** Entries of its indexes. */
  readonly entries: number;
  /** Pages of table and indexes, in memory or not. */
  readonly blocks: number;
}

/** What this work of one connection read, by table; of partitions together. */
export async function countReads(
  { sql }: TestDatabase,
  hot: Sql,
  work: () => Promise<unknown>,
): Promise<Map<string, Counted>> {
  const look = async () => {
    await hot`SELECT pg_stat_force_next_flush()`;
    return sql<(Counted & { name: string })[]>`
      SELECT coalesce(i.inhparent, t.relid)::regclass::text AS name, sum(t.seq_scan)::int AS "sequentialScans",
        sum(t.seq_tup_read + coalesce(t.idx_tup_fetch, 0))::int AS rows,
        sum((SELECT coalesce(sum(x.idx_tup_read), 0) FROM pg_stat_user_indexes x WHERE x.relid = t.relid))::int AS entries,
        sum(io.heap_blks_read + io.heap_blks_hit + coalesce(io.idx_blks_read + io.idx_blks_hit, 0))::int AS blocks
      FROM pg_stat_user_tables t JOIN pg_statio_user_tables io ON io.relid = t.relid LEFT JOIN pg_inherits i ON i.inhrelid = t.relid
      WHERE t.schemaname = 'public' GROUP BY 1`;
  };
  const before = new Map((await look()).map((row) => [row.name, row]));
  await work();
  return new Map(
    (await look()).map((row) => {
      const start = before.get(row.name);
      return [
        row.name,
        {
          sequentialScans: row.sequentialScans - (start?.sequentialScans ?? 0),
          rows: row.rows - (start?.rows ?? 0),
          entries: row.entries - (start?.entries ?? 0),
          blocks: row.blocks - (start?.blocks ?? 0),
        },
      ];
    }),
  );
}
