/**
 * Property 6: the log, folded from its first event, gives the tables.
 *
 * Proves: sequence numbers are 1, 2, 3, … up to the counter; no event contradicts the ones before it (a task is created first and once,
 * starts each change where the last one ended, runs only between a claim and its end, and leaves a finished status only to be reopened or
 * archived); and what comes out is what the tables hold: status, attempt, lane and version of every task, number, id and outcome of every
 * run, and the counts by status.
 *
 * A model of its own: it knows what the events of the domain mean and nothing of the server's code. Cannot prove: anything that events do
 * not carry (bodies, results, times). A board whose log was pruned cannot be folded.
 */
import type { Event } from '../../src/contract/events.ts';
import {
  FINISHED_STATUSES,
  type Outcome,
  TASK_STATUSES,
  type TaskStatus,
} from '../../src/contract/statuses.ts';
import type { FinalRun, FinalState, FinalTask, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 6,
  detail,
  evidence,
});

/** How a run ended, by the event that says so. */
const OUTCOMES_BY_EVENT: Readonly<Record<string, Outcome>> = {
  'task.completed': 'completed',
  'task.review_requested': 'completed',
  'task.changes_requested': 'changes_requested',
  'task.blocked': 'blocked',
  'task.released': 'released',
  'task.failed': 'failed',
  'task.crashed': 'crashed',
  'task.timed_out': 'timed_out',
  'task.reclaimed': 'reclaimed',
  'task.cancelled': 'cancelled',
};

interface FoldedTask {
  status: TaskStatus;
  lane: string | null;
  attempt: number;
  version: number;
  /** The run that holds it. */
  holder: string | null;
  /** The version at which it was given up last, or sent to triage. */
  remarkedVersion: number | null;
  /** Its first contradiction has been told; what follows from it is not worth telling. */
  isDerailed: boolean;
}

interface FoldedRun {
  readonly id: string;
  readonly taskId: string;
  readonly attempt: number;
  outcome: Outcome | null;
}

class LogFold {
  readonly tasks = new Map<string, FoldedTask>();
  readonly runs: FoldedRun[] = [];
  readonly violations: Violation[] = [];
  /** By task: the one that is open. */
  readonly #open = new Map<string, FoldedRun>();
  #lastSeq = 0;

