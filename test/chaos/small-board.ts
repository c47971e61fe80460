/**
 * A board in a few lines, whose rules are plain enough to be right: it does what it is told in order, one thing at a time, and writes down
 * what its clients would see of it, its log and its tables. What it records must satisfy every checker; what is changed in it must not.
 */
import type {
  CancelOperation,
  ClaimOperation,
  CreateOperation,
  FinalState,
  HistoryEntry,
  Operation,
  RunOperation,
} from '../../chaos/history.ts';
import type { Event } from '../../src/contract/events.ts';
import {
  FINISHED_STATUSES,
  type Outcome,
  TASK_STATUSES,
  type TaskStatus,
} from '../../src/contract/statuses.ts';

export type Writable<T> = T extends readonly (infer U)[]
  ? Writable<U>[]
  : T extends object
    ? { -readonly [K in keyof T]: Writable<T[K]> }
    : T;

/** A recorded run, to be changed at will. */
export interface Recording {
  entries: Writable<HistoryEntry>[];
  final: Writable<FinalState>;
}

export interface Held {
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly worker: string;
}

/** How the client of an operation fared: how long before and after its effect it waited, and whether it heard of it. */
export interface Hearing {
  readonly leadMs?: number;
  readonly lagMs?: number;
  readonly isLost?: boolean;
}

export type EndKind = 'complete' | 'fail' | 'release' | 'block';
export const END_KINDS: readonly EndKind[] = ['complete', 'fail', 'release', 'block'];

export const LANE = 'press';
/** Between two things that happen. */
const STEP_MS = 10;
const LEASE_MS = 60_000;
const BACKOFF_MS = 30_000;
const EPOCH_MS = Date.parse('2026-01-01T00:00:00.000Z');

interface Task {
  id: string;
  status: TaskStatus;
  lane: string;
  attempt: number;
  version: number;
  key: string;
  runAt: string | null;
  blockedReason: string | null;
  isCancelRequested: boolean;
}

interface Run extends Held {
  readonly startedAt: string;
  outcome: Outcome | null;
  endedAt: string | null;
  endedBy: string | null;
}

interface Watcher {
  seq: number;
  connection: number;
  isGone: boolean;
}

type NewOperation =
  | Omit<CreateOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<ClaimOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<RunOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<CancelOperation, 'entry' | 'invokedAt' | 'ending'>;

const OUTCOMES: Readonly<Record<EndKind, Outcome>> = {
  complete: 'completed',
  fail: 'failed',
  release: 'released',
  block: 'blocked',
};
const STATUSES: Readonly<Record<Outcome, TaskStatus>> = {
  completed: 'done',
  changes_requested: 'ready',
  blocked: 'blocked',
  released: 'ready',
  failed: 'scheduled',
  crashed: 'scheduled',
  timed_out: 'scheduled',
  reclaimed: 'ready',
  cancelled: 'cancelled',
};

export class SmallBoard {
  readonly tasks: Task[] = [];
  readonly runs: Run[] = [];
  readonly #entries: HistoryEntry[] = [];
  readonly #events: Event[] = [];
  readonly #watchers = new Map<string, Watcher>();
  #nowMs = 0;

  constructor() {
    this.changeLane('lane.registered', {
      kind: 'persistent',
      claim_mode: 'pull',
      max_concurrent_claims: null,
    });
  }

  /** Nothing happens for a while. */
  pass(durationMs: number): void {
    this.#nowMs += durationMs;
  }

  changeLane(
    kind: 'lane.registered' | 'lane.paused' | 'lane.resumed' | 'lane.updated',
    data: Event['data'],
  ): void {
    this.#log({ kind, lane: LANE, data });
  }

  pauseBoard(): void {
    this.#log({ kind: 'board.updated', data: { settings: { paused: true } } });
  }

  /** A key that is known answers with its task. */
  create(key: string, hearing: Hearing = {}): Task {
    this.#step();
    const known = this.tasks.find((task) => task.key === key && task.status !== 'archived');
    const task = known ?? this.#insert(key);
    const common = {
      kind: 'create',
      process: 'orchestrator-1.1',
      idempotencyKey: key,
      lane: task.lane,
    } as const;
    this.#record({ ...common, taskId: task.id, isReplay: known !== undefined }, 'ok', hearing);
    return task;
  }

