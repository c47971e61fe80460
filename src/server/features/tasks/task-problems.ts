/** What may be wrong with what is asked of a task, in words for whoever asked. Pure. */
import { LIMITS } from '../../../contract/constants.ts';
import type { TaskStatus } from '../../../contract/statuses.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Verb } from './state.ts';

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
