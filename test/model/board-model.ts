/**
 * What the domain says becomes of a task, in memory and in plain words. Written from the specification alone: it must never import what
 * the server decides with, or both would be wrong alike. Every verb says how it will be answered and does it to the model.
 */
import type { TaskStatus } from '../../src/contract/statuses.ts';
import {
  MADE,
  type ModelClaim,
  type ModelTask,
  mayBegin,
  type NewModelTask,
  OK,
  type Said,
  type WorkerEnd,
} from './board-model-words.ts';

const ILLEGAL: Said = { status: 409, code: 'illegal_transition' };
const FINISHED: readonly TaskStatus[] = ['done', 'cancelled', 'archived'];
const NO_STREAK = { kind: '', length: 0 };
const STREAK_MAX = 3;
const VIOLATIONS_MAX = 3;

export class BoardModel {
  readonly tasks: ModelTask[] = [];
  /** All that were ever made, oldest first. */
  readonly claims: ModelClaim[] = [];
  /** By lane: how many claims it may hold. */
  readonly caps: ReadonlyMap<string, number | null>;

  constructor(caps: ReadonlyMap<string, number | null>) {
    this.caps = caps;
  }

  get live(): ModelClaim[] {
    return this.claims.filter((claim) => claim.lost === null);
  }

  isDone(task: ModelTask): boolean {
    return task.status === 'done' || (task.status === 'archived' && task.archivedFrom === 'done');
  }

  unmet(task: ModelTask): number {
    return [...task.parents].filter((parent) => !this.isDone(parent)).length;
  }

  childrenOf(task: ModelTask): ModelTask[] {
    return this.tasks.filter((other) => other.parents.has(task));
  }

  create(made: NewModelTask): void {
    const task: ModelTask = {
      id: made.id,
      status: made.isLater ? 'scheduled' : made.status,
      lane: made.lane,
      priority: made.priority,
      attempt: 0,
      failures: 0,
      violations: 0,
      maxFailures: made.maxFailures,
      blocked: made.status === 'blocked' ? { kind: 'operator', reason: null } : null,
      streak: NO_STREAK,
      review: null,
      parents: new Set(made.parents),
      wasLinked: made.parents.length > 0,
      runAt: made.isLater ? 'future' : 'none',
      archivedFrom: null,
      claim: null,
      comments: 0,
    };
    if (this.unmet(task) > 0 && (task.status === 'ready' || task.status === 'scheduled'))
      task.status = 'todo';
    this.tasks.push(task);
  }

  // Claims

  /** What the next claim of this worker takes; or why nothing. */
  next(lane: string, worker: string, named: ModelTask | null): ModelTask | 'at_capacity' | 'none_ready' {
    const cap = this.caps.get(lane) ?? null;
    if (cap !== null && this.live.filter((claim) => claim.lane === lane).length >= cap) return 'at_capacity';
    const mayTake = (task: ModelTask): boolean => named === null || task === named;
    const reviews = this.tasks.filter(
      (task) =>
        task.status === 'review' &&
        task.review?.reviewer === lane &&
        // A worker is one of a lane: the same name on another lane is another.
        !(task.review.lane === lane && task.review.worker === worker) &&
        mayTake(task),
    );
    const ready = this.tasks.filter((task) => task.status === 'ready' && task.lane === lane && mayTake(task));
    return reviews.sort(byTurn)[0] ?? ready.sort(byTurn)[0] ?? 'none_ready';
  }

  claim(task: ModelTask, claim: Pick<ModelClaim, 'runId' | 'token' | 'lane' | 'worker'>): void {
    const from = task.status === 'review' ? 'review' : 'ready';
    const made: ModelClaim = { ...claim, task, from, isCancelRequested: false, lost: null, endedBy: null };
    this.#move(task, 'running');
    task.attempt += 1;
    task.claim = made;
    this.claims.push(made);
  }

  heartbeat(claim: ModelClaim): Said {
    return claim.lost === null ? OK : lost(claim);
  }

  /** @param request The whole of it, to know it again. */
  end(claim: ModelClaim, end: WorkerEnd, request: string): Said {
    if (claim.lost !== null) return claim.endedBy === request ? OK : lost(claim);
    if (end.verb === 'request-changes' && claim.from !== 'review') return ILLEGAL;
    claim.endedBy = request;
    if (end.verb !== 'complete' && claim.isCancelRequested) this.#over(claim, 'cancelled', 'cancelled');
    else this.#endings[end.verb](claim, end as never);
    return OK;
  }