  /** The oldest that is ready; null: none is, and the answer says so. */
  claim(worker: string, hearing: Hearing = {}): Held | null {
    this.#step();
    const task = this.tasks.find((candidate) => candidate.status === 'ready' && candidate.lane === LANE);
    const common = { kind: 'claim', process: worker, worker, lane: LANE } as const;
    if (task === undefined) {
      this.#record({ ...common, claims: [] }, 'ok', hearing);
      return null;
    }
    task.attempt += 1;
    const held = { taskId: task.id, runId: `run_${this.runs.length + 1}`, attempt: task.attempt, worker };
    this.runs.push({ ...held, startedAt: this.#time(), outcome: null, endedAt: null, endedBy: null });
    this.#move(task, 'running', 'task.claimed', held);
    const { worker: _, ...claim } = held;
    this.#record({ ...common, claims: [claim] }, 'ok', hearing);
    return held;
  }

  /** The work for which a claim waits comes while it waits. */
  claimNew(worker: string, key: string, hearing: Hearing = {}): Held | null {
    this.create(key);
    return this.claim(worker, hearing);
  }

  write(held: Held, kind: 'heartbeat' | 'output' | 'ack', hearing: Hearing = {}): boolean {
    this.#step();
    const isHeld = this.#isHeld(held);
    if (isHeld && kind === 'heartbeat') this.#log({ kind: 'task.heartbeat', ...placeOf(held), data: {} });
    this.#record(writeOf(held, kind), isHeld ? 'ok' : 'fail', hearing);
    return isHeld;
  }

  /** The same end again is answered again. */
  end(held: Held, kind: EndKind, hearing: Hearing = {}): boolean {
    this.#step();
    const run = this.#runOf(held);
    const isAgain = run.endedBy === kind;
    const isAccepted = isAgain || this.#isHeld(held);
    if (isAccepted && !isAgain) this.#close(run, OUTCOMES[kind], kind);
    const answer = isAccepted && run.outcome !== null ? { outcome: run.outcome } : {};
    this.#record({ ...writeOf(held, kind), ...answer }, isAccepted ? 'ok' : 'fail', hearing);
    return isAccepted;
  }

  /** The lease has lapsed. */
  reap(held: Held): void {
    this.#step();
    if (this.#isHeld(held)) this.#close(this.#runOf(held), 'crashed', null);
  }

  cancel(task: Task, hearing: Hearing = {}): void {
    this.#step();
    const common = { kind: 'cancel', process: 'orchestrator-1.1', taskId: task.id } as const;
    if (isFinished(task)) {
      this.#record(common, 'fail', hearing);
      return;
    }
    if (task.status === 'running') {
      task.isCancelRequested = true;
      this.#move(task, 'running', 'task.cancel_requested');
    } else this.#move(task, 'cancelled', 'task.cancelled');
    this.#record({ ...common, status: task.status }, 'ok', hearing);
  }

  wakeDue(): void {
    this.#step();
    for (const task of this.tasks.filter(({ status }) => status === 'scheduled'))
      this.#move(task, 'ready', 'task.ready');
  }

  unblock(task: Task): void {
    this.#step();
    if (task.status === 'blocked') this.#move(task, 'ready', 'task.unblocked');
  }

  reopen(task: Task): void {
    this.#step();
    if (task.status === 'done' || task.status === 'cancelled') this.#move(task, 'ready', 'task.reopened');
  }

  archive(task: Task): void {
    this.#step();
    if (task.status === 'done' || task.status === 'cancelled') this.#move(task, 'archived', 'task.archived');
  }

  assign(task: Task, lane: string): void {
    this.#step();
    if (task.status === 'running' || isFinished(task)) return;
    task.lane = lane;
    this.#move(task, task.status, 'task.assigned');
  }

  /** A person does what nobody holds. */
  completeByHand(task: Task): void {
    this.#step();
    if (task.status === 'running' || isFinished(task)) return;
    task.attempt += 1;
    const held = {
      taskId: task.id,
      runId: `run_${this.runs.length + 1}`,
      attempt: task.attempt,
      worker: 'nobody',
    };
    const at = this.#time();
    this.runs.push({ ...held, startedAt: at, outcome: 'completed', endedAt: at, endedBy: null });
    this.#move(task, 'done', 'task.completed', held, { outcome: 'completed' });
  }

  /** Receives that many more events, in one frame with its cursor. */
  watch(process: string, countMax: number): void {
    const watcher = this.#watcherOf(process);
    const common = { process, at: this.#nowMs, connection: watcher.connection };
    for (const event of this.#events.slice(watcher.seq, watcher.seq + countMax)) {
      this.#entries.push({
        entry: 'watched',
        ...common,
        seq: event.seq,
        kind: event.kind,
        cursor: event.cursor,
      });
      watcher.seq = event.seq;
    }
    const cursor = this.#events[watcher.seq - 1]?.cursor ?? 'cursor 0';
    this.#entries.push({ entry: 'bookmark', ...common, seq: watcher.seq, cursor });
  }

  reconnect(process: string): void {
    this.#watcherOf(process).connection += 1;
  }

  killWatcher(process: string): void {
    this.#watcherOf(process).isGone = true;
  }

  fault(fault: string, target: string, durationMs = 0): void {
    this.#entries.push({ entry: 'fault', at: this.#nowMs, fault, target, until: this.#nowMs + durationMs });
    this.#nowMs += durationMs;
  }

  finish(): Recording {
    this.#step();
    for (const [process, watcher] of this.#watchers) {
      if (watcher.isGone) continue;
      this.watch(process, this.#events.length);
      this.#entries.push({ entry: 'watch_end', process, at: this.#nowMs });
    }
    const running = this.tasks.filter((task) => task.status === 'running');
    const final: FinalState = {
      readAt: this.#time(),
      readAtMs: this.#nowMs,
      seq: this.#events.length,
      events: this.#events,
      tasks: this.tasks.map(({ key, isCancelRequested: _, ...task }) => ({
        ...task,
        idempotencyKey: key,
        blockedKind: task.status === 'blocked' ? 'needs_input' : null,
      })),
      runs: this.runs.map(({ runId, worker: _, endedBy: __, ...run }) => ({ ...run, id: runId })),
      claims: running.flatMap((task) =>
        this.runs
          .filter((run) => run.taskId === task.id && run.outcome === null)
          .map(({ taskId, runId, attempt }) => ({
            taskId,
            runId,
            attempt,
            leaseExpiresAt: this.#time(LEASE_MS),
          })),
      ),
      counts: Object.fromEntries(
        TASK_STATUSES.map((status) => [status, this.tasks.filter((task) => task.status === status).length]),
      ),
    };
    return structuredClone({ entries: this.#entries, final }) as Recording;
  }

  #insert(key: string): Task {
    const task: Task = {
      id: `task_${this.tasks.length + 1}`,
      status: 'ready',
      lane: LANE,
      attempt: 0,
      version: 0,
      key,
      runAt: null,
      blockedReason: null,
      isCancelRequested: false,
    };
    this.tasks.push(task);
    this.#move(task, 'ready', 'task.created');
    return task;
  }

  #close(run: Run, outcome: Outcome, endedBy: EndKind | null): void {
    const task = this.tasks.find(({ id }) => id === run.taskId);
    if (task === undefined) throw new Error('a run has a task');
    const isCancelled = task.isCancelRequested && outcome !== 'completed';
    run.outcome = isCancelled ? 'cancelled' : outcome;
    run.endedAt = this.#time();
    run.endedBy = endedBy;
    task.isCancelRequested = false;
    this.#move(task, STATUSES[run.outcome], `task.${run.outcome}` as Event['kind'], run, {
      outcome: run.outcome,
    });
  }

  #move(task: Task, status: TaskStatus, kind: Event['kind'], held?: Held, data: Event['data'] = {}): void {
    const isNew = kind === 'task.created';
    const statuses = { status_before: isNew ? null : task.status, status_after: status };
    task.status = status;
    task.version += 1;
    task.runAt = status === 'scheduled' ? this.#time(BACKOFF_MS) : null;
    task.blockedReason = status === 'blocked' ? 'an answer is needed' : null;
    this.#log({
      kind,
      task_id: task.id,
      lane: task.lane,
      task_version: task.version,
      ...(held === undefined ? {} : placeOf(held)),
      data: { ...statuses, ...data },
    });
  }

  #log(event: Pick<Event, 'kind' | 'data'> & Partial<Event>): void {
    const seq = this.#events.length + 1;
    const actor = { type: 'system', id: 'test' } as const;
    this.#events.push({ ...event, seq, cursor: `cursor ${seq}`, board: 'default', at: this.#time(), actor });
  }

  #record(operation: NewOperation, ending: 'ok' | 'fail', { leadMs = 1, lagMs = 1, isLost }: Hearing): void {
    const invokedAt = this.#nowMs - leadMs;
    if (isLost === true) {
      const asked = operation.kind === 'claim' ? { ...operation, claims: [] } : withoutAnswer(operation);
      this.#entries.push({ ...asked, entry: 'operation', invokedAt, ending: 'unknown' });
      return;
    }
    const refusal =
      ending === 'fail' ? { code: operation.kind === 'cancel' ? 'illegal_transition' : 'claim_lost' } : {};
    const endedAt = this.#nowMs + lagMs;
    this.#entries.push({ ...operation, entry: 'operation', invokedAt, endedAt, ending, ...refusal });
  }

  #isHeld(held: Held): boolean {
    return this.#runOf(held).outcome === null;
  }

  #runOf(held: Held): Run {
    const run = this.runs.find(({ runId }) => runId === held.runId);
    if (run === undefined) throw new Error('a claim has a run');
    return run;
  }

  #watcherOf(process: string): Watcher {
    const known = this.#watchers.get(process);
    if (known !== undefined) return known;
    const watcher = { seq: 0, connection: 1, isGone: false };
    this.#watchers.set(process, watcher);
    return watcher;
  }

  #step(): void {
    this.#nowMs += STEP_MS;
  }

  #time(afterMs = 0): string {
    return new Date(EPOCH_MS + this.#nowMs + afterMs).toISOString();
  }
}

const isFinished = ({ status }: Task): boolean => FINISHED_STATUSES.includes(status);

function placeOf({ taskId, runId, attempt, worker }: Held) {
  return { task_id: taskId, run_id: runId, attempt, worker, lane: LANE };
}

function writeOf<K extends RunOperation['kind']>({ taskId, runId, attempt, worker }: Held, kind: K) {
  return { kind, process: worker, taskId, runId, attempt };
}

function withoutAnswer(
  operation: Exclude<NewOperation, { kind: 'claim' }>,
): Exclude<NewOperation, { kind: 'claim' }> {
  const { taskId, isReplay: _, ...asked } = operation as CreateOperation;
  return (operation.kind === 'create' ? asked : { ...asked, taskId }) as typeof operation;
}

export type RecordedOperation = Writable<Operation>;
