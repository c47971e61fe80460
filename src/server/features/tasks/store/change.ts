/** Changes tasks under their row locks: any number of transitions in one transaction, decided by the caller in between. */
import type { BlockKind, TaskStatus } from '../../../../contract/statuses.ts';
import type { JsonParameter, Runner, Tx } from '../../../db/client.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import type { BlockStreak } from '../state/verdict.ts';

/** What a transition is decided on. */
export interface LockedTask {
  readonly id: Uuid;
  readonly lane: string | null;
  readonly status: TaskStatus;
  readonly version: number;
  readonly attempt: number;
  readonly consecutive_failures: number;
  readonly protocol_violations: number;
  readonly max_failures: number;
  readonly unmet_parents: number;
  readonly has_children: boolean;
  /** A delegation or somebody subscribed hangs on it. */
  readonly is_followed: boolean;
  /** Not null: the work of this attempt is under review. */
  readonly result_attempt: number | null;
  readonly reviewer: string | null;
  readonly implementer_lane: string | null;
  readonly implementer_worker: string | null;
  readonly block_streak: number;
  readonly streak_kind: string | null;
  /** The status it was archived in. */
  readonly archived_from: TaskStatus | null;
  readonly blocked_kind: BlockKind | null;
  readonly blocked_reason: string | null;
  readonly run_at: string | null;
}

/** Of a task `t`: the fields of LockedTask. */
export const lockedColumns = (sql: Runner) => sql`
  t.id, t.lane, t.status, t.version, t.attempt, t.consecutive_failures, t.protocol_violations, t.max_failures, t.unmet_parents,
  t.has_children, t.is_followed, t.result_attempt, t.reviewer, t.implementer_lane, t.implementer_worker, t.block_streak, t.streak_kind, t.archived_from,
  t.blocked_kind, t.blocked_reason, t.run_at`;

/** Scheduled tasks of a board whose time has come, oldest first; another server's are left to it. */
export async function lockDueTasks(tx: Tx, boardId: number, rowsMax: number): Promise<LockedTask[]> {
  return tx<LockedTask[]>`
    /* tasks.lock_due */
    SELECT ${lockedColumns(tx)} FROM tasks t
    WHERE t.board_id = ${boardId} AND t.status = 'scheduled' AND t.run_at <= clock_timestamp()
    ORDER BY t.run_at, t.id LIMIT ${rowsMax} FOR NO KEY UPDATE SKIP LOCKED`;
}

/** The state a transition leaves; what is not named stays. */
export interface TaskAfter {
  readonly status: TaskStatus;
  readonly lane?: string | null;
  readonly attempt?: number;
  readonly consecutiveFailures?: number;
  readonly protocolViolations?: number;
  readonly blocked?: { readonly kind: BlockKind | null; readonly reason: string | null } | null;
  /** With status scheduled: seconds from now. */
  readonly delaySeconds?: number | null;
  /** When it is to start; kept over any wait for parents. Without it only a scheduled task keeps its time. */
  readonly runAt?: string | null;
  readonly unmetParents?: number;
  /** Null: no work of it is under review any more. */
  readonly review?: ReviewPhase | null;
  readonly streak?: BlockStreak;
  readonly archivedFrom?: TaskStatus | null;
}

/** Work that was handed over for review. */
export interface ReviewPhase {
  readonly resultAttempt: number;
  /** null: people decide. */
  readonly reviewer: string | null;
  readonly implementerLane: string | null;
  /** null: a person. */
  readonly implementerWorker: string | null;
}

export function reviewOf(task: LockedTask): ReviewPhase | null {
  if (task.result_attempt === null) return null;
  return {
    resultAttempt: task.result_attempt,
    reviewer: task.reviewer,
    implementerLane: task.implementer_lane,
    implementerWorker: task.implementer_worker,
  };
}

export interface TaskMove {
  readonly before: LockedTask;
  readonly after: TaskAfter;
}

/** Only a blocked task has a kind and a reason; one that stays blocked keeps them unless the move names others. */
function blockOf(before: LockedTask, after: TaskAfter): Pick<LockedTask, 'blocked_kind' | 'blocked_reason'> {
  if (after.status !== 'blocked') return { blocked_kind: null, blocked_reason: null };
  if (after.blocked === undefined)
    return { blocked_kind: before.blocked_kind, blocked_reason: before.blocked_reason };
  return { blocked_kind: after.blocked?.kind ?? null, blocked_reason: after.blocked?.reason ?? null };
}

