/** What may be wrong with what is asked of a task, in words for whoever asked. Pure. */

import { LIMITS } from '../../../contract/constants.ts';
import type { TaskStatus } from '../../../contract/statuses.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Verb } from './state/transitions.ts';
import type { TaskPage } from './store/search.ts';

/** Nobody knows when a holder will read; a worker that heartbeats hears of its messages within some seconds. */
const MESSAGES_RETRY_SECONDS = '10';

export function taskNotFound(reference: string): ProblemError {
  return new ProblemError('not_found', `There is no task ${JSON.stringify(reference)} on this board.`, {
    extensions: { resource: 'task' },
  });
}

export function illegalTransition(from: TaskStatus, verb: Verb, to: TaskStatus): ProblemError {
  return new ProblemError(
    'illegal_transition',
    `A task that is ${from} cannot become ${to} by ${verb.replaceAll('_', ' ')}.`,
    {
      extensions: { status_before: from, status_after: to },
    },
  );
}

export function tooManyMessages(): ProblemError {
  return new ProblemError(
    'rate_limited',
    `${LIMITS.messagesMax} messages wait for the holder of this task to acknowledge them; it takes no more until it has.`,
    { headers: { 'Retry-After': MESSAGES_RETRY_SECONDS } },
  );
}

/** What it waits for, so that the caller knows what to finish or to unlink. */
export function waitsForParents(unmetParents: number): ProblemError {
  return new ProblemError(
    'illegal_transition',
    `The task waits for ${unmetParents} of its parents. Finish them, or unlink them.`,
    { extensions: { status_before: 'todo', status_after: 'ready', unmet_parents: unmetParents } },
  );
}

/**
 * A page that was filtered or sorted out of too much. Asked again it would cost the same, so it is the request that must change. null: the
 * plain list, which is read in its own order; when that takes long, it is the database that is in trouble.
 */
export function tooExpensive({ filter, order }: TaskPage, cause: unknown): ProblemError | null {
  const asked = {
    q: filter.titlePart !== null,
    label: filter.labels !== null,
    tenant: filter.tenants !== null,
    lane: filter.lanes !== null,
    status: filter.statuses !== null,
    order: order === 'priority',
  };
  const errors = Object.entries(asked).flatMap(([name, isAsked]) =>
    isAsked ? [{ pointer: `/${name}`, detail: 'reads through too many tasks of this board' }] : [],
  );
  if (errors.length === 0) return null;
  return new ProblemError(
    'invalid_request',
    'Finding these tasks takes longer than a list may take: narrow it, best by lane and status, or read the snapshot or the log instead.',
    { errors, cause },
  );
}

/** What is done stays done, so that asking again goes on with it. */
export function notErasedYet(): ProblemError {
  return new ProblemError(
    'database_unavailable',
    'So much was written about this task that erasing it takes longer than one request: part of it is done, ask again for the rest.',
    { headers: { 'Retry-After': '1' } },
  );
}
