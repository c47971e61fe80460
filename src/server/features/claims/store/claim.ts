/** The atomic claim: one statement picks, marks, opens the runs and logs, for any number of lanes of a board. */
import type { PendingQuery, Runner, Tx } from '../../../db/client.ts';
import { columnOf } from '../../../db/column.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { type TaskDetailValues, type TaskRow, taskDetailColumns } from '../../tasks/service.ts';

/** Room for one task: who would hold it, and how. Slots of one lane stand together, first served first. */
export interface Slot {
  readonly lane: string;
  readonly runId: Uuid;
  readonly worker: string;
  readonly keyId: string;
  readonly leaseSeconds: number;
  readonly maxRuntimeSeconds: number | null;
  readonly noProgressSeconds: number | null;
  /** The claim is taken when the worker's socket closes. Default: false. */
  readonly isCrashOnDisconnect?: boolean;
  /** Work under review that fills it, locked by this transaction. Default: a ready task fills it. */
  readonly review?: { readonly id: Uuid; readonly unmet_parents: number };
}

export type ClaimedRow = Omit<TaskRow, 'outcome' | 'summary' | 'result' | 'metadata' | 'ended_at'> & {
  /** The end of the log when this was read. */
  readonly log_seq: number;
  readonly run_id: Uuid;
  readonly worker: string;
  readonly claimed_at: string;
  readonly lease_expires_at: string;
  readonly claim_runtime_seconds: number | null;
  /** How long the task had been ready; 0 when the claim is read again. */
  readonly waited_seconds: number;
  /** Tasks of the board that waited for review after it; 0 when the claim is read again. */
  readonly board_reviews: number;
};

/**
 * What the statement sends of a filled slot, by position. As objects the driver would put such rows together key by key, which makes
 * hash tables of them: a third of the memory that a cycle allocated.
 */
type FilledRow = readonly [
  log_seq: number,
  /** From 1. */
  slot: number,
  id: Uuid,
  attempt: number,
  version: number,
  claimed_at: string,
  lease_expires_at: string,
  waited_seconds: number,
  claim_runtime_seconds: number | null,
  priority: number,
  consecutive_failures: number,
  max_failures: number,
  max_runtime_seconds: number | null,
  no_progress_seconds: number | null,
  run_at: string | null,
  created_at: string,
  board_reviews: number,
  ...detail: TaskDetailValues,
];