function reviewColumnsOf(review: ReviewPhase | null) {
  return {
    result_attempt: review?.resultAttempt ?? null,
    reviewer: review?.reviewer ?? null,
    implementer_lane: review?.implementerLane ?? null,
    implementer_worker: review?.implementerWorker ?? null,
  };
}

/** The row as a move leaves it, but for its times: what a second move of the same transaction starts from. */
export function movedTask<T extends LockedTask>({ before, after }: { before: T; after: TaskAfter }): T {
  return {
    ...before,
    ...blockOf(before, after),
    ...reviewColumnsOf(after.review === undefined ? reviewOf(before) : after.review),
    status: after.status,
    version: before.version + 1,
    lane: after.lane === undefined ? before.lane : after.lane,
    attempt: after.attempt ?? before.attempt,
    unmet_parents: after.unmetParents ?? before.unmet_parents,
    consecutive_failures: after.consecutiveFailures ?? before.consecutive_failures,
    protocol_violations: after.protocolViolations ?? before.protocol_violations,
    block_streak: after.streak?.length ?? before.block_streak,
    streak_kind: after.streak === undefined ? before.streak_kind : after.streak.kind,
    archived_from: after.archivedFrom === undefined ? before.archived_from : after.archivedFrom,
  };
}

/** Writes the moves of locked tasks. Every one of them must take: its row is locked and its version was just read. */
export async function moveTasks(tx: Tx, boardId: number, moves: readonly TaskMove[]): Promise<void> {
  const items = moves.map(({ before, after }) => ({
    ...blockOf(before, after),
    ...reviewColumnsOf(after.review === undefined ? reviewOf(before) : after.review),
    unmet_parents: after.unmetParents ?? before.unmet_parents,
    block_streak: after.streak?.length ?? before.block_streak,
    streak_kind: after.streak === undefined ? before.streak_kind : after.streak.kind,
    archived_from: after.archivedFrom === undefined ? before.archived_from : after.archivedFrom,
    run_at: after.runAt === undefined ? null : after.runAt,
    keeps_run_at: after.runAt === undefined && (after.status === 'scheduled' || after.status === 'todo'),
    board_id: boardId,
    id: before.id,
    version: before.version,
    status: after.status,
    lane: after.lane === undefined ? before.lane : after.lane,
    attempt: after.attempt ?? before.attempt,
    failures: after.consecutiveFailures ?? before.consecutive_failures,
    violations: after.protocolViolations ?? before.protocol_violations,
    delay_seconds: after.delaySeconds ?? null,
    is_same_status: after.status === before.status,
  }));
  const moved = await tx`
    /* tasks.move */
    UPDATE tasks t SET
      status = item.status, lane = item.lane, attempt = item.attempt, version = t.version + 1,
      consecutive_failures = item.failures, protocol_violations = item.violations,
      blocked_kind = item.blocked_kind, blocked_reason = item.blocked_reason,
      unmet_parents = item.unmet_parents, result_attempt = item.result_attempt, reviewer = item.reviewer,
      implementer_lane = item.implementer_lane, implementer_worker = item.implementer_worker,
      block_streak = item.block_streak, streak_kind = item.streak_kind, archived_from = item.archived_from,
      run_at = CASE WHEN item.delay_seconds IS NOT NULL THEN clock_timestamp() + make_interval(secs => item.delay_seconds)
        WHEN item.keeps_run_at THEN t.run_at ELSE item.run_at END,
      status_since = CASE WHEN item.is_same_status THEN t.status_since ELSE clock_timestamp() END,
      updated_at = clock_timestamp()
    FROM json_to_recordset(${JSON.stringify(items)}::text::json) AS item (
      board_id int, id uuid, version int, status text, lane text, attempt int, failures int, violations int, blocked_kind text, blocked_reason text,
      delay_seconds double precision, is_same_status boolean, unmet_parents int, result_attempt int, reviewer text, implementer_lane text,
      implementer_worker text, block_streak int, streak_kind text, archived_from text, run_at timestamptz, keeps_run_at boolean)
    WHERE t.board_id = ANY (ARRAY[item.board_id]) AND t.id = item.id AND t.version = item.version
    RETURNING t.id`;
  assert(moved.length === moves.length, 'a locked task keeps its version');
}

