/** What orchestrators do to work under way; a claim token, to what it has delegated. */
import { z } from 'zod';
import { cancelDelegation, steerDelegation } from '../../../../contract/delegations.ts';
import { DelegationId, TaskReference } from '../../../../contract/identifiers.ts';
import { SteerBody, steerTask } from '../../../../contract/messages.ts';
import { cancelTask, unblockTask } from '../../../../contract/task-routes.ts';
import { CancelBody, CommentBody } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import type { Principal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { ask, boardOf } from '../asking.ts';
import { Board, RequestId } from '../inputs.ts';
import { fitted } from '../results.ts';
import { defineTool } from '../tool.ts';
import { delegationLineOf, taskLineOf } from '../views.ts';

const subject = {
  task_id: absent(TaskReference).describe('Not for a claim token: that names its delegation.'),
  delegation_id: absent(DelegationId).describe(
    'Instead: all of a delegation. With task_id only that one of its tasks.',
  ),
  board: Board,
};

function noSubject({ kind }: Principal): ProblemError {
  if (kind === 'claim') return notDelegated();
  return new ProblemError('invalid_request', 'Name a task_id or a delegation_id.', {
    errors: [{ pointer: '/task_id', detail: 'is needed where there is no delegation_id' }],
  });
}

/** A task alone is somebody else's, whoever made it. */
function notDelegated(): ProblemError {
  return new ProblemError(
    'forbidden',
    'A claim token speaks to what it has delegated, and to no other task.',
    {
      extensions: {
        next: 'Name the delegation_id that delegate gave you; with it task_id means one of its tasks.',
      },
    },
  );
}

const steer = defineTool({
  name: 'steer',
  description:
    'Tell the worker of a task something while it works; while nobody does, the next worker. Of a delegation: all of its workers.',
  audience: ['operator', 'claim'],
  input: SteerBody.extend({ ...subject, request_id: RequestId }),
  output: z.looseObject({ queued: z.int(), missed: z.int() }),
  run: async (
    call,
    { message, task_id: task, delegation_id: delegation, request_id: idempotencyKey, ...named },
  ) => {
    const board = boardOf(call.caller, named.board);
    if (delegation) {
      const params = { board, delegation };
      const body = { message, task_id: task };
      return { ...(await ask(call, steerDelegation, { params, body, idempotencyKey })) };
    }
    if (!task || call.caller.kind === 'claim') throw noSubject(call.caller);
    const params = { board, task };
    const said = await ask(call, steerTask, { params, body: { message }, idempotencyKey });
    const { id, state } = said.message;
    const isMissed = state === 'missed';
    return { queued: isMissed ? 0 : 1, missed: isMissed ? 1 : 0, message: { id, state } };
  },
});

const cancel = defineTool({
  name: 'cancel',
  description:
    'Cancel a task, or a delegation with all of its tasks. A worker that is at it is asked to stop, and loses the claim after deadline_seconds.',
  audience: ['operator', 'claim'],
  input: CancelBody.extend(subject),
  output: z.looseObject({}),
  run: async (call, { task_id: task, delegation_id: delegation, board: named, reason, deadline_seconds }) => {
    const board = boardOf(call.caller, named);
    if (delegation) {
      if (task)
        throw new ProblemError('invalid_request', 'Name a task_id or a delegation_id, not both.', {
          errors: [{ pointer: '/task_id', detail: 'not with a delegation_id' }],
        });
      const params = { board, delegation };
      const said = await ask(call, cancelDelegation, { params, body: { reason } });
      return fitted({ delegation: delegationLineOf(said.delegation) }, call.bytesMax);
    }
    if (!task || call.caller.kind === 'claim') throw noSubject(call.caller);
    const body = { reason, deadline_seconds };
    const said = await ask(call, cancelTask, { params: { board, task }, body });
    return {
      task: taskLineOf(said.task),
      cancel_requested: said.task.claim?.cancel_requested ?? false,
    };
  },
});

const unblock = defineTool({
  name: 'unblock',
  description: 'Let a blocked task go on; the next attempt reads the answer.',
  audience: ['operator'],
  input: z.strictObject({
    task_id: TaskReference,
    answer: absent(CommentBody).describe('What it asked for.'),
    board: Board,
  }),
  output: z.looseObject({}),
  run: async (call, { task_id: task, answer, board }) => {
    const params = { board: boardOf(call.caller, board), task };
    return { task: taskLineOf((await ask(call, unblockTask, { params, body: { answer } })).task) };
  },
});

export const OPERATING_TOOLS = [steer, cancel, unblock];