/** Of a row with the moment of its claim and its lease, and where it waited. */
const EVENT_DATA = (sql: Runner, waited: PendingQuery) => sql`
  jsonb_build_object('status_before', ${waited}, 'status_after', 'running', 'lease_seconds', lease_seconds, 'lease_expires_at',
    to_char((at + make_interval(secs => lease_seconds)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;

/** Which ready tasks may fill the slots. */
export interface ClaimFilter {
  /** This task and no other. */
  readonly namedTaskId?: Uuid | null;
}

/**
 * Fills the slots with ready tasks: each lane's by priority, then age. A task that somebody else is just taking is skipped. Work under review
 * fills the slots that name it, in the same statement: in one of its own it would hold the counter row until the ready tasks are found.
 *
 * The decision that led here (lane exists, nothing is paused, room under the cap) was made on a version of the board's
 * configuration. The counter row is the last thing taken, and only at that version: else it hands out no numbers, the events lack
 * their seq, and all is rolled back (isStaleDecision). So it is when a picked row was changed between the snapshot and its lock:
 * it is then not found where it was picked, and fewer rows moved than were picked.
 *
 * No plan of this depends on statistics: the rows are picked by the one index that has their order, updated by their place (ctid),
 * and their details looked up by a LATERAL that OFFSET 0 keeps from becoming a join.
 */
export async function claimReady(
  sql: Runner,
  boardId: number,
  configVersion: number,
  given: readonly Slot[],
  { namedTaskId = null }: ClaimFilter = {},
): Promise<ClaimedRow[]> {
  const reviewing = given.filter((slot) => slot.review !== undefined);
  const open = reviewing.length === 0 ? given : given.filter((slot) => slot.review === undefined);
  const slots = reviewing.length === 0 ? given : [...reviewing, ...open];
  const column = <T>(read: (slot: Slot) => T): T[] => columnOf(slots, read);
  const lanes = [...new Set(open.map((slot) => slot.lane))];
  /** Most batches have one lease: its event data is then built once. */
  const usualLeaseSeconds = slots[0]?.leaseSeconds ?? 0;
  // Few ask for it: the others' batches carry no column of it.
  const isCrashOnDisconnect = slots.some((slot) => slot.isCrashOnDisconnect)
    ? sql`(${column((slot) => String(slot.isCrashOnDisconnect ?? false))}::text[]::boolean[])[slot]`
    : sql`false`;
  const columns = sql`t.ctid AS place, t.id, t.attempt + 1 AS attempt, t.version + 1 AS version, t.priority, t.consecutive_failures,
          t.max_failures, t.max_runtime_seconds, t.no_progress_seconds, t.run_at, t.created_at, t.status_since`;
  // A named task is compared with want.status: said as a constant, its look-up could be planned on the index of the whole backlog.
  const ready =
    namedTaskId === null
      ? sql`SELECT ${columns} FROM tasks t WHERE t.board_id = ${boardId} AND t.lane = want.lane AND t.status = 'ready'
          ORDER BY t.priority DESC, t.id LIMIT want.count FOR NO KEY UPDATE SKIP LOCKED`
      : sql`SELECT ${columns} FROM tasks t
          WHERE t.board_id = ${boardId} AND t.id = ${namedTaskId} AND t.lane = want.lane AND t.status = want.status FOR NO KEY UPDATE`;
  const taken = sql`want CROSS JOIN LATERAL (SELECT want.first + row_number() OVER () AS slot, ready.* FROM (${ready}) AS ready) AS task`;
  const { picked, waited, isUsual, counted, counters } =
    reviewing.length === 0 ? readyOnly(sql, taken) : withReviews(sql, boardId, { taken, columns, reviewing });
  const rows = await sql`
    /* claims.claim */
    WITH want AS MATERIALIZED (
      SELECT want.lane, want.first, want.count, 'ready' AS status FROM unnest(
        ${lanes}::text[], ${lanes.map((lane) => reviewing.length + open.findIndex((slot) => slot.lane === lane))}::int[],
        ${lanes.map((lane) => open.filter((slot) => slot.lane === lane).length)}::int[]
      ) AS want (lane, first, count)
    ),
    held AS MATERIALIZED (
      SELECT ${picked.columns},
        (${column((slot) => slot.runId)}::uuid[])[slot] AS run_id,
        (${column((slot) => slot.worker)}::text[])[slot] AS worker,
        (${column((slot) => slot.leaseSeconds)}::int[])[slot] AS lease_seconds,
        coalesce(task.max_runtime_seconds, (${column((slot) => slot.maxRuntimeSeconds)}::int[])[slot]) AS claim_runtime_seconds,
        coalesce(task.no_progress_seconds, (${column((slot) => slot.noProgressSeconds)}::int[])[slot]) AS claim_no_progress_seconds
      FROM ${picked.from}
    ),
    -- One moment for the batch, after its last lock.
    moment AS MATERIALIZED (SELECT clock_timestamp() AS at WHERE (SELECT count(*) FROM held) > 0),
    usual AS MATERIALIZED (
      SELECT lease_seconds, ${EVENT_DATA(sql, sql`'ready'`)} AS data FROM (SELECT at, ${usualLeaseSeconds}::int AS lease_seconds FROM moment) AS claimed
    ),
    moved AS (
      UPDATE tasks t SET status = 'running', attempt = t.attempt + 1, version = t.version + 1, status_since = (SELECT at FROM moment),
        updated_at = (SELECT at FROM moment)
      WHERE t.ctid = ANY (ARRAY(SELECT place FROM held)) AND t.board_id + 0 = ${boardId}
      RETURNING 1
    ),
    taken AS (
      INSERT INTO claims (board_id, task_id, run_id, attempt, lane, worker, claimed_from, claimed_at, lease_seconds, lease_expires_at,
        runtime_expires_at, no_progress_seconds, last_progress_at, is_crash_on_disconnect)
      SELECT ${boardId}, id, run_id, attempt, lane, worker, ${waited}, (SELECT at FROM moment), lease_seconds,
        (SELECT at FROM moment) + make_interval(secs => lease_seconds),
        (SELECT at FROM moment) + make_interval(secs => claim_runtime_seconds), claim_no_progress_seconds, (SELECT at FROM moment),
        ${isCrashOnDisconnect}
      FROM held RETURNING 1
    ),
    opened AS (
      INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, started_at)
      SELECT ${boardId}, id, attempt, run_id, lane, worker, (SELECT at FROM moment) FROM held RETURNING 1
    ),
    total AS MATERIALIZED (
      SELECT (SELECT count(*) FROM held) AS held, (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM taken) AS taken,
        (SELECT count(*) FROM opened) AS opened${counted}
    ),
    bumped AS (
      UPDATE board_seq SET seq = seq + total.moved, running = running + total.moved,
        ${counters}
      FROM total WHERE board_id = ${boardId} AND config_version = ${configVersion} AND total.moved > 0
        AND total.moved = total.held AND total.taken = total.held AND total.opened = total.held
      RETURNING seq, review, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, actor_type, actor_id, data)
      SELECT ${boardId}, (SELECT seq FROM bumped) - (SELECT moved FROM total) + row_number() OVER (ORDER BY slot), 'task.claimed',
        coalesce((SELECT at FROM bumped), at), id, run_id, lane, worker, attempt, version, 'key', (${column((slot) => slot.keyId)}::text[])[slot],
        CASE WHEN ${isUsual} THEN (SELECT data FROM usual) ELSE ${EVENT_DATA(sql, waited)} END
      FROM (SELECT held.*, (SELECT at FROM moment) AS at FROM held) AS claimed
    )
    SELECT (SELECT seq FROM bumped) AS log_seq, held.slot, held.id, held.attempt, held.version, (SELECT at FROM moment) AS claimed_at,
      (SELECT at FROM moment) + make_interval(secs => held.lease_seconds) AS lease_expires_at,
      date_part('epoch', (SELECT at FROM moment) - held.status_since) AS waited_seconds, held.claim_runtime_seconds, held.priority,
      held.consecutive_failures, held.max_failures, held.max_runtime_seconds, held.no_progress_seconds, held.run_at, held.created_at,
      (SELECT review FROM bumped) AS board_reviews, detail.*
    FROM held
    CROSS JOIN LATERAL (
      SELECT ${taskDetailColumns(sql)} FROM task_details d WHERE d.board_id = ${boardId} AND d.task_id = held.id OFFSET 0
    ) AS detail`.values();
  return (rows as unknown as FilledRow[])
    .sort(([, left], [, right]) => left - right)
    .map((row) => claimedRowOf(row, slots));
}

/** What the statement says of the tasks that it picks, where it may be one thing or another. */
interface Picking {
  readonly picked: { readonly columns: PendingQuery; readonly from: PendingQuery };
  /** The status in which a picked task waited. */
  readonly waited: PendingQuery;
  /** Its event says what most of the batch say. */
  readonly isUsual: PendingQuery;
  /** Beside the other counts. */
  readonly counted: PendingQuery;
  /** Of the board, those that its tasks leave. */
  readonly counters: PendingQuery;
}

function readyOnly(sql: Runner, taken: PendingQuery): Picking {
  return {
    picked: { columns: sql`want.lane, task.*`, from: taken },
    waited: sql`'ready'`,
    isUsual: sql`lease_seconds = (SELECT lease_seconds FROM usual)`,
    counted: sql``,
    counters: sql`ready = ready - total.moved`,
  };
}

/** The first slots are those of reviews. */
function withReviews(
  sql: Runner,
  boardId: number,
  {
    taken,
    columns,
    reviewing,
  }: { readonly taken: PendingQuery; readonly columns: PendingQuery; readonly reviewing: readonly Slot[] },
): Picking {
  const from = sql`(
      SELECT want.lane, task.*, 'ready'::text AS waited FROM ${taken}
      UNION ALL
      SELECT review.lane, review.slot, task.*, review.status FROM (
        SELECT *, 'review'::text AS status FROM unnest(
          ${columnOf(reviewing, (slot) => slot.lane)}::text[], ${columnOf(reviewing, (slot) => slot.review?.id ?? null)}::uuid[]
        ) WITH ORDINALITY AS review (lane, id, slot) OFFSET 0
      ) AS review
      CROSS JOIN LATERAL (
        SELECT ${columns} FROM tasks t WHERE t.board_id = ${boardId} AND t.id = review.id AND t.status = review.status OFFSET 0
      ) AS task
    ) AS task`;
  return {
    picked: { columns: sql`task.*`, from },
    waited: sql`waited`,
    isUsual: sql`waited = 'ready' AND lease_seconds = (SELECT lease_seconds FROM usual)`,
    counted: sql`, (SELECT count(*) FROM held WHERE waited = 'review') AS reviewed`,
    counters: sql`ready = ready - (total.moved - total.reviewed), review = review - total.reviewed`,
  };
}

function claimedRowOf(row: FilledRow, slots: readonly Slot[]): ClaimedRow {
  const slot = slots[row[1] - 1];
  assert(slot !== undefined, 'a row fills one of the slots');
  const claimedAt = row[5];
  return {
    log_seq: row[0],
    run_id: slot.runId,
    worker: slot.worker,
    id: row[2],
    lane: slot.lane,
    status: 'running',
    attempt: row[3],
    version: row[4],
    priority: row[9],
    consecutive_failures: row[10],
    max_failures: row[11],
    max_runtime_seconds: row[12],
    no_progress_seconds: row[13],
    run_at: row[14],
    blocked_kind: null, // Only a blocked task has them.
    blocked_reason: null,
    status_since: claimedAt,
    created_at: row[15],
    updated_at: claimedAt,
    title: row[17],
    body: row[18],
    payload: row[19],
    labels: row[20],
    backoff: row[21],
    tenant: row[22],
    external_ref: row[23],
    idempotency_key: row[24],
    traceparent: row[25],
    comment_count: row[26],
    created_by_type: row[27],
    created_by_id: row[28],
    message_count: row[29],
    parent_count: row[30],
    delegation_id: row[31],
    origin: row[32],
    unmet_parents: slot.review?.unmet_parents ?? 0, // Or it would not be ready.
    reviewer: slot.review === undefined ? null : slot.lane,
    claim_lane: slot.lane,
    claim_attempt: row[3],
    claimed_at: claimedAt,
    lease_expires_at: row[6],
    is_cancel_requested: false,
    claim_runtime_seconds: row[8],
    waited_seconds: row[7],
    board_reviews: row[16],
  };
}

/** Locks capped lanes, so that nobody else counts or claims there until the end of the transaction. */
export async function lockLanes(tx: Tx, boardId: number, lanes: readonly string[]): Promise<void> {
  await tx`
    /* claims.lock_lanes */
    SELECT FROM (SELECT name FROM unnest(${lanes as string[]}::text[]) AS wanted (name) ORDER BY name) AS wanted
    CROSS JOIN LATERAL (SELECT FROM lanes WHERE board_id = ${boardId} AND name = wanted.name FOR NO KEY UPDATE) AS locked`;
}

/** Live claims of these lanes. Run after the lock, as a statement of its own: it then sees everything that was committed before. */
export async function countLaneClaims(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<Map<string, number>> {
  const rows = await sql<{ lane: string; count: number }[]>`
    /* claims.count_lane_claims */
    SELECT wanted.lane, claimed.count FROM unnest(${lanes as string[]}::text[]) AS wanted (lane)
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS count FROM claims WHERE board_id = ${boardId} AND lane = wanted.lane AND lane <> ''
    ) AS claimed`;
  return new Map(rows.map((row) => [row.lane, row.count]));
}

/** Live claims with their tasks, by run, as claimReady returns them: for answers that are given again. */
export async function findLiveClaims(
  sql: Runner,
  boardId: number,
  runIds: readonly Uuid[],
): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>`
    /* claims.find_live */
    SELECT (SELECT seq FROM board_seq WHERE board_id = ${boardId}) AS log_seq, c.run_id, c.worker, c.attempt AS claim_attempt, c.lane AS claim_lane, c.claimed_at, c.lease_expires_at,
      c.is_cancel_requested, extract(epoch FROM c.runtime_expires_at - c.claimed_at)::int AS claim_runtime_seconds, 0 AS waited_seconds, 0 AS board_reviews,
      t.id, t.lane, t.status, t.attempt, t.version, t.status_since, t.updated_at, t.priority, t.consecutive_failures, t.max_failures,
      t.max_runtime_seconds, t.no_progress_seconds, t.run_at, t.unmet_parents, t.reviewer, t.blocked_kind, t.blocked_reason, t.created_at,
      ${taskDetailColumns(sql)}
    FROM claims c
    JOIN tasks t ON t.board_id = c.board_id AND t.id = c.task_id
    JOIN task_details d ON d.board_id = c.board_id AND d.task_id = c.task_id
    WHERE c.board_id = ${boardId} AND c.run_id = ANY(${runIds as Uuid[]}::uuid[])
    ORDER BY c.run_id`;
}
