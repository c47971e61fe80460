/**
 * A board in a few lines, whose rules are plain enough to be right: it does what it is told in order, one thing at a time, and writes down
 * what its clients would see of it, its log and its tables. What it records must satisfy every checker; what is changed in it must not.
 */
import type { FinalLink, FinalState, OperatorOperation } from '../../chaos/history.ts';
import type { Event } from '../../src/contract/events.ts';
import type { Outcome, TaskStatus } from '../../src/contract/statuses.ts';
import {
  claimsOf,
  type EndKind,
  type Hearing,
  type Held,
  isAbove,
  isFinished,
  LANE,
  OUTCOMES,
  placeOf,
  type Recording,
  type Run,
  STATUSES,
  summaryOf,
  type Task,
  type Writable,
  wasDone,
  writeOf,
} from './small-board-words.ts';
import { SmallHistory } from './small-history.ts';

const LEASE_MS = 60_000;
const BACKOFF_MS = 30_000;
export class SmallBoard {
  readonly tasks: Task[] = [];
  readonly runs: Run[] = [];
  readonly links: Writable<FinalLink>[] = [];
  readonly history = new SmallHistory();

  constructor() {
    this.changeLane('lane.registered', {
      kind: 'persistent',
      claim_mode: 'pull',
      max_concurrent_claims: null,
    });
  }

  /** Nothing happens for a while. */
  pass(durationMs: number): void {
    this.history.pass(durationMs);
  }

  changeLane(
    kind: 'lane.registered' | 'lane.paused' | 'lane.resumed' | 'lane.updated',
    data: Event['data'],
  ): void {
    this.history.log({ kind, lane: LANE, data });
  }

  pauseBoard(): void {
    this.history.log({ kind: 'board.updated', data: { settings: { paused: true } } });
  }

  /** A key that is known answers with its task. */
  create(key: string, hearing: Hearing = {}, parents: readonly Task[] = []): Task {
    this.history.step();
    const known = this.tasks.find((task) => task.key === key && task.status !== 'archived');
    const task = known ?? this.#insert(key, [...new Set(parents)]);
    const common = {
      kind: 'create',
      process: 'orchestrator-1.1',
      idempotencyKey: key,
      lane: task.lane,
    } as const;
    this.history.record({ ...common, taskId: task.id, isReplay: known !== undefined }, 'ok', hearing);
    return task;
  }

  /** The oldest that is ready; null: none is, and the answer says so. */
  claim(worker: string, hearing: Hearing = {}): Held | null {
    this.history.step();
    const task = this.tasks.find(({ status, lane, phase }) =>
      status === 'review'
        ? phase?.reviewer === LANE && phase.implementer !== worker
        : status === 'ready' && lane === LANE,
    );
    const common = { kind: 'claim', process: worker, worker, lane: LANE } as const;
    if (task === undefined) {
      this.history.record({ ...common, claims: [] }, 'ok', hearing);
      return null;
    }
    task.attempt += 1;
    const held = { taskId: task.id, runId: `run_${this.runs.length + 1}`, attempt: task.attempt, worker };
    const isReview = task.status === 'review';
    this.runs.push({
      ...held,
      isReview,
      startedAt: this.history.time(),
      outcome: null,
      endedAt: null,
      endedBy: null,
    });
    this.#move(task, 'running', 'task.claimed', held);
    const { worker: _, ...claim } = held;
    this.history.record({ ...common, claims: [claim] }, 'ok', hearing);
    return held;
  }

  /** The work for which a claim waits comes while it waits. */
  claimNew(worker: string, key: string, hearing: Hearing = {}): Held | null {
    this.create(key);
    return this.claim(worker, hearing);
  }

  write(held: Held, kind: 'heartbeat' | 'output' | 'ack', hearing: Hearing = {}): boolean {
    this.history.step();
    const isHeld = this.#isHeld(held);
    if (isHeld && kind === 'heartbeat')
      this.history.log({ kind: 'task.heartbeat', ...placeOf(held), data: {} });
    this.history.record(writeOf(held, kind), isHeld ? 'ok' : 'fail', hearing);
    return isHeld;
  }

