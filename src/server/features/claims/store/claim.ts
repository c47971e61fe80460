/** The atomic claim: one statement picks, marks, opens the runs and logs, for any number of lanes of a board. */
import type { PendingQuery, Runner } from '../../../db/client.ts';
import { columnOf } from '../../../db/column.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { taskDetailColumns } from '../../tasks/service.ts';
import { type ClaimedRow, claimedRowOf, type FilledRow } from './claimed-row.ts';
import { FROM_THE_START, type Heads, headArrays, headNames, lineOf } from './ready-line.ts';
import type { Slot } from './slot.ts';

/** Of a row with the moment of its claim and its lease, and where it waited. */
const EVENT_DATA = (sql: Runner, waited: PendingQuery) => sql`
  jsonb_build_object('status_before', ${waited}, 'status_after', 'running', 'lease_seconds', lease_seconds, 'lease_expires_at',
    to_char((at + make_interval(secs => lease_seconds)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;

/** Which ready tasks may fill the slots. */
export interface ClaimFilter {
  /** This task and no other. */
  readonly namedTaskId?: Uuid | null;
  /** Lanes in which what stands before this place is passed over. */
  readonly heads?: Heads;
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
  { namedTaskId = null, heads = FROM_THE_START }: ClaimFilter = {},
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
      ? lineOf(sql, boardId, columns, heads)
      : sql`SELECT ${columns} FROM tasks t
          WHERE t.board_id = ${boardId} AND t.id = ${namedTaskId} AND t.lane = want.lane AND t.status = want.status FOR NO KEY UPDATE`;
  // Lines are gone through one after the other: the moment in which one is begun, and how long it takes to come to each of its tasks.
  const taken = sql`(SELECT want.*, clock_timestamp() AS begun_at FROM want OFFSET 0) AS want CROSS JOIN LATERAL (
        SELECT want.first + row_number() OVER () AS slot, clock_timestamp() - want.begun_at AS looked, ready.* FROM (${ready}) AS ready
      ) AS task`;
  const { picked, waited, isUsual, counted, counters } =
    reviewing.length === 0 ? readyOnly(sql, taken) : withReviews(sql, boardId, { taken, columns, reviewing });
  const rows = await sql`
    /* claims.claim */
    WITH want AS MATERIALIZED (
      SELECT want.*, 'ready' AS status FROM unnest(
        ${lanes}::text[], ${lanes.map((lane) => reviewing.length + open.findIndex((slot) => slot.lane === lane))}::int[],
        ${lanes.map((lane) => open.filter((slot) => slot.lane === lane).length)}::int[]${headArrays(sql, lanes, heads)}
      ) AS want (lane, first, count${headNames(sql, heads)})
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
      (SELECT review FROM bumped) AS board_reviews,
      date_part('epoch', held.looked) * 1000 AS look_ms, detail.*
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
      SELECT review.lane, review.slot, NULL::interval, task.*, review.status FROM (
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
