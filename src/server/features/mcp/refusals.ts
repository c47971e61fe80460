/** Problems as a model reads them: the code of the one table, what is wrong, and what to do next. */
import type { ProblemCode } from '../../../contract/problems.ts';
import type { ProblemError } from '../../kernel/problem-error.ts';
import { fitted, RESULT_BYTES_MAX, type ToolDocument } from './results.ts';

const CORRECT = 'Correct the arguments and call again.';
const LATER = 'Wait a few seconds, then call again with the same arguments.';

/** What helps with most of a kind; a case of its own names its `next` itself. */
const NEXT: Readonly<Partial<Record<ProblemCode, string>>> = {
  invalid_request: CORRECT,
  invalid_cursor: 'Call again without a cursor: what it was for has changed, or it is of another call.',
  payload_too_large: 'Send less: put long results into a file or a comment and name it in the summary.',
  claim_lost: 'Stop working on this task: nothing you send for this run counts any more. Claim other work.',
  not_your_claim: 'Name a run_id that claim_task gave you, and the worker that you claimed it as.',
  claim_mode_mismatch: 'This lane is not claimed this way: leave out wait_seconds, or ask its operator.',
  lane_may_not_claim: 'Ask the operator of this lane: it may not claim tasks.',
  lane_not_found: 'Ask for the lanes there are, or have this one registered.',
  not_found: 'Check the id: nothing of that name is to be seen here.',
  forbidden: 'This credential may not do that; do not try again, tell whoever gave it to you.',
  illegal_transition: 'Read the task again: its status does not allow this.',
  dependency_cycle: 'Leave out the link that closes the circle.',
  delegation_capacity: 'Wait for one of the running delegations (collect), or do the work yourself.',
  already_exists: 'Read the one that exists, or choose another name.',
  idempotency_mismatch: 'Use a new request_id: this one was used with other arguments.',
  idempotency_in_flight: LATER,
  rate_limited: LATER,
  database_unavailable: LATER,
  draining: LATER,
  internal: 'This is a fault of the server: tell whoever runs it, and try again later.',
};

/** What of a problem is no use to a model, or stands elsewhere. */
const RETRY_AFTER = 'Retry-After';

export function refusalOf(problem: ProblemError, bytesMax: number = RESULT_BYTES_MAX): ToolDocument {
  const { code, message: detail, errors, extensions, headers } = problem;
  const retryAfter = Number(headers[RETRY_AFTER]);
  const document = {
    ...extensions,
    code,
    detail,
    next: extensions['next'] ?? NEXT[code] ?? CORRECT,
    ...(errors === undefined ? {} : { errors }),
    ...(Number.isFinite(retryAfter) ? { retry_after: retryAfter } : {}),
  };
  return fitted(document, bytesMax);
}
