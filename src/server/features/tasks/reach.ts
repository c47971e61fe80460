/**
 * The tasks that a caller names, and what a claim token reaches among them: its own task, what its run has made, and what is linked to its
 * task. A token says who asks; whether its claim still holds is in the row. Must never tell a token whether a task is there that it may
 * not see.
 */
import type { Runner, Tx } from '../../db/client.ts';
import { present } from '../../kernel/assert.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import type { ClaimPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { lockClaimOfRun } from './store/create.ts';
import { listReached } from './store/link.ts';
import { findByExternalRefs } from './store/read.ts';
import { taskNotFound } from './task-problems.ts';

/** All of these tasks, by id or external_ref, under the names they were given. */
export async function findNamed(
  runner: Runner,
  caller: Principal,
  board: BoardRef,
  references: readonly string[],
): Promise<Map<string, Uuid>> {
  const found = new Map<string, Uuid>();
  const refs: string[] = [];
  for (const reference of references) {
    const id = parseId('task', reference);
    if (id === null) refs.push(reference);
    else found.set(reference, id);
  }
  if (refs.length > 0)
    for (const task of await findByExternalRefs(runner, board.id, refs))
      found.set(task.external_ref, task.id);
  const reached = await reachOf(runner, caller, board, [...found.values()]);
  for (const reference of references) {
    const id = found.get(reference);
    if (id === undefined || !reached.has(id)) throw taskNotFound(reference);
  }
  return found;
}

/** The same for one. */
export async function findNamedTask(
  runner: Runner,
  caller: Principal,
  board: BoardRef,
  reference: string,
): Promise<Uuid> {
  const found = await findNamed(runner, caller, board, [reference]);
  return present(found.get(reference), 'what is not found is refused');
}

/** Those of the tasks that the caller may see. */
export async function reachOf(
  runner: Runner,
  caller: Principal,
  board: BoardRef,
  ids: readonly Uuid[],
): Promise<ReadonlySet<Uuid>> {
  if (caller.kind !== 'claim') return new Set(ids);
  const { task, run } = holdOf(caller);
  return new Set(await listReached(runner, board.id, ids, task, run));
}

/** Locks the claim of the token against ending, after all tasks of the transaction. Returns its run. */
export async function lockOwnClaim(tx: Tx, board: BoardRef, caller: ClaimPrincipal): Promise<Uuid> {
  const { task, run } = holdOf(caller);
  if (await lockClaimOfRun(tx, board.id, task, run)) return run;
  throw new ProblemError(
    'claim_lost',
    'The claim of this token is over; under it nothing changes any more.',
    {
      extensions: { reason: 'ended' },
    },
  );
}

function holdOf(caller: ClaimPrincipal): { readonly task: Uuid; readonly run: Uuid } {
  return {
    task: present(parseId('task', caller.taskId), 'a verified token names a task'),
    run: present(parseId('run', caller.runId), 'a verified token names a run'),
  };
}