  /** The same end again is answered again. */
  end(held: Held, kind: EndKind, hearing: Hearing = {}): boolean {
    this.history.step();
    const run = this.#runOf(held);
    const isAgain = run.endedBy === kind;
    // Only who reviews may send back.
    const isAccepted = isAgain || (this.#isHeld(held) && (kind !== 'request_changes' || run.isReview));
    if (isAccepted && !isAgain) this.#close(run, OUTCOMES[kind], kind);
    const answer = isAccepted && run.outcome !== null ? { outcome: run.outcome } : {};
    this.history.record({ ...writeOf(held, kind), ...answer }, isAccepted ? 'ok' : 'fail', hearing);
    return isAccepted;
  }

  /** The work is done, and somebody is to look at it: the lane, or people. */
  handOver(held: Held, reviewer: string | null): void {
    this.history.step();
    const run = this.#runOf(held);
    const isHeld = this.#isHeld(held);
    if (isHeld) {
      const task = this.#taskOf(run);
      task.phase = { implementer: task.phase?.implementer ?? run.worker, reviewer };
      this.#closeRun(run, 'completed', 'complete');
      const laneAfter = reviewer ?? LANE;
      const change = laneAfter === task.lane ? {} : { lane_after: laneAfter };
      task.lane = laneAfter;
      this.#move(task, 'review', 'task.review_requested', run, { outcome: 'completed', reviewer, ...change });
    }
    const answer = isHeld ? { outcome: 'completed' as const } : {};
    this.history.record({ ...writeOf(held, 'complete'), ...answer }, isHeld ? 'ok' : 'fail', {});
  }

  /** A person has looked. */
  decide(task: Task, kind: 'accept' | 'send_back'): void {
    this.history.step();
    const isInReview = task.status === 'review';
    if (isInReview && kind === 'accept') this.#decided(task, 'done', 'task.completed', { accepted: true });
    else if (isInReview) {
      const held = this.#runByHand(task, 'changes_requested');
      this.#decided(task, this.#startOf({ ...task, phase: null }), 'task.changes_requested', {}, held);
    }
    this.#verdict(kind, task, isInReview);
  }

  link(child: Task, parent: Task): void {
    this.history.step();
    const isRefused = isFinished(child) || isAbove(child, parent, this);
    const isThere = this.links.some((link) => link.childId === child.id && link.parentId === parent.id);
    if (!isRefused && !isThere) {
      const isMet = wasDone(parent);
      this.links.push({ childId: child.id, parentId: parent.id, isMet });
      this.history.log({
        kind: 'task.linked',
        task_id: child.id,
        lane: child.lane,
        data: { parent: parent.id, met: isMet },
      });
      if (!isMet && child.status === 'ready') this.#move(child, 'todo', 'task.todo');
    }
    this.#verdict('link', child, !isRefused, parent);
  }

  unlink(child: Task, parent: Task): void {
    this.history.step();
    const link = this.links.find(({ childId, parentId }) => childId === child.id && parentId === parent.id);
    if (link !== undefined) {
      this.links.splice(this.links.indexOf(link), 1);
      this.history.log({
        kind: 'task.unlinked',
        task_id: child.id,
        lane: child.lane,
        data: { parent: parent.id },
      });
      this.#promote(child);
    }
    this.#verdict('unlink', child, link !== undefined, parent);
  }

  /** The lease has lapsed. */
  reap(held: Held): void {
    this.history.step();
    if (this.#isHeld(held)) this.#close(this.#runOf(held), 'crashed', null);
  }

  cancel(task: Task, hearing: Hearing = {}): void {
    this.history.step();
    const common = { kind: 'cancel', process: 'orchestrator-1.1', taskId: task.id } as const;
    if (isFinished(task)) {
      this.history.record(common, 'fail', hearing);
      return;
    }
    if (task.status === 'running') {
      task.isCancelRequested = true;
      this.#move(task, 'running', 'task.cancel_requested');
    } else this.#move(task, 'cancelled', 'task.cancelled');
    this.history.record({ ...common, status: task.status }, 'ok', hearing);
  }

  wakeDue(): void {
    this.history.step();
    for (const task of this.tasks.filter(({ status }) => status === 'scheduled'))
      this.#start(task, 'task.ready');
  }

  unblock(task: Task): void {
    this.history.step();
    if (task.status === 'blocked') this.#start(task, 'task.unblocked');
  }

  reopen(task: Task): void {
    this.history.step();
    const isMoved = isFinished(task);
    if (isMoved) {
      task.phase = null;
      task.archivedFrom = null;
      this.#start(task, 'task.reopened');
    }
    this.#verdict('reopen', task, isMoved);
  }

  archive(task: Task): void {
    this.history.step();
    const isMoved = task.status === 'done' || task.status === 'cancelled';
    if (isMoved) {
      task.archivedFrom = task.status;
      this.#move(task, 'archived', 'task.archived');
    }
    this.#verdict('archive', task, isMoved);
  }

  assign(task: Task, lane: string): void {
    this.history.step();
    if (task.status === 'running' || isFinished(task)) return;
    task.lane = lane;
    if (task.phase !== null) task.phase.reviewer = lane;
    this.#move(task, task.status, 'task.assigned', undefined, { lane });
  }

  /** A person does what nobody holds. */
  completeByHand(task: Task): void {
    this.history.step();
    const isMoved = task.status !== 'running' && !isFinished(task);
    if (isMoved) {
      const held = this.#runByHand(task, 'completed');
      task.phase = null;
      this.#move(task, 'done', 'task.completed', held, { outcome: 'completed' });
    }
    this.#verdict('finish', task, isMoved);
  }

  fault(fault: string, target: string, durationMs = 0): void {
    this.history.fault(fault, target, durationMs);
  }

  finish(): Recording {
    this.history.step();
    this.history.endWatches();
    const final: FinalState = {
      board: 'default',
      readAt: this.history.time(),
      readAtMs: this.history.nowMs,
      seq: this.history.events.length,
      events: this.history.events,
      tasks: this.tasks.map(({ key, isCancelRequested: _, phase, ...task }) => ({
        ...task,
        unmetParents: this.#unmetOf(task.id),
        reviewer: phase?.reviewer ?? null,
        implementerLane: phase === null ? null : LANE,
        implementerWorker: phase?.implementer ?? null,
        idempotencyKey: key,
        blockedKind: task.status === 'blocked' ? 'needs_input' : null,
      })),
      runs: this.runs.map(({ runId, worker: _, endedBy: __, isReview: ___, ...run }) => ({
        ...run,
        id: runId,
      })),
      links: this.links,
      claims: claimsOf(this, this.history.time(LEASE_MS)),
      ...summaryOf(this.tasks),
    };
    return structuredClone({ entries: this.history.entries, final }) as Recording;
  }

  #insert(key: string, parents: readonly Task[]): Task {
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
      archivedFrom: null,
      phase: null,
    };
    this.tasks.push(task);
    for (const parent of parents)
      this.links.push({ childId: task.id, parentId: parent.id, isMet: wasDone(parent) });
    const data = parents.length === 0 ? {} : { parents: parents.map(({ id }) => id) };
    this.#move(task, this.#startOf(task), 'task.created', undefined, data);
    return task;
  }

