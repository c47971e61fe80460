/** The hands of a worker: how many more tasks it may begin now, until it has begun as many as it was to do. */
import { Bell } from './bell.ts';
import type { RunningClaims } from './running-claims.ts';

export interface HandsOptions {
  /** How many tasks at once; may change, and be nothing for a while: see LaneLoop.nudge(). */
  readonly hands: () => number;
  /** null: without end. */
  readonly tasksMax: number | null;
}

export class Hands {
  readonly #options: HandsOptions;
  readonly #running: Pick<RunningClaims, 'count' | 'startedCount'>;
  readonly #bell = new Bell();

  constructor(options: HandsOptions, running: Pick<RunningClaims, 'count' | 'startedCount'>) {
    this.#options = options;
    this.#running = running;
  }

  /** Below nothing: there are fewer hands than tasks that run. */
  get freeCount(): number {
    const { hands, tasksMax } = this.#options;
    const left = tasksMax === null ? Number.POSITIVE_INFINITY : tasksMax - this.#running.startedCount;
    return Math.min(hands() - this.#running.count, left);
  }

  /** As many tasks as it was to start. */
  get isDone(): boolean {
    const { tasksMax } = this.#options;
    return tasksMax !== null && this.#running.startedCount >= tasksMax;
  }

  /** There may be a free one. */
  ring(): void {
    this.#bell.ring();
  }

  /** Until there may be a free one, for so long at most. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return this.#bell.wait(ms, signal);
  }
}
