/** A small board that prunes as it should, with those who follow its log, on a clock of its own. What a test changes in its record must be found. */
import type { FinalRun, HistoryEntry, PrunedState } from '../../chaos/history.ts';
import type { Event } from '../../src/contract/events.ts';
import { FINISHED_STATUSES, TASK_STATUSES, type TaskStatus } from '../../src/contract/statuses.ts';
import { LANE, type Writable } from './small-board-words.ts';
import { SmallHistory } from './small-history.ts';

export const BOARD = 'forgetful';
const KEPT_SECONDS = { events: 5, finishedTasks: 3 } as const;

interface Task {
  readonly id: string;
  readonly parents: readonly string[];
  status: TaskStatus;
  attempt: number;
  version: number;
  startedAt: string;
  finishedAtMs: number;
}

interface Completion {
  /** Nobody hears of it. */
  readonly isLost?: boolean;
  /** Between its row and its event, which is written as the last. What others wait for is ended in steps, and its run is closed after this, too. */
  readonly stallMs?: number;
}

interface Follower {
  /** null: it begins where the log does. */
  seq: number | null;
  connection: number;
}

export interface PrunedDay {
  entries: Writable<HistoryEntry>[];
  final: Writable<PrunedState>;
}

const isFinished = ({ status }: Task): boolean => FINISHED_STATUSES.includes(status);

const runOf = ({ id, attempt }: Task) => ({ run_id: `run of ${id}`, attempt, worker: 'churn.1-1' });

export class PrunedBoard {
  readonly history = new SmallHistory();
  readonly tasks = new Map<string, Task>();
  readonly #runs: FinalRun[] = [];
  readonly #followers = new Map<string, Follower>();
  #prunedSeq = 0;
  #created = 0;

  create(status: 'ready' | 'triage' = 'ready', parents: readonly string[] = []): string {
    this.#created += 1;
    const id = `task_${this.#created}`;
    const waits = parents.some((parent) => this.tasks.get(parent)?.status !== 'done');
    const task: Task = {
      ...{ id, parents, status, attempt: 0, version: 0, startedAt: '', finishedAtMs: 0 },
      ...(waits ? { status: 'todo' as const } : {}),
    };
    this.tasks.set(id, task);
    this.#move(task, task.status, 'task.created', { status_before: null, parents: [...parents] });
    const operation = {
      kind: 'create',
      idempotencyKey: id,
      lane: LANE,
      process: 'churn.1',
      taskId: id,
    } as const;
    this.history.record({ ...operation, isReplay: false }, 'ok', {});
    return id;
  }

  claim(id: string): void {
    const task = this.#taskOf(id);
    task.attempt += 1;
    task.startedAt = this.history.time();
    this.#move(task, 'running', 'task.claimed', {}, runOf(task));
  }