  #close(run: Run, outcome: Outcome, endedBy: EndKind | null): void {
    const task = this.#taskOf(run);
    const isCancelled = task.isCancelRequested && outcome !== 'completed';
    const verdict = isCancelled ? 'cancelled' : outcome;
    this.#closeRun(run, verdict, endedBy);
    const kind = `task.${verdict}` as Event['kind'];
    if (verdict === 'completed' || verdict === 'changes_requested') {
      const next = verdict === 'completed' ? 'done' : this.#startOf({ ...task, phase: null });
      this.#decided(task, next, kind, {}, run);
      return;
    }
    const usual = STATUSES[verdict];
    // A crashed reviewer's review waits for the next one.
    const isBack = usual === 'ready' || (verdict === 'crashed' && run.isReview);
    this.#move(task, isBack ? this.#startOf(task) : usual, kind, run, { outcome: verdict });
  }

  #closeRun(run: Run, outcome: Outcome, endedBy: EndKind | null): void {
    run.outcome = outcome;
    run.endedAt = this.history.time();
    run.endedBy = endedBy;
    this.#taskOf(run).isCancelRequested = false;
  }

  /** Back on the lane that did the work. */
  #decided(task: Task, status: TaskStatus, kind: Event['kind'], data: Event['data'], held?: Held): void {
    const change = task.phase === null || task.lane === LANE ? {} : { lane_after: LANE };
    if (task.phase !== null) task.lane = LANE;
    task.phase = null;
    this.#move(task, status, kind, held, { ...data, ...change });
  }

  #runByHand(task: Task, outcome: Outcome): Held {
    task.attempt += 1;
    const runId = `run_${this.runs.length + 1}`;
    const held = { taskId: task.id, runId, attempt: task.attempt, worker: 'nobody' };
    const at = this.history.time();
    this.runs.push({ ...held, isReview: false, startedAt: at, outcome, endedAt: at, endedBy: null });
    return held;
  }

  #verdict(kind: OperatorOperation['kind'], { id: taskId }: Task, isAccepted: boolean, parent?: Task): void {
    const parentId = parent === undefined ? {} : { parentId: parent.id };
    const operation = { kind, process: 'orchestrator-1.1', taskId, ...parentId } as const;
    this.history.record(operation, isAccepted ? 'ok' : 'fail', {});
  }

  #start(task: Task, kind: Event['kind']): void {
    this.#move(task, this.#startOf(task), kind);
  }

  #startOf({ id, phase }: Pick<Task, 'id' | 'phase'>): TaskStatus {
    if (phase !== null) return 'review';
    return this.#unmetOf(id) > 0 ? 'todo' : 'ready';
  }

  #unmetOf(taskId: string): number {
    return this.links.filter(({ childId, isMet }) => childId === taskId && !isMet).length;
  }

  #promote(child: Task): void {
    if (child.status === 'todo' && this.#unmetOf(child.id) === 0) this.#move(child, 'ready', 'task.ready');
  }

  /** What it means for those that wait for it. */
  #tellChildren(parent: Task): void {
    for (const link of this.links.filter(({ parentId }) => parentId === parent.id)) {
      if (link.isMet === wasDone(parent)) continue;
      link.isMet = wasDone(parent);
      const child = this.#taskOf({ taskId: link.childId });
      if (link.isMet) this.#promote(child);
      else if (child.status === 'ready') this.#move(child, 'todo', 'task.todo');
    }
  }

  #taskOf({ taskId }: Pick<Run, 'taskId'>): Task {
    const task = this.tasks.find(({ id }) => id === taskId);
    if (task === undefined) throw new Error('runs and links have their tasks');
    return task;
  }

  #move(task: Task, status: TaskStatus, kind: Event['kind'], held?: Held, data: Event['data'] = {}): void {
    const isNew = kind === 'task.created';
    const statuses = { status_before: isNew ? null : task.status, status_after: status };
    task.status = status;
    task.version += 1;
    task.runAt = status === 'scheduled' ? this.history.time(BACKOFF_MS) : null;
    task.blockedReason = status === 'blocked' ? 'an answer is needed' : null;
    this.history.log({
      kind,
      task_id: task.id,
      lane: task.lane,
      task_version: task.version,
      ...(held === undefined ? {} : placeOf(held)),
      data: { ...statuses, ...data },
    });
    this.#tellChildren(task);
  }

  #isHeld(held: Held): boolean {
    return this.#runOf(held).outcome === null;
  }

  #runOf(held: Held): Run {
    const run = this.runs.find(({ runId }) => runId === held.runId);
    if (run === undefined) throw new Error('a claim has a run');
    return run;
  }
}