  readonly #endings = {
    complete: (claim: ModelClaim, end: Extract<WorkerEnd, { verb: 'complete' }>) => {
      const { task } = claim;
      this.#forgive(task);
      task.streak = NO_STREAK;
      // A reviewer may put a result of his own in the place of what he was given; handed on, it is his work.
      const whose = task.review === null || end.hasResult ? claim : task.review;
      if (end.review) {
        const reviewer = end.reviewer ?? null;
        task.review = { reviewer, lane: whose.lane, worker: whose.worker };
        task.lane = reviewer ?? whose.lane;
        return this.#over(claim, 'review', 'ended');
      }
      this.#backToItsLane(task);
      this.#over(claim, 'done', 'ended');
      this.#wakeChildren(task);
    },
    'request-changes': (claim: ModelClaim) => {
      this.#backToItsLane(claim.task);
      this.#over(claim, this.#start(claim.task), 'ended');
    },
    release: (claim: ModelClaim, end: Extract<WorkerEnd, { verb: 'release' }>) => {
      this.#over(claim, end.isDelayed ? 'scheduled' : this.#start(claim.task), 'released');
      if (end.isDelayed) claim.task.runAt = 'future';
    },
    block: (claim: ModelClaim, { kind, reason }: Extract<WorkerEnd, { verb: 'block' }>) => {
      const { task } = claim;
      const isPark = kind === 'dependency' && claim.from === 'ready';
      if (isPark && this.unmet(task) > 0) return this.#over(claim, 'todo', 'ended');
      const named = kind ?? 'none';
      task.streak = { kind: named, length: task.streak.kind === named ? task.streak.length + 1 : 1 };
      if (task.streak.length >= STREAK_MAX) return this.#over(claim, 'triage', 'ended');
      // What it waited for was done before it could say so.
      if (isPark && task.wasLinked) return this.#over(claim, 'ready', 'ended');
      this.#over(claim, 'blocked', 'ended');
      task.blocked = { kind, reason };
    },
    fail: (claim: ModelClaim, end: Extract<WorkerEnd, { verb: 'fail' }>) => {
      const { task } = claim;
      if (end.isPermanent) {
        task.failures += 1;
        return this.#giveUp(claim, 'ended', end.error);
      }
      if (end.kind === 'rate_limited') return this.#retry(claim, 'ended');
      if (end.kind === 'error') return this.#count(claim, 'ended', end.error);
      task.violations += 1;
      if (task.violations >= VIOLATIONS_MAX) this.#giveUp(claim, 'ended', end.error);
      else this.#retry(claim, 'ended');
    },
  };

  crash(claim: ModelClaim): void {
    if (claim.isCancelRequested) this.#over(claim, 'cancelled', 'cancelled');
    else this.#count(claim, 'crashed', null);
  }

  #count(claim: ModelClaim, why: string, reason: string | null): void {
    const { task } = claim;
    task.failures += 1;
    if (task.failures >= task.maxFailures) this.#giveUp(claim, why, reason);
    else {
      task.violations = 0;
      this.#retry(claim, why);
    }
  }

  #retry(claim: ModelClaim, why: string): void {
    // The next reviewer takes over from one that crashed; one that failed pauses, like anybody.
    this.#over(claim, claim.from === 'review' && why === 'crashed' ? 'review' : 'scheduled', why);
    if (claim.task.status === 'scheduled') claim.task.runAt = 'future';
  }

  #giveUp(claim: ModelClaim, why: string, reason: string | null): void {
    this.#over(claim, 'blocked', why);
    claim.task.blocked = { kind: 'gave_up', reason };
  }

  #over(claim: ModelClaim, status: TaskStatus, why: string): void {
    claim.lost = why;
    claim.task.claim = null;
    this.#move(claim.task, status);
  }

  // Verbs of people

  reclaim(task: ModelTask): Said {
    const { claim } = task;
    if (claim === null) return ILLEGAL;
    if (claim.isCancelRequested) this.#over(claim, 'cancelled', 'cancelled');
    else {
      this.#forgive(task);
      this.#over(claim, claim.from === 'review' ? 'review' : this.#start(task), 'reclaimed');
    }
    return OK;
  }

  promote(task: ModelTask): Said {
    if (!mayBegin('promote', task)) return ILLEGAL;
    task.streak = NO_STREAK;
    this.#move(task, this.#start(task));
    task.runAt = 'none';
    return OK;
  }

  unblock(task: ModelTask, hasAnswer: boolean): Said {
    if (!mayBegin('unblock', task)) return ILLEGAL;
    this.#forgive(task);
    if (hasAnswer) task.comments += 1;
    this.#move(task, this.#start(task));
    return OK;
  }

  schedule(task: ModelTask): Said {
    if (!mayBegin('schedule', task)) return ILLEGAL;
    this.#move(task, 'scheduled');
    task.runAt = 'future';
    return OK;
  }

  assign(task: ModelTask, lane: string | null): Said {
    if (!mayBegin('assign', task)) return ILLEGAL;
    this.#forgive(task);
    if (task.review === null) task.lane = lane;
    else {
      task.review.reviewer = lane;
      task.lane = lane ?? task.review.lane;
    }
    return OK;
  }

  complete(task: ModelTask): Said {
    if (!mayBegin('complete', task)) return ILLEGAL;
    task.attempt += 1;
    task.streak = NO_STREAK;
    return this.#accepted(task);
  }

  accept(task: ModelTask): Said {
    return mayBegin('accept', task) ? this.#accepted(task) : ILLEGAL;
  }

  #accepted(task: ModelTask): Said {
    this.#forgive(task);
    this.#backToItsLane(task);
    this.#move(task, 'done');
    this.#wakeChildren(task);
    return OK;
  }

  requestChanges(task: ModelTask): Said {
    if (!mayBegin('request-changes', task)) return ILLEGAL;
    task.attempt += 1;
    this.#backToItsLane(task);
    this.#move(task, this.#start(task));
    return OK;
  }

  cancel(task: ModelTask): Said {
    if (!mayBegin('cancel', task)) return ILLEGAL;
    if (task.claim === null) this.#move(task, 'cancelled');
    else task.claim.isCancelRequested = true;
    return OK;
  }

  archive(task: ModelTask): Said {
    if (!mayBegin('archive', task)) return ILLEGAL;
    task.archivedFrom = task.status;
    this.#move(task, 'archived');
    return OK;
  }

  reopen(task: ModelTask): Said {
    if (!mayBegin('reopen', task)) return ILLEGAL;
    this.#forgive(task);
    task.streak = NO_STREAK;
    task.archivedFrom = null;
    this.#backToItsLane(task);
    this.#move(task, this.#start(task));
    for (const child of this.childrenOf(task)) if (child.status === 'ready') this.#move(child, 'todo');
    return OK;
  }

  comment(task: ModelTask): Said {
    task.comments += 1;
    return MADE;
  }

  prioritise(task: ModelTask, priority: number): Said {
    task.priority = priority;
    return OK;
  }

  // Links

  link(child: ModelTask, parent: ModelTask): Said {
    if (FINISHED.includes(child.status)) return ILLEGAL;
    if (this.#waitsFor(parent, child)) return { status: 409, code: 'dependency_cycle' };
    child.parents.add(parent);
    child.wasLinked = true;
    if (child.status === 'ready' && this.unmet(child) > 0) this.#move(child, 'todo');
    return OK;
  }

  unlink(child: ModelTask, parent: ModelTask): Said {
    if (!child.parents.delete(parent)) return { status: 404, code: 'not_found' };
    this.#wake(child);
    return OK;
  }

  /** Directly or over others, or it is the same. */
  #waitsFor(task: ModelTask, other: ModelTask): boolean {
    return task === other || [...task.parents].some((parent) => this.#waitsFor(parent, other));
  }

  // Time

  timeComes(task: ModelTask): void {
    task.runAt = 'past';
    if (task.status === 'scheduled') this.#move(task, this.#start(task));
  }

  // What the verbs are made of

  #start(task: ModelTask): TaskStatus {
    if (task.review !== null) return 'review';
    return this.unmet(task) > 0 ? 'todo' : 'ready';
  }

  #wakeChildren(task: ModelTask): void {
    for (const child of this.childrenOf(task)) this.#wake(child);
  }

  #wake(task: ModelTask): void {
    if (task.status !== 'todo' || this.unmet(task) > 0) return;
    this.#move(task, task.runAt === 'future' ? 'scheduled' : 'ready');
  }

  #forgive(task: ModelTask): void {
    task.failures = 0;
    task.violations = 0;
  }

  #backToItsLane(task: ModelTask): void {
    if (task.review === null) return;
    task.lane = task.review.lane;
    task.review = null;
  }

  /** Only what is blocked has a reason, and only what is scheduled or may have to be a time. */
  #move(task: ModelTask, status: TaskStatus): void {
    if (status !== 'blocked') task.blocked = null;
    if (status !== 'todo' && status !== 'scheduled') task.runAt = 'none';
    task.status = status;
  }
}

function lost(claim: ModelClaim): Said {
  return { status: 409, code: 'claim_lost', reason: claim.lost ?? '' };
}

function byTurn(left: ModelTask, right: ModelTask): number {
  return right.priority - left.priority || (left.id < right.id ? -1 : 1);
}
