/** Writes tasks that have lived elsewhere: rows as they were there, and nothing of the log, which the service writes last. */
import type { BlockKind, Outcome, TaskStatus } from '../../../contract/statuses.ts';
import type { Runner, Tx } from '../../db/client.ts';
import { columnOf } from '../../db/column.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';

/** Those of the keys that some task holds. */
export async function listHeldKeys(sql: Runner, boardId: number, keys: readonly string[]): Promise<string[]> {
  const rows = await sql<{ key: string }[]>`
    /* imports.list_held_keys */
    SELECT wanted.key FROM unnest(${keys as string[]}::text[]) AS wanted (key)
    WHERE EXISTS (
      SELECT FROM task_details WHERE board_id = ${boardId} AND idempotency_key = wanted.key AND is_idempotency_key_held
    )`;
  return rows.map((row) => row.key);
}

export interface ArrivedTask {
  readonly id: Uuid;
  readonly title: string;
  readonly body: string | null;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly priority: number;
  readonly attempt: number;
  readonly unmetParents: number;
  readonly consecutiveFailures: number;
  readonly maxFailures: number;
  readonly maxRuntimeSeconds: number | null;
  readonly noProgressSeconds: number | null;
  readonly runAt: string | null;
  /** Null: nothing of it is under review. */
  readonly resultAttempt: number | null;
  readonly reviewer: string | null;
  readonly implementerLane: string | null;
  readonly blockStreak: number;
  readonly streakKind: string | null;
  readonly archivedFrom: TaskStatus | null;
  readonly blockedKind: BlockKind | null;
  readonly blockedReason: string | null;
  /** Null: it stands where it does since now. */
  readonly statusSince: string | null;
  readonly createdAt: string;
  readonly payload: unknown;
  readonly labels: Readonly<Record<string, string>>;
  readonly backoff: Readonly<Record<string, unknown>> | null;
  readonly tenant: string | null;
  readonly externalRef: string;
  readonly idempotencyKey: string | null;
  readonly commentCount: number;
}

/** Returns how many rows were made. Fewer than asked for: somebody took an external_ref or a key meanwhile, and all is to be taken back. */
export async function insertArrivedTasks(
  tx: Tx,
  boardId: number,
  tasks: readonly ArrivedTask[],
  creator: ActorRef,
): Promise<number> {
  const rows = await tx`
    /* imports.insert_tasks */
    WITH item AS MATERIALIZED (
      SELECT item.*, clock_timestamp() AS now FROM unnest(
        ${columnOf(tasks, (task) => task.id)}::uuid[], ${columnOf(tasks, (task) => task.title)}::text[],
        ${columnOf(tasks, (task) => task.body)}::text[], ${columnOf(tasks, (task) => task.status)}::text[],
        ${columnOf(tasks, (task) => task.lane)}::text[], ${columnOf(tasks, (task) => task.priority)}::int[],
        ${columnOf(tasks, (task) => task.attempt)}::int[], ${columnOf(tasks, (task) => task.unmetParents)}::int[],
        ${columnOf(tasks, (task) => task.consecutiveFailures)}::int[], ${columnOf(tasks, (task) => task.maxFailures)}::int[],
        ${columnOf(tasks, (task) => task.maxRuntimeSeconds)}::int[], ${columnOf(tasks, (task) => task.noProgressSeconds)}::int[],
        ${columnOf(tasks, (task) => task.runAt)}::text[], ${columnOf(tasks, (task) => task.resultAttempt)}::int[],
        ${columnOf(tasks, (task) => task.reviewer)}::text[], ${columnOf(tasks, (task) => task.implementerLane)}::text[],
        ${columnOf(tasks, (task) => task.blockStreak)}::int[], ${columnOf(tasks, (task) => task.streakKind)}::text[],
        ${columnOf(tasks, (task) => task.archivedFrom)}::text[], ${columnOf(tasks, (task) => task.blockedKind)}::text[],
        ${columnOf(tasks, (task) => task.blockedReason)}::text[], ${columnOf(tasks, (task) => task.statusSince)}::text[],
        ${columnOf(tasks, (task) => task.createdAt)}::text[], ${columnOf(tasks, (task) => jsonOrNull(task.payload))}::text[],
        ${columnOf(tasks, (task) => jsonOrNull(task.labels))}::text[], ${columnOf(tasks, (task) => jsonOrNull(task.backoff))}::text[],
        ${columnOf(tasks, (task) => task.tenant)}::text[], ${columnOf(tasks, (task) => task.externalRef)}::text[],
        ${columnOf(tasks, (task) => task.idempotencyKey)}::text[], ${columnOf(tasks, (task) => task.commentCount)}::int[]
      ) AS item (id, title, body, status, lane, priority, attempt, unmet_parents, failures, max_failures, max_runtime_seconds,
        no_progress_seconds, run_at, result_attempt, reviewer, implementer_lane, block_streak, streak_kind, archived_from, blocked_kind,
        blocked_reason, status_since, created_at, payload, labels, backoff, tenant, external_ref, idempotency_key, comment_count)
    ),
    detail AS (
      INSERT INTO task_details (board_id, task_id, title, body, payload, labels, backoff, tenant, external_ref, idempotency_key,
        is_idempotency_key_held, comment_count, created_by_type, created_by_id)
      SELECT ${boardId}, id, title, body, payload::jsonb, labels::jsonb, backoff::jsonb, tenant, external_ref, idempotency_key,
        status <> 'archived', comment_count, ${creator.type}, ${creator.id}
      FROM item ORDER BY idempotency_key NULLS FIRST, external_ref
      ON CONFLICT DO NOTHING
      RETURNING task_id
    )
    INSERT INTO tasks AS t (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures,
      protocol_violations, max_failures, max_runtime_seconds, no_progress_seconds, run_at, result_attempt, reviewer, implementer_lane,
      block_streak, streak_kind, archived_from, blocked_kind, blocked_reason, status_since, created_at, updated_at)
    SELECT ${boardId}, id, lane, status, priority, 1, attempt, unmet_parents, failures, 0, max_failures, max_runtime_seconds,
      no_progress_seconds, run_at::timestamptz, result_attempt, reviewer, implementer_lane, block_streak, streak_kind, archived_from,
      blocked_kind, blocked_reason, least(coalesce(status_since::timestamptz, now), now), least(created_at::timestamptz, now), now
    FROM item WHERE id = ANY (ARRAY(SELECT task_id FROM detail))
    RETURNING t.id`;
  return rows.length;
}

