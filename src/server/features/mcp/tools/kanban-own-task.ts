/** The run that an agent of Hermes means by its task, and the fields that say so: Hermes names tasks where our tools name runs. */
import { TaskReference } from '../../../../contract/identifiers.ts';
import { getTask } from '../../../../contract/task-routes.ts';
import type { Task } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import type { ClaimPrincipal, Principal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { boardNotFound, maySeeBoard } from '../../auth/service.ts';
import { ask, boardOf } from '../asking.ts';
import { holderOf, holderOfTask, ofRun, readerOf } from '../holding.ts';
import { Board } from '../inputs.ts';
import type { ToolCall } from '../tool.ts';

interface OwnTask {
  readonly task_id?: string | null | undefined;
  readonly run_id?: string | null | undefined;
  readonly worker?: string | null | undefined;
  readonly board?: string | null | undefined;
}

/** The run that is meant. Hermes names the task; whoever names another than it holds is told so. */
export async function ownRun(call: ToolCall, { task_id: task, board, ...named }: OwnTask) {
  assertOwnBoard(call.caller, board);
  const holder = task ? await holderOfNamed(call, task, named) : await holderOf(call, named);
  return { run_id: holder.runId, worker: holder.worker };
}

/** The same where a mistake does no harm: who holds one task need name nothing. */
export async function ownRunOrOnly(call: ToolCall, own: OwnTask) {
  if (own.task_id || own.run_id) return ownRun(call, own);
  assertOwnBoard(call.caller, own.board);
  const holder = await readerOf(call, own);
  return { run_id: holder.runId, worker: holder.worker };
}

/** The task decides which run it is; a task that came from Hermes also answers to the id that it had there (external_ref). */
async function holderOfNamed(
  call: ToolCall,
  reference: string,
  named: Pick<OwnTask, 'run_id' | 'worker'>,
): Promise<ClaimPrincipal> {
  const task = await readOrNone(call, reference);
  if (named.run_id) {
    const holder = await holderOf(call, named);
    if (holder.taskId === task?.id) return holder;
  } else if (task !== null) {
    const holder = await holderOfTask(call, task, named.worker);
    if (holder !== null) return holder;
  }
  throw new ProblemError('not_your_claim', `You do not hold ${reference} now.`, {
    extensions: { next: 'Stop working on that task; or name the worker that you claimed it as.' },
  });
}

async function readOrNone(call: ToolCall, task: string): Promise<Task | null> {
  try {
    return (await ask(call, getTask, { params: { board: boardOf(call.caller), task } })).task;
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'not_found') return null;
    throw error;
  }
}

/** The tools behind these take no board: that of a lane or claim is its own. */
export function assertOwnBoard(caller: Principal, board: string | null | undefined): void {
  if (board && !maySeeBoard(caller, board)) throw boardNotFound(board);
}

export function isWorker(caller: Principal): boolean {
  return caller.kind === 'key' && caller.lane !== null;
}

export const ownTask = {
  task_id: absent(TaskReference).describe('The task that you hold; or its run_id.'),
  ...ofRun,
  board: Board,
};
