/** Runs as they are read: by id, by task, and why a claim is no longer held. */
import type { Outcome } from '../../../../contract/statuses.ts';
import type { JsonParameter, Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface RunRow {
  readonly id: Uuid;
  readonly task_id: Uuid;
  readonly attempt: number;
  readonly lane: string | null;
  readonly worker: string | null;
  readonly outcome: Outcome | null;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly ended_by_type: 'key' | 'claim' | 'system' | null;
  readonly ended_by_id: string | null;
  readonly end_fingerprint: string | null;
  readonly summary: string | null;
  readonly result: JsonParameter;
  readonly metadata: Record<string, JsonParameter> | null;
  readonly error: string | null;
  readonly checkpoint: JsonParameter;
  readonly evidence: Record<string, JsonParameter> | null;
}

const RUN_COLUMNS = (sql: Runner) => sql`
  r.id, r.task_id, r.attempt, r.lane, r.worker, r.outcome, r.started_at, r.ended_at, r.ended_by_type, r.ended_by_id, r.end_fingerprint,
  r.summary, r.result, r.metadata, r.error, r.checkpoint, r.evidence`;

export async function findRuns(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, RunRow>> {
  const rows = await sql<RunRow[]>`
    /* runs.find */
    SELECT ${RUN_COLUMNS(sql)} FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM runs WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS r`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** How runs ended, without what they left behind, which may be a megabyte each: for those who only learn that it is over. */
export async function findRunEnds(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, RunRow>> {
  const rows = await sql<RunRow[]>`
    /* runs.find_ends */
    SELECT r.id, r.task_id, r.attempt, r.lane, r.worker, r.outcome, r.started_at, r.ended_at, r.ended_by_type, r.ended_by_id,
      r.end_fingerprint, NULL AS summary, NULL AS result, NULL AS metadata, NULL AS error, NULL AS checkpoint, r.evidence
    FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM runs WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS r`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** Whose run it is. */
export type RunHolder = Pick<RunRow, 'id' | 'task_id' | 'attempt' | 'lane' | 'worker'>;

export async function findRunHolders(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, RunHolder>> {
  const rows = await sql<RunHolder[]>`
    /* runs.find_holders */
    SELECT r.id, r.task_id, r.attempt, r.lane, r.worker FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM runs WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS r`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** Live claims of a worker, as far as it may write under them. */
export async function listHolds(
  sql: Runner,
  boardId: number,
  { lane, worker }: { readonly lane: string; readonly worker: string },
  rowsMax: number,
): Promise<RunHolder[]> {
  return sql<RunHolder[]>`
    /* claims.list_of_worker */
    SELECT run_id AS id, task_id, attempt, lane, worker FROM claims
    WHERE board_id = ${boardId} AND lane = ${lane} AND lane <> '' AND worker = ${worker} AND NOT is_superseded
    ORDER BY task_id LIMIT ${rowsMax}`;
}

export async function listTaskRuns(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  afterAttempt: number,
  rowsMax: number,
): Promise<RunRow[]> {
  return sql<RunRow[]>`
    /* runs.list_of_task */
    SELECT ${RUN_COLUMNS(sql)} FROM runs r
    WHERE r.board_id = ${boardId} AND r.task_id = ${taskId} AND r.attempt > ${afterAttempt} ORDER BY r.attempt LIMIT ${rowsMax}`;
}