export interface ArrivedRun {
  readonly taskId: Uuid;
  readonly attempt: number;
  readonly id: Uuid;
  readonly lane: string | null;
  readonly worker: string | null;
  readonly outcome: Outcome;
  readonly startedAt: string;
  /** Null: it ends now. */
  readonly endedAt: string | null;
  readonly summary: string | null;
  readonly result: unknown;
  readonly metadata: unknown;
  readonly error: string | null;
}

export async function insertArrivedRuns(
  tx: Tx,
  boardId: number,
  runs: readonly ArrivedRun[],
  ender: ActorRef,
): Promise<void> {
  if (runs.length === 0) return;
  await tx`
    /* imports.insert_runs */
    INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at, ended_by_type, ended_by_id, summary,
      result, metadata, error)
    SELECT ${boardId}, task_id, attempt, id, lane, worker, outcome, start.at,
      greatest(start.at, least(coalesce(ended_at::timestamptz, now.at), now.at)), ${ender.type}, ${ender.id}, summary, result::jsonb,
      metadata::jsonb, error
    FROM clock_timestamp() AS now (at), unnest(
      ${runs.map((run) => run.taskId)}::uuid[], ${runs.map((run) => run.attempt)}::int[], ${runs.map((run) => run.id)}::uuid[],
      ${columnOf(runs, (run) => run.lane)}::text[], ${columnOf(runs, (run) => run.worker)}::text[],
      ${runs.map((run) => run.outcome)}::text[], ${runs.map((run) => run.startedAt)}::text[],
      ${columnOf(runs, (run) => run.endedAt)}::text[], ${columnOf(runs, (run) => run.summary)}::text[],
      ${columnOf(runs, (run) => jsonOrNull(run.result))}::text[], ${columnOf(runs, (run) => jsonOrNull(run.metadata))}::text[],
      ${columnOf(runs, (run) => run.error)}::text[]
    ) AS item (task_id, attempt, id, lane, worker, outcome, started_at, ended_at, summary, result, metadata, error)
    CROSS JOIN LATERAL (SELECT least(item.started_at::timestamptz, now.at) AS at) AS start`;
}

export interface ArrivedComment {
  readonly taskId: Uuid;
  readonly id: Uuid;
  readonly body: string;
  readonly authorId: string;
  readonly at: string;
}

export async function insertArrivedComments(
  tx: Tx,
  boardId: number,
  comments: readonly ArrivedComment[],
): Promise<void> {
  if (comments.length === 0) return;
  await tx`
    /* imports.insert_comments */
    INSERT INTO comments (board_id, task_id, id, body, author_type, author_id, at)
    SELECT ${boardId}, task_id, id, body, 'system', author_id, least(item.at::timestamptz, clock_timestamp())
    FROM unnest(
      ${comments.map((comment) => comment.taskId)}::uuid[], ${comments.map((comment) => comment.id)}::uuid[],
      ${comments.map((comment) => comment.body)}::text[], ${comments.map((comment) => comment.authorId)}::text[],
      ${comments.map((comment) => comment.at)}::text[]
    ) AS item (task_id, id, body, author_id, at)`;
}

function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}