  apply(event: Event): void {
    if (event.seq !== this.#lastSeq + 1)
      this.violations.push(violation('the log is not dense', { after: this.#lastSeq, event }));
    this.#lastSeq = event.seq;
    if (!event.kind.startsWith('task.') || event.task_id === undefined) return;
    const task = this.tasks.get(event.task_id);
    if (event.kind === 'task.created' && task === undefined) {
      this.#create(event.task_id, event);
      return;
    }
    if (task?.isDerailed) return;
    const contradiction = contradictionOf(event, task);
    if (contradiction !== null) this.violations.push(violation(contradiction, { event, task: { ...task } }));
    if (task === undefined) return;
    task.isDerailed = contradiction !== null;
    this.#move(event.task_id, task, event);
  }

  #create(taskId: string, event: Event): void {
    const status = statusIn(event, 'status_after');
    if (status === null || event.task_version === undefined)
      this.violations.push(violation('a task was created without a status or version', { event }));
    this.tasks.set(taskId, {
      status: status ?? 'ready',
      lane: event.lane ?? null,
      attempt: 0,
      version: event.task_version ?? 0,
      holder: null,
      remarkedVersion: null,
      isDerailed: status === null,
    });
  }

  #move(taskId: string, task: FoldedTask, event: Event): void {
    const outcome = OUTCOMES_BY_EVENT[event.kind] ?? null;
    const { run_id: runId, attempt = task.attempt } = event;
    if (event.kind === 'task.claimed' && runId !== undefined) {
      task.attempt = attempt;
      task.holder = runId;
      const run = { id: runId, taskId, attempt, outcome: null };
      this.runs.push(run);
      this.#open.set(taskId, run);
    } else if (endsHold(event)) {
      const run = this.#open.get(taskId);
      if (run !== undefined) run.outcome = outcome;
      this.#open.delete(taskId);
      task.holder = null;
    } else if (isByHand(event) && runId !== undefined) {
      task.attempt = attempt;
      this.runs.push({ id: runId, taskId, attempt, outcome });
    }
    task.status = statusIn(event, 'status_after') ?? task.status;
    task.version = event.task_version ?? task.version;
    if (isRemark(event)) task.remarkedVersion = task.version;
    if (event.kind === 'task.assigned') task.lane = event.lane ?? null;
    const { lane_after: lane } = event.data;
    // The event's own lane is that of the run which ended.
    if (typeof lane === 'string' || lane === null) task.lane = lane;
  }
}

export function statusIn(event: Event, name: 'status_before' | 'status_after'): TaskStatus | null {
  const value = event.data[name];
  return TASK_STATUSES.find((status) => status === value) ?? null;
}

const endsHold = (event: Event): boolean =>
  statusIn(event, 'status_before') === 'running' && statusIn(event, 'status_after') !== 'running';

/** A person completed what nobody held, or sent back what nobody reviewed. Work that is accepted gets no run of its own. */
const isByHand = (event: Event): boolean =>
  (event.kind === 'task.completed' || event.kind === 'task.changes_requested') &&
  statusIn(event, 'status_before') !== 'running' &&
  event.data['accepted'] !== true;

/** Says what an end came to, beside the end itself. */
const isRemark = (event: Event): boolean => event.kind === 'task.gave_up' || event.kind === 'task.triaged';

function contradictionOf(event: Event, task: FoldedTask | undefined): string | null {
  if (task === undefined) return 'an event is of a task that was never created';
  if (event.kind === 'task.created') return 'a task was created twice';
  const before = statusIn(event, 'status_before');
  if (before !== null && before !== task.status) return 'an event does not start where the task was';
  return contradictionOfVersion(event, task) ?? contradictionOfMove(event, task);
}

/** A change of a row raises its version by one. A remark accompanies another change, and is told once. */
function contradictionOfVersion(event: Event, task: FoldedTask): string | null {
  const { task_version: version } = event;
  if (isRemark(event))
    return version === task.version && version !== task.remarkedVersion
      ? null
      : 'a task gave up that did not just end';
  return version === undefined || version === task.version + 1
    ? null
    : 'an event does not have the next version of its task';
}

function contradictionOfMove(event: Event, task: FoldedTask): string | null {
  const before = statusIn(event, 'status_before') ?? task.status;
  const after = statusIn(event, 'status_after') ?? task.status;
  if (event.kind === 'task.claimed') return contradictionOfClaim(event, task, after);
  if (endsHold(event)) {
    if (event.run_id !== task.holder) return 'a claim was ended that does not hold the task';
    return OUTCOMES_BY_EVENT[event.kind] === undefined
      ? 'a claim was ended by an event that is no end'
      : null;
  }
  if (before !== 'running' && after === 'running') return 'a task runs that was not claimed';
  if (isByHand(event) && event.attempt !== task.attempt + 1) return 'a completion is not the next attempt';
  const isResting = FINISHED_STATUSES.includes(before) && before !== after;
  if (isResting && event.kind !== 'task.reopened' && event.kind !== 'task.archived')
    return 'a finished task was moved on';
  return null;
}

function contradictionOfClaim(event: Event, task: FoldedTask, after: TaskStatus): string | null {
  if (task.holder !== null || after !== 'running') return 'a task was claimed that cannot be';
  if (task.status !== 'ready' && task.status !== 'review') return 'a task was claimed that is not ready';
  if (event.attempt !== task.attempt + 1) return 'a claim is not the next attempt';
  if (event.run_id === undefined) return 'a claim has no run';
  return (event.lane ?? null) !== task.lane ? 'a claim is of another lane' : null;
}

export function checkLogFold(final: FinalState): Violation[] {
  const fold = new LogFold();
  for (const event of final.events) fold.apply(event);
  const last = final.events.at(-1)?.seq ?? 0;
  return [
    ...fold.violations,
    ...(last === final.seq
      ? []
      : [violation('the counter is not at the end of the log', { last, seq: final.seq })]),
    ...compareTasks(fold, final.tasks),
    ...compareRuns(fold, final.runs),
    ...checkCounts(final),
  ];
}

function compareTasks(fold: LogFold, rows: readonly FinalTask[]): Violation[] {
  const unseen = new Set(fold.tasks.keys());
  const found = rows.flatMap((row) => {
    const task = fold.tasks.get(row.id);
    const isFirst = unseen.delete(row.id);
    if (task === undefined || !isFirst)
      return [violation('a task is not in the log, or there twice', { row })];
    const isSame =
      row.status === task.status &&
      row.lane === task.lane &&
      row.attempt === task.attempt &&
      row.version === task.version;
    return isSame || task.isDerailed
      ? []
      : [violation('a task is not what the log says', { row, folded: task })];
  });
  const missing = [...unseen].map((id) => violation('a task of the log is not in the tables', { id }));
  return [...found, ...missing];
}

function compareRuns(fold: LogFold, rows: readonly FinalRun[]): Violation[] {
  const nameOf = (run: FoldedRun | FinalRun): string => `${run.taskId} ${run.attempt}`;
  const folded = groupBy(fold.runs, nameOf);
  const isDerailed = (run: FinalRun | FoldedRun): boolean => fold.tasks.get(run.taskId)?.isDerailed ?? false;
  const found = rows.flatMap((row) => {
    const run = folded.get(nameOf(row))?.shift();
    const isSame = run?.id === row.id && run.outcome === row.outcome;
    return isSame || isDerailed(row)
      ? []
      : [violation('a run is not what the log says', { row, folded: run })];
  });
  const missing = [...folded.values()].flat().filter((run) => !isDerailed(run));
  return [...found, ...missing.map((run) => violation('a run of the log is not in the tables', { run }))];
}

export function checkCounts(final: FinalState): Violation[] {
  const byStatus = groupBy(final.tasks, (task) => task.status);
  return TASK_STATUSES.flatMap((status) => {
    const tasks = byStatus.get(status)?.length ?? 0;
    const counted = final.counts[status] ?? 0;
    return tasks === counted
      ? []
      : [violation('a count is not exact', { board: final.board, status, tasks, counted })];
  });
}
