/** A task of the wire as the rows that it becomes. Ids carry the times of the other board, because ids are what age goes by here. */
import type { ImportedTask } from '../../../contract/import.ts';
import type { NewEvent } from '../../db/event-log.ts';
import type { Clock } from '../../kernel/clock.ts';
import { formatId, IdSource, type Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import { UNTYPED } from '../tasks/service.ts';
import type { PlannedTask } from './plan.ts';
import type { ArrivedComment, ArrivedRun, ArrivedTask } from './store.ts';

/** As for any new task. */
const DEFAULT_MAX_FAILURES = 2;
/** Of who ended a run or wrote a comment elsewhere: nobody whom this server knows. */
const FOREIGN = 'import:';

/** Ids in the order of creation, so that older work is claimed first, also among what is here already. By external_ref. */
export function idsByAge(tasks: readonly PlannedTask[], clock: Clock): Map<string, Uuid> {
  const nowMs = clock.now();
  const aged = tasks
    .map(({ task }) => ({ ref: task.external_ref, ms: Math.min(Date.parse(task.created_at), nowMs) }))
    .sort((left, right) => left.ms - right.ms);
  const moment = { ms: 0 };
  const ids = new IdSource({ now: () => moment.ms });
  return new Map(
    aged.map(({ ref, ms }) => {
      moment.ms = ms;
      return [ref, ids.next()];
    }),
  );
}

export function arrivedTask(planned: PlannedTask, id: Uuid): ArrivedTask {
  const { task, status, idempotencyKey, unmetParents } = planned;
  return {
    id,
    title: task.title,
    body: task.body ?? null,
    status,
    lane: task.lane ?? null,
    priority: task.priority ?? 0,
    attempt: task.runs.length,
    unmetParents,
    consecutiveFailures: task.consecutive_failures ?? 0,
    maxFailures: task.max_failures ?? DEFAULT_MAX_FAILURES,
    maxRuntimeSeconds: task.max_runtime_seconds ?? null,
    noProgressSeconds: task.no_progress_seconds ?? null,
    runAt: task.run_at ?? null,
    createdAt: task.created_at,
    payload: task.payload ?? null,
    labels: task.labels ?? {},
    backoff: task.backoff ?? null,
    tenant: task.tenant ?? null,
    externalRef: task.external_ref,
    idempotencyKey,
    commentCount: task.comments.length,
    ...streakOf(task),
    ...UNFINISHED,
    ...standingOf(planned),
  };
}

type Standing = Pick<
  ArrivedTask,
  | 'resultAttempt'
  | 'reviewer'
  | 'implementerLane'
  | 'archivedFrom'
  | 'blockedKind'
  | 'blockedReason'
  | 'statusSince'
>;

const UNFINISHED: Standing = {
  resultAttempt: null,
  reviewer: null,
  implementerLane: null,
  archivedFrom: null,
  blockedKind: null,
  blockedReason: null,
  statusSince: null,
};

/** What goes with one status alone. Under review the task is on its reviewer's lane, if it has one. */
function standingOf({ task, status }: PlannedTask): Partial<ArrivedTask> {
  switch (status) {
    case 'review': {
      const implementerLane = task.lane ?? null;
      const reviewer = task.reviewer ?? null;
      return {
        resultAttempt: resultAttemptOf(task),
        reviewer,
        implementerLane,
        lane: reviewer ?? implementerLane,
      };
    }
    case 'blocked':
      return { blockedKind: task.blocked?.kind ?? null, blockedReason: task.blocked?.reason ?? null };
    case 'archived':
      return { statusSince: task.finished_at ?? task.created_at, archivedFrom: 'done' };
    case 'done':
      return { statusSince: task.finished_at ?? task.created_at };
    default:
      return {};
  }
}

function streakOf({ block_streak: streak }: ImportedTask): Pick<ArrivedTask, 'blockStreak' | 'streakKind'> {
  if (!streak?.length) return { blockStreak: 0, streakKind: null };
  return { blockStreak: streak.length, streakKind: streak.kind ?? UNTYPED };
}

/** The work that waits for review: the last attempt that handed something over. */
function resultAttemptOf({ runs }: ImportedTask): number {
  const last = runs.findLastIndex((run) => run.outcome === 'completed');
  return last === -1 ? runs.length : last + 1;
}

export function arrivedRuns(task: ImportedTask, taskId: Uuid, nextId: () => Uuid): ArrivedRun[] {
  return task.runs.map((run, index) => ({
    taskId,
    attempt: index + 1,
    id: nextId(),
    lane: run.lane ?? null,
    worker: run.worker ?? null,
    outcome: run.outcome,
    startedAt: run.started_at,
    endedAt: run.ended_at ?? null,
    summary: run.summary ?? null,
    result: run.result ?? null,
    metadata: run.metadata ?? null,
    error: run.error ?? null,
  }));
}

/** Lists of comments go by their ids: what is said here comes after what was said there. */
export function arrivedComments(task: ImportedTask, taskId: Uuid, clock: Clock): ArrivedComment[] {
  if (task.comments.length === 0) return [];
  const moment = { ms: 0 };
  const ids = new IdSource({ now: () => moment.ms });
  return task.comments.map(({ body, author, at }) => {
    moment.ms = Math.min(Date.parse(at), clock.now());
    return { taskId, id: ids.next(), body, authorId: FOREIGN + author, at };
  });
}

/** The one event that an imported task begins with: what it had been through is in its rows, not in this log. */
export function createdEvent(
  planned: PlannedTask,
  row: ArrivedTask,
  parents: readonly Uuid[],
  actor: ActorRef,
): NewEvent {
  return {
    kind: 'task.created',
    taskId: row.id,
    lane: row.lane,
    attempt: row.attempt === 0 ? null : row.attempt,
    taskVersion: 1,
    actor,
    data: {
      status_before: null,
      status_after: row.status,
      imported: true,
      title: row.title,
      lane: row.lane,
      priority: row.priority,
      labels: row.labels,
      tenant: row.tenant,
      external_ref: row.externalRef,
      run_at: row.runAt,
      max_failures: row.maxFailures,
      created_at: planned.task.created_at,
      ...(parents.length === 0 ? {} : { parents: parents.map((id) => formatId('task', id)) }),
    },
  };
}
