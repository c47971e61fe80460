/** Why a worker has left that nobody had asked to. What a request met (LanekeeperError, UnreachableError) is thrown as it is. */

/** Another worker has the lane now, or another process the name of this worker. */
export type Replacement = 'taken_over' | 'superseded';

/** Somebody else is to do this work. What was running has ended, or was given back. */
export class WorkerReplacedError extends Error {
  override readonly name = 'WorkerReplacedError';
  readonly how: Replacement;

  constructor(how: Replacement, message: string) {
    super(message);
    this.how = how;
  }
}

/** It has left in good order, but the server does not know of all that it did: those tasks come back when their leases run out. */
export class UnreportedEndsError extends Error {
  override readonly name = 'UnreportedEndsError';
  readonly count: number;

  constructor(count: number) {
    super(`The ends of ${count} tasks could not be reported.`);
    this.count = count;
  }
}
