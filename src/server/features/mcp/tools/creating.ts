/** Creating tasks. Where outcomes return to comes with the request (Lanekeeper-Origin), never from a model. */
import { z } from 'zod';
import { createTasks } from '../../../../contract/task-routes.ts';
import { CreateTaskBody } from '../../../../contract/tasks.ts';
import { ask, boardOf } from '../asking.ts';
import { Board, RequestId } from '../inputs.ts';
import { defineTool } from '../tool.ts';
import { TaskMark, taskMarksOf } from '../views.ts';

/** What a model writes in one call, and is answered with at once. The route takes more. */
const TASKS_MAX = 100;

/** Without origin and subscribe: those are the gateway's, and the key's owner's. */
const NewTask = CreateTaskBody.pick({
  title: true,
  body: true,
  lane: true,
  priority: true,
  payload: true,
  parents: true,
  run_at: true,
  status: true,
  idempotency_key: true,
  max_failures: true,
  max_runtime_seconds: true,
  no_progress_seconds: true,
  labels: true,
  tenant: true,
  external_ref: true,
});

const create = defineTool({
  name: 'create_tasks',
  description:
    'Create tasks, all or none. body says what is to be done; lane says who does it; parents are tasks that must be done first: ids, or "#0" for the first of this call.',
  audience: ['operator', 'claim'],
  input: z.strictObject({
    tasks: z.array(NewTask).min(1).max(TASKS_MAX),
    request_id: RequestId,
    board: Board,
  }),
  output: z.looseObject({ tasks: z.array(TaskMark) }),
  run: async (call, { tasks, request_id: idempotencyKey, board }) => {
    const params = { board: boardOf(call.caller, board) };
    const made = await ask(call, createTasks, { params, body: { tasks }, idempotencyKey });
    return taskMarksOf(made.tasks, call.bytesMax);
  },
});

export const CREATING_TOOLS = [create];
