/**
 * Fills a board with what years of work leave behind, past the API, which would take hours: rows as creation, claim and completion
 * write them, a log that is dense, and a counter row that agrees. Must be kept in step with src/server/db/schema and with the
 * statements that write these tables; P5 would notice a counter that does not agree, because claims and ends move it.
 */
import type postgres from 'postgres';

export interface BoardFill {
  readonly board: string;
  readonly lanes: readonly string[];
  /** In all, spread over the lanes. */
  readonly ready: number;
  readonly finished: number;
}

/** The ids of a task are made from the same moment in every table. */
interface DatedFill extends BoardFill {
  readonly nowMs: number;
}

/** Ids are in the order of creation; these are older than anything that is made while the benchmark runs. */
const FINISHED_DAYS_AGO = 3;
const READY_DAYS_AGO = 1;
const DAY_MS = 86_400_000;
const IDS_PER_MS = 1000;
/** Created, claimed, completed. */
const EVENTS_PER_FINISHED = 3;
const ACTOR = 'key_fill';

/** The connection is used by two statements at a time. */
export async function fillBoard(sql: postgres.Sql, asked: BoardFill): Promise<void> {
  const fill: DatedFill = { ...asked, nowMs: Date.now() };
  const [board] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${fill.board}`;
  if (board === undefined) throw new Error(`there is no board ${fill.board}`);
  const [counter] = await sql<
    { seq: number }[]
  >`SELECT seq::float8 AS seq FROM board_seq WHERE board_id = ${board.id}`;
  const firstSeq = (counter?.seq ?? 0) + 1;
  await Promise.all([
    (async () => {
      await insertTasks(sql, board.id, fill);
      await insertDetails(sql, board.id, fill);
      await insertRuns(sql, board.id, fill);
    })(),
    insertEvents(sql, board.id, firstSeq, fill),
  ]);
  const events = fill.ready + fill.finished * EVENTS_PER_FINISHED;
  await sql`
    UPDATE board_seq SET seq = seq + ${events}, ready = ready + ${fill.ready}, done = done + ${fill.finished}
    WHERE board_id = ${board.id}`;
}

/** One row for each task, finished ones first: its number, id, lane and state. `number` tells tasks of one state apart. */
function tasksOf(sql: postgres.Sql, boardId: number, { lanes, ready, finished, nowMs }: DatedFill) {
  const startOf = (daysAgo: number): number => nowMs - daysAgo * DAY_MS;
  const suffix = sql`lpad(to_hex(number % ${IDS_PER_MS}), 3, '0') || '8' || substr(md5(number::text), 1, 7)`;
  const id = (startMs: number) => sql`
    (lpad(to_hex(${startMs}::bigint + number / ${IDS_PER_MS}), 12, '0') || '7' || ${suffix} || '00000000')::uuid`;
  // The last 32 bits of a run's id are its board's number.
  const runId = sql`
    (lpad(to_hex(${startOf(FINISHED_DAYS_AGO)}::bigint + number / ${IDS_PER_MS}), 12, '0') || '7' || ${suffix}
      || lpad(to_hex(${boardId}::int), 8, '0'))::uuid`;
  const lane = sql`(${lanes as string[]}::text[])[1 + number % ${lanes.length}]`;
  return sql`(
    SELECT number, ${id(startOf(FINISHED_DAYS_AGO))} AS id, ${runId} AS run_id, ${lane} AS lane, true AS is_finished,
      now() - make_interval(days => ${FINISHED_DAYS_AGO}) AS at
    FROM generate_series(0, ${finished - 1}::int) AS number
    UNION ALL
    SELECT number, ${id(startOf(READY_DAYS_AGO))}, NULL, ${lane}, false, now() - make_interval(days => ${READY_DAYS_AGO})
    FROM generate_series(0, ${ready - 1}::int) AS number
  ) AS task`;
}

async function insertTasks(sql: postgres.Sql, boardId: number, fill: DatedFill): Promise<void> {
  await sql`
    INSERT INTO tasks (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures, protocol_violations,
      max_failures, status_since, created_at, updated_at)
    SELECT ${boardId}, id, lane, CASE WHEN is_finished THEN 'done' ELSE 'ready' END, 0, CASE WHEN is_finished THEN 3 ELSE 1 END,
      is_finished::int, 0, 0, 0, 2, at, at, at
    FROM ${tasksOf(sql, boardId, fill)}`;
}

async function insertDetails(sql: postgres.Sql, boardId: number, fill: DatedFill): Promise<void> {
  await sql`
    INSERT INTO task_details (board_id, task_id, title, created_by_type, created_by_id)
    SELECT ${boardId}, id, 'a task', 'key', ${ACTOR} FROM ${tasksOf(sql, boardId, fill)}`;
}

async function insertRuns(sql: postgres.Sql, boardId: number, fill: DatedFill): Promise<void> {
  await sql`
    INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at, ended_by_type, ended_by_id, end_fingerprint)
    SELECT ${boardId}, id, 1, run_id, lane, 'worker-0', 'completed', at, at, 'claim', run_id::text, 'complete:' || md5(number::text)
    FROM ${tasksOf(sql, boardId, fill)} WHERE is_finished`;
}

/** In the order of their numbers in the log: three for each finished task, then one for each that is ready. */
async function insertEvents(
  sql: postgres.Sql,
  boardId: number,
  firstSeq: number,
  fill: DatedFill,
): Promise<void> {
  const readyFrom = firstSeq + fill.finished * EVENTS_PER_FINISHED;
  const created = {
    status_before: null,
    status_after: 'ready',
    title: 'a task',
    priority: 0,
    labels: {},
    max_failures: 2,
  };
  const claimed = {
    status_before: 'ready',
    status_after: 'running',
    lease_seconds: 900,
    lease_expires_at: '2026-01-01T00:00:00.000Z',
  };
  const completed = {
    status_before: 'running',
    status_after: 'done',
    outcome: 'completed',
    summary: null,
    metadata: null,
  };
  await sql`
    INSERT INTO events (board_id, seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, actor_type, actor_id, data)
    SELECT ${boardId},
      CASE WHEN is_finished THEN ${firstSeq}::bigint + number::bigint * ${EVENTS_PER_FINISHED} + step ELSE ${readyFrom}::bigint + number END,
      (ARRAY['task.created', 'task.claimed', 'task.completed'])[step + 1], at, id,
      CASE WHEN step > 0 THEN run_id END, lane, CASE WHEN step > 0 THEN 'worker-0' END, CASE WHEN step > 0 THEN 1 END, step + 1,
      CASE WHEN step = 2 THEN 'claim' ELSE 'key' END, CASE WHEN step = 2 THEN run_id::text ELSE ${ACTOR} END,
      (ARRAY[${JSON.stringify(created)}, ${JSON.stringify(claimed)}, ${JSON.stringify(completed)}]::text[])[step + 1]::jsonb
    FROM ${tasksOf(sql, boardId, fill)} CROSS JOIN LATERAL generate_series(0, CASE WHEN is_finished THEN 2 ELSE 0 END) AS step`;
}

/** As autovacuum would sooner or later; now, so that it does not do so while something is measured. */
export async function tidyTables(sql: postgres.Sql): Promise<void> {
  await sql`VACUUM (ANALYZE) tasks, task_details, runs, events, board_seq`;
}