  /** Ends its claim; claims it first where nobody has. */
  complete(id: string, { isLost = false, stallMs = 0 }: Completion = {}): void {
    const task = this.#taskOf(id);
    if (task.status !== 'running') this.claim(id);
    const run = runOf(task);
    const { startedAt } = task;
    const finishedAtMs = this.history.nowMs;
    const endedAt = this.history.time(this.#hasChildren(id) ? stallMs : 0);
    this.history.pass(stallMs);
    this.#move(task, 'done', 'task.completed', { outcome: 'completed' }, run);
    task.finishedAtMs = finishedAtMs;
    const { run_id: runId, attempt } = run;
    this.#runs.push({ id: runId, taskId: id, attempt, outcome: 'completed', startedAt, endedAt });
    const operation = { kind: 'complete', process: 'churn.1', taskId: id, runId, attempt } as const;
    this.history.record(isLost ? operation : { ...operation, runEndedAt: endedAt }, 'ok', { isLost });
  }

  /** By a person. */
  finish(id: string): void {
    this.#move(this.#taskOf(id), 'done', 'task.completed', { accepted: true });
    this.history.record({ kind: 'finish', process: 'churn.1', taskId: id }, 'ok', {});
  }

  pass(durationMs: number): void {
    this.history.pass(durationMs);
  }

  prune(): void {
    const { nowMs, events } = this.history;
    const isAwaited = (id: string): boolean =>
      [...this.tasks.values()].some((child) => !isFinished(child) && child.parents.includes(id));
    for (const task of [...this.tasks.values()]) {
      const isDue = isFinished(task) && task.finishedAtMs < nowMs - KEPT_SECONDS.finishedTasks * 1000;
      if (isDue && !isAwaited(task.id)) this.#erase(task);
    }
    const horizon = Date.parse(this.history.time()) - KEPT_SECONDS.events * 1000;
    while (Date.parse(events[this.#prunedSeq]?.at ?? '') < horizon) this.#prunedSeq += 1;
    this.history.step();
  }

  /** Asks for what follows, and gets so much of it, or is told that it is gone; then it begins anew the next time. */
  resume(process: string, eventsMax = Number.POSITIVE_INFINITY): void {
    const follower = this.#followers.get(process) ?? { seq: null, connection: 0 };
    this.#followers.set(process, follower);
    follower.connection += 1;
    const { seq, connection } = follower;
    const common = { process, at: this.history.nowMs, connection };
    const place =
      seq === null
        ? ({ from: 'start', after: 'start' } as const)
        : ({ from: 'cursor', after: `cursor ${seq}` } as const);
    this.history.entries.push({ entry: 'resume', ...common, ...place });
    this.history.step();
    const at = this.history.nowMs;
    if (seq !== null && seq < this.#prunedSeq) {
      this.history.entries.push({ entry: 'expired', ...common, at });
      follower.seq = null;
      return;
    }
    const from = seq ?? this.#prunedSeq;
    for (const event of this.history.events.slice(from, from + eventsMax)) {
      this.history.entries.push({ entry: 'received', ...common, at, event: structuredClone(event) });
      follower.seq = event.seq;
    }
  }

  /** Work comes still, and those who follow are still there and get the rest. */
  end(): PrunedDay {
    this.create();
    const tasks = [...this.tasks.values()];
    const count = (status: TaskStatus): number => tasks.filter((task) => task.status === status).length;
    const final: PrunedState = {
      board: BOARD,
      readAt: this.history.time(),
      readFromMs: this.history.nowMs,
      readAtMs: this.history.nowMs,
      seq: this.history.events.length,
      prunedSeq: this.#prunedSeq,
      keptSeconds: KEPT_SECONDS,
      events: this.history.events.slice(this.#prunedSeq),
      tasks: tasks.map((task) => this.#rowOf(task)),
      runs: this.#runs.filter(({ taskId }) => this.tasks.has(taskId)),
      claims: [],
      links: tasks.flatMap(({ id: childId, parents }) =>
        parents.map((parentId) => ({
          childId,
          parentId,
          isMet: this.tasks.get(parentId)?.status === 'done',
        })),
      ),
      counts: Object.fromEntries(TASK_STATUSES.map((status) => [status, count(status)])),
      ...{ delegationCapacity: 3, delegations: [], subscriptions: [], deliveries: [] },
    };
    for (const process of this.#followers.keys()) {
      // Twice where it is told first that its place is gone.
      this.resume(process);
      this.resume(process);
      this.history.entries.push({ entry: 'watch_end', process, at: this.history.nowMs });
    }
    return structuredClone({ entries: this.history.entries, final }) as PrunedDay;
  }

  #rowOf({ id, status, attempt, version, parents }: Task): PrunedState['tasks'][number] {
    const unmet = parents.filter((parent) => this.tasks.get(parent)?.status !== 'done');
    return {
      ...{ id, status, attempt, version, lane: LANE, idempotencyKey: id, unmetParents: unmet.length },
      ...{ runAt: null, blockedKind: null, blockedReason: null, archivedFrom: null, reviewer: null },
      ...{ implementerLane: null, implementerWorker: null },
    };
  }

  #erase(task: Task): void {
    this.tasks.delete(task.id);
    this.history.log({
      kind: 'task.deleted',
      task_id: task.id,
      task_version: task.version + 1,
      data: { status_before: task.status, pruned: true },
    });
  }

  #hasChildren(id: string): boolean {
    return [...this.tasks.values()].some(({ parents }) => parents.includes(id));
  }

  #taskOf(id: string): Task {
    const task = this.tasks.get(id);
    if (task === undefined) throw new Error('the board has it');
    return task;
  }

  #move(
    task: Task,
    status: TaskStatus,
    kind: Event['kind'],
    data: Event['data'],
    held: Partial<Event> = {},
  ): void {
    const before = task.status;
    task.status = status;
    task.version += 1;
    if (isFinished(task)) task.finishedAtMs = this.history.nowMs;
    this.history.log({
      kind,
      task_id: task.id,
      task_version: task.version,
      lane: LANE,
      ...held,
      data: { status_before: before, status_after: status, ...data },
    });
    this.history.step();
    if (status === 'done') this.#promote(task.id);
  }

  #promote(parent: string): void {
    for (const child of this.tasks.values()) {
      const isNext = child.status === 'todo' && child.parents.includes(parent);
      const isFree = child.parents.every((id) => this.tasks.get(id)?.status === 'done');
      if (isNext && isFree) this.#move(child, 'ready', 'task.ready', {});
    }
  }
}