export async function requestCancel(
  tx: Tx,
  boardId: number,
  taskId: Uuid,
  cancel: { deadlineSeconds: number; reason: string | null },
): Promise<{ run_id: Uuid; worker: string; cancel_deadline_at: string } | null> {
  const [row] = await tx<{ run_id: Uuid; worker: string; cancel_deadline_at: string }[]>`
    /* tasks.request_cancel */
    UPDATE claims SET is_cancel_requested = true, cancel_reason = ${cancel.reason},
      cancel_deadline_at = least(cancel_deadline_at, clock_timestamp() + make_interval(secs => ${cancel.deadlineSeconds}))
    WHERE board_id = ${boardId} AND task_id = ${taskId}
    RETURNING run_id, worker, cancel_deadline_at`;
  return row ?? null;
}

/** The run of zero length that a person's verdict gets: on work that nobody holds, or on what waits for review. */
export async function insertOperatorRun(
  tx: Tx,
  boardId: number,
  run: {
    readonly id: Uuid;
    readonly taskId: Uuid;
    readonly attempt: number;
    readonly lane: string | null;
    readonly actor: ActorRef;
    readonly outcome: 'completed' | 'changes_requested';
    readonly error: string | null;
    readonly summary: string | null;
    readonly result: unknown;
    readonly metadata: Readonly<Record<string, unknown>> | null;
  },
): Promise<void> {
  await tx`
    /* tasks.insert_operator_run */
    INSERT INTO runs (board_id, task_id, attempt, id, lane, outcome, started_at, ended_at, ended_by_type, ended_by_id, error, summary, result, metadata)
    SELECT ${boardId}, ${run.taskId}, ${run.attempt}, ${run.id}, ${run.lane}, ${run.outcome}, at, at, ${run.actor.type}, ${run.actor.id},
      ${run.error}, ${run.summary}, ${run.result === null || run.result === undefined ? null : tx.json(run.result as JsonParameter)},
      ${run.metadata === null ? null : tx.json(run.metadata as JsonParameter)}
    FROM clock_timestamp() AS at`;
}

export interface TaskPatch {
  readonly hot: {
    readonly priority?: number;
    readonly max_failures?: number;
    readonly max_runtime_seconds?: number | null;
    readonly no_progress_seconds?: number | null;
  };
  readonly detail: {
    readonly title?: string;
    readonly body?: string | null;
    readonly payload?: unknown;
    readonly labels?: Readonly<Record<string, string>>;
    readonly backoff?: Readonly<Record<string, unknown>> | null;
    readonly tenant?: string | null;
    readonly external_ref?: string | null;
  };
}

export async function patchTask(
  tx: Tx,
  boardId: number,
  id: Uuid,
  { hot, detail }: TaskPatch,
): Promise<void> {
  // The driver knows what a helper stands for by the words before it in the same text, so it cannot stand in a nested one.
  if (Object.keys(hot).length > 0)
    await tx`/* tasks.patch_hot */ UPDATE tasks SET ${tx(hot as Record<string, number | null>)} WHERE board_id = ${boardId} AND id = ${id}`;
  await tx`
    /* tasks.patch */
    UPDATE tasks SET version = version + 1, updated_at = clock_timestamp() WHERE board_id = ${boardId} AND id = ${id}`;
  if (Object.keys(detail).length === 0) return;
  const columns = Object.fromEntries(
    Object.entries(detail).map(([name, value]) => [
      name,
      ['payload', 'labels', 'backoff'].includes(name) && value !== null
        ? tx.json(value as JsonParameter)
        : value,
    ]),
  );
  await tx`/* tasks.patch_details */ UPDATE task_details SET ${tx(columns)} WHERE board_id = ${boardId} AND task_id = ${id}`;
}

export async function releaseIdempotencyKeys(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<void> {
  await tx`
    /* tasks.release_idempotency_keys */
    UPDATE task_details SET is_idempotency_key_held = false
    WHERE board_id = ${boardId} AND task_id = ANY(${ids as Uuid[]}::uuid[]) AND idempotency_key IS NOT NULL`;
}

/** Boards that have scheduled tasks whose time has come. Of more than there is room for any, not the same each time. */
export async function listBoardsWithDueTasks(
  sql: Runner,
  exceptIds: readonly number[],
  boardsMax: number,
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* tasks.list_boards_with_due */
    SELECT board_id FROM tasks
    WHERE status = 'scheduled' AND run_at <= clock_timestamp() AND board_id <> ALL (${exceptIds as number[]}::int[])
    GROUP BY board_id ORDER BY random() LIMIT ${boardsMax}`;
  return rows.map((row) => row.board_id);
}
