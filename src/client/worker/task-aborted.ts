/** Why the work on a task is to stop: what `signal.reason` of a handler is. */
import type { StopReason } from './run-end.ts';

/**
 * cancelled: somebody asked for it; ending soon keeps the server from taking the claim. claim_lost: the claim is somebody else's now, or may be,
 * and nothing more is reported. shutdown: the worker leaves. timeout: `timeoutSeconds` are over.
 */
export type AbortReason = 'cancelled' | 'claim_lost' | 'shutdown' | 'timeout';

export class TaskAbortedError extends Error {
  override readonly name = 'TaskAbortedError';
  readonly reason: AbortReason;

  constructor(reason: AbortReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export function abortOf(stopped: StopReason): TaskAbortedError {
  switch (stopped.kind) {
    case 'cancel_requested':
      return new TaskAbortedError('cancelled', 'A cancel of the task was requested');
    case 'timed_out':
      return new TaskAbortedError('timeout', `The work took longer than ${stopped.seconds} s`);
    case 'draining':
      return new TaskAbortedError('shutdown', 'The worker is shutting down');
    case 'lease_expired':
      return new TaskAbortedError('claim_lost', 'No heartbeat got through for a whole lease');
    case 'claim_lost':
      return new TaskAbortedError('claim_lost', `The work is somebody else's now: ${stopped.detail}`);
  }
}
