/** From the log: whose work of which task waits for whom, or is being looked at. Pure; knows nothing of the server's code. */
import type { Event } from '../../src/contract/events.ts';

/** Work that was handed over and has not been decided on. */
export interface ReviewPhase {
  /** Who did it; null: a person. A worker is one of a lane: the same name on another lane is another. */
  readonly implementer: string | null;
  readonly implementerLane: string | null;
  /** The lane that may look at it; null: people. */
  readonly reviewer: string | null;
}

export interface OpenRun {
  readonly runId: string;
  readonly worker: string | null;
  /** What was claimed: work to be done, or work to be looked at. */
  readonly isReview: boolean;
}

export function isOwnWork(phase: ReviewPhase, lane: string | null, worker: string | null): boolean {
  return worker !== null && worker === phase.implementer && lane === phase.implementerLane;
}

export class ReviewPhases {
  readonly #phases = new Map<string, ReviewPhase>();
  readonly #runs = new Map<string, OpenRun>();
  /** Who holds the claim that an event is of. */
  readonly workerOf: (event: Event) => string | null;

  constructor(workerOf: (event: Event) => string | null = (event) => event.worker ?? null) {
    this.workerOf = workerOf;
  }

  phaseOf(taskId: string): ReviewPhase | null {
    return this.#phases.get(taskId) ?? null;
  }

  runOf(taskId: string): OpenRun | null {
    return this.#runs.get(taskId) ?? null;
  }

  apply(event: Event): void {
    const { task_id: taskId, data } = event;
    if (taskId === undefined) return;
    const phase = this.#phases.get(taskId);
    const run = this.#runs.get(taskId);
    if (event.kind === 'task.claimed') {
      const isReview = data['status_before'] === 'review';
      this.#runs.set(taskId, { runId: event.run_id ?? '', worker: this.workerOf(event), isReview });
      return;
    }
    if (data['status_before'] === 'running' && data['status_after'] !== 'running') this.#runs.delete(taskId);
    if (event.kind === 'task.review_requested' && run !== undefined) {
      // A reviewer who hands on leaves the work whose it was: none of this workload puts a result of his own in its place.
      const { implementer, implementerLane } = phase ?? {
        implementer: run.worker,
        implementerLane: event.lane ?? null,
      };
      this.#phases.set(taskId, { implementer, implementerLane, reviewer: textOf(data['reviewer']) });
    } else if (event.kind === 'task.assigned' && phase !== undefined)
      this.#phases.set(taskId, { ...phase, reviewer: textOf(data['lane']) });
    else if (DECISIONS.has(event.kind)) this.#phases.delete(taskId);
  }
}

const DECISIONS: ReadonlySet<string> = new Set(['task.completed', 'task.changes_requested', 'task.reopened']);

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
