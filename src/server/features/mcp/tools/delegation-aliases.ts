/**
 * The names that agents of Hermes use for delegated work, for keys that were made with them. What they call a task is a delegation or one of
 * its tasks. list_tasks is missing: it is a tool of ours by the same name.
 */
import { z } from 'zod';
import { DelegationId, TaskReference } from '../../../../contract/identifiers.ts';
import { absent } from '../../../../contract/values.ts';
import { Board, RequestId, WaitSeconds } from '../asking.ts';
import { defineTool, type Tool } from '../tool.ts';
import { pass, toolNamed } from './all.ts';

const DELEGATORS = ['operator', 'claim'] as const;

/** What these are about: a delegation, or one of the tasks. */
const either = { task_id: TaskReference.describe('Of a delegation or of a task.'), board: Board };

function isDelegation(id: string): boolean {
  return DelegationId.safeParse(id).success;
}

const check = defineTool({
  name: 'check_task',
  description: 'Look how a delegation, or a task, stands. Does not wait.',
  audience: DELEGATORS,
  isReadOnly: true,
  input: z.strictObject(either),
  run: (call, { task_id: id, board }) =>
    isDelegation(id)
      ? pass(call, 'check', { delegation_id: id, board })
      : pass(call, 'wait_tasks', { ids: [id], board }),
});

const collect = defineTool({
  name: 'collect_task',
  description: 'Wait for a delegation, or a task, and read what came of it.',
  audience: DELEGATORS,
  isReadOnly: true,
  input: z.strictObject({
    ...either,
    timeout: WaitSeconds,
    cursor: absent(z.string().min(1).max(512)),
  }),
  run: async (call, { task_id: id, timeout, cursor, board }) => {
    if (isDelegation(id))
      return pass(call, 'collect', { delegation_id: id, wait_seconds: timeout, cursor, board });
    const waited = await pass(call, 'wait_tasks', { ids: [id], for: 'ended', wait_seconds: timeout, board });
    if (call.caller.kind === 'claim') return waited;
    return pass(call, 'get_task', { task_id: id, cursor, board });
  },
});

const steer = defineTool({
  name: 'steer_task',
  description: 'Tell whoever works on it something while it works.',
  audience: DELEGATORS,
  input: z.strictObject({ ...either, message: z.string().min(1).max(4000), request_id: RequestId }),
  run: (call, { task_id: id, ...input }) =>
    pass(call, 'steer', isDelegation(id) ? { ...input, delegation_id: id } : { ...input, task_id: id }),
});

const cancel = defineTool({
  name: 'cancel_task',
  description: 'Cancel a delegation, or a task.',
  audience: DELEGATORS,
  input: z.strictObject({ ...either, reason: absent(z.string().min(1).max(4000)) }),
  run: (call, { task_id: id, ...input }) =>
    pass(call, 'cancel', isDelegation(id) ? { ...input, delegation_id: id } : { ...input, task_id: id }),
});

export const DELEGATION_ALIASES: readonly Tool[] = [
  { ...toolNamed('delegate'), name: 'delegate_task_async' },
  check,
  collect,
  steer,
  cancel,
];
