/** The one place where an error becomes an answer: problem+json, the code's status, and nothing internal. */
import { PROBLEMS, type ProblemBody, problemType } from '../../contract/problems.ts';
import { BoardGoneError, isConflict, isDatabaseAway, isStaleDecision } from '../db/failures.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import type { Answer } from './exchange.ts';

/** Postgres restarts within seconds; a client that waits this long mostly finds it back. */
const DATABASE_RETRY_SECONDS = '2';
/** What was in the way (a migration's lock, a storm of changes of one lane) is gone by then, or it is asked once more. */
const CONFLICT_RETRY_SECONDS = '1';

export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (isDatabaseAway(error)) {
    return new ProblemError(
      'database_unavailable',
      'The database does not answer at the moment; retry shortly.',
      {
        cause: error,
        headers: { 'Retry-After': DATABASE_RETRY_SECONDS },
      },
    );
  }
  // Rolled back whole each time it was tried: nothing was done, and it may well go through in a moment.
  if (isConflict(error) || isStaleDecision(error)) {
    return new ProblemError(
      'database_unavailable',
      'Others kept changing or locking what this request needs; nothing was done, retry shortly.',
      { cause: error, headers: { 'Retry-After': CONFLICT_RETRY_SECONDS } },
    );
  }
  if (error instanceof BoardGoneError) {
    return new ProblemError('not_found', 'The board was deleted while this request was under way.', {
      cause: error,
      extensions: { resource: 'board' },
    });
  }
  return new ProblemError(
    'internal',
    'The request failed for a reason that is in the server log under this request id.',
    { cause: error },
  );
}

export function problemBody(problem: ProblemError, requestId: string): ProblemBody {
  return {
    // First, so that no extension takes the place of a member that RFC 9457 defines.
    ...problem.extensions,
    type: problemType(problem.code),
    title: PROBLEMS[problem.code].title,
    status: problem.status,
    detail: problem.message,
    instance: `urn:uuid:${requestId}`,
    code: problem.code,
    ...(problem.errors === undefined ? {} : { errors: [...problem.errors] }),
  };
}

export function problemAnswer(problem: ProblemError, requestId: string): Answer {
  return {
    status: problem.status,
    headers: problem.headers,
    raw: { body: JSON.stringify(problemBody(problem, requestId)), contentType: 'application/problem+json' },
  };
}
