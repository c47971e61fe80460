/** Handing over work and getting one consolidated result back. */
import { z } from 'zod';
import { LIMITS } from '../../../../contract/constants.ts';
import {
  CreateDelegationBody,
  createDelegation,
  type Delegation,
  getDelegation,
} from '../../../../contract/delegations.ts';
import { DelegationId, PageToken } from '../../../../contract/identifiers.ts';
import { DELEGATION_STATUSES } from '../../../../contract/statuses.ts';
import { getTask } from '../../../../contract/task-routes.ts';
import { CreateTaskBody, type Task } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import { pause } from '../../../kernel/lifecycle.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { ask, Board, boardOf, RequestId, WaitSeconds } from '../asking.ts';
import { fitted, withText } from '../results.ts';
import { defineTool, type ToolCall } from '../tool.ts';
import { DelegationLine, delegationLineOf, TaskLine, taskLineOf } from '../views.ts';

const { goal, context, join, deadline_seconds, on_blocked, on_decided, capacity_key } =
  CreateDelegationBody.shape;
const { lane, title, priority, payload, parents, max_runtime_seconds } = CreateTaskBody.shape;
const { toolsets, model } = CreateDelegationBody.shape.tasks.element.shape;

/** Without origin and subscribe, as create_tasks. */
const DelegatedTask = z.strictObject({
  title: absent(title).describe('Default: the beginning of its goal.'),
  goal: goal.describe('What this worker is to achieve.'),
  context,
  lane,
  toolsets,
  model,
  priority,
  payload,
  parents,
  max_runtime_seconds,
});

/** Until there is room for another delegation. */
const CAPACITY_INTERVAL_MS = 1000;

const delegate = defineTool({
  name: 'delegate',
  description:
    'Hand work to workers of lanes: one goal, or several tasks with a goal each. Answers at once with the id; collect waits for the one consolidated result.',
  audience: ['operator', 'claim'],
  input: z.strictObject({
    goal,
    context,
    lane: lane.describe('Who does it, where there are no tasks; and of tasks that name no lane.'),
    toolsets,
    model,
    tasks: absent(z.array(DelegatedTask).min(1).max(LIMITS.delegationTasksMax)),
    join,
    deadline_seconds,
    on_blocked,
    on_decided,
    capacity_key,
    on_capacity: absent(z.enum(['fail', 'wait', 'inline'])).describe(
      'When as many as allowed are running: fail (an error; default), wait (up to wait_seconds), or inline (told to do it yourself).',
    ),
    wait_seconds: WaitSeconds,
    request_id: RequestId,
    board: Board,
  }),
  output: z.looseObject({ delegated: z.boolean() }),
  run: async (call, input) => {
    const {
      board,
      request_id: idempotencyKey,
      on_capacity: onCapacity,
      wait_seconds: waitSeconds,
      ...body
    } = input;
    const params = { board: boardOf(call.caller, board) };
    const create = () =>
      ask(call, createDelegation, { params, body: delegationBodyOf(body), idempotencyKey });
    try {
      const waits = onCapacity === 'wait' ? (waitSeconds ?? 0) : 0;
      const { delegation } = await call.whileWaiting(whenThereIsRoom(call, create, waits));
      return { delegated: true, delegation: delegationLineOf(delegation) };
    } catch (error) {
      if (onCapacity !== 'inline' || !isAtCapacity(error)) throw error;
      return { delegated: false, reason: 'delegation_capacity', next: 'Do this work yourself now.' };
    }
  },
});

type DelegationBody = z.input<typeof CreateDelegationBody>;
type Asked = Omit<DelegationBody, 'tasks'> &
  Pick<DelegationBody['tasks'][number], 'lane' | 'toolsets' | 'model'> & {
    readonly tasks?: DelegationBody['tasks'] | null | undefined;
  };

/** One goal alone is a delegation of one task. */
function delegationBodyOf({
  lane: usual,
  toolsets: tools,
  model: usualModel,
  tasks,
  ...body
}: Asked): DelegationBody {
  const common = { lane: usual, toolsets: tools, model: usualModel };
  if (tasks) return { ...body, tasks: tasks.map((task) => ({ ...common, ...withoutNulls(task) })) };
  if (!body.goal)
    throw new ProblemError('invalid_request', 'A goal or tasks are needed.', {
      errors: [{ pointer: '/goal', detail: 'is needed where there are no tasks' }],
    });
  const { goal: only, context: about, ...rest } = body;
  return { ...rest, tasks: [{ ...common, goal: only, context: about }] };
}

function withoutNulls<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member != null)) as T;
}

function isAtCapacity(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'delegation_capacity';
}

async function whenThereIsRoom<T>(call: ToolCall, create: () => Promise<T>, waitSeconds: number): Promise<T> {
  const { signal } = call.exchange;
  const deadline = performance.now() + waitSeconds * 1000;
  for (;;) {
    try {
      return await create();
    } catch (error) {
      if (!isAtCapacity(error) || performance.now() >= deadline || signal.aborted) throw error;
      await pause(CAPACITY_INTERVAL_MS, signal);
    }
  }
}

const check = defineTool({
  name: 'check',
  description: 'Look how a delegation stands, and each of its tasks. Does not wait.',
  audience: ['operator', 'observer', 'claim'],
  isReadOnly: true,
  input: z.strictObject({ delegation_id: DelegationId, board: Board }),
  output: z.looseObject({ delegation: DelegationLine, tasks: z.array(TaskLine) }),
  run: async (call, { delegation_id: delegation, board: named }) => {
    const board = boardOf(call.caller, named);
    const { delegation: found } = await ask(call, getDelegation, { params: { board, delegation } });
    const tasks = await readTasks(call, board, found);
    return fitted({ delegation: delegationLineOf(found), tasks: tasks.map(taskLineOf) });
  },
});

/** At once; a delegation has a hundred tasks at most. */
const READ_TOGETHER = 10;

async function readTasks(call: ToolCall, board: string, { tasks }: Delegation) {
  const found: Task[] = [];
  for (let start = 0; start < tasks.length; start += READ_TOGETHER) {
    const ids = tasks.slice(start, start + READ_TOGETHER);
    const read = await Promise.all(ids.map((task) => readOrGone(call, board, task)));
    found.push(...read.filter((task) => task !== null));
  }
  return found;
}

/** A child may have been deleted. */
async function readOrGone(call: ToolCall, board: string, task: string) {
  try {
    return (await ask(call, getTask, { params: { board, task } })).task;
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'not_found') return null;
    throw error;
  }
}

const collect = defineTool({
  name: 'collect',
  description:
    'Wait for a delegation and read its result: "text" once status is no longer "running"; else call again.',
  audience: ['operator', 'observer', 'claim'],
  isReadOnly: true,
  input: z.strictObject({
    delegation_id: DelegationId,
    wait_seconds: WaitSeconds,
    cursor: absent(PageToken).describe('next_cursor of the answer before, to read on.'),
    board: Board,
  }),
  output: z.looseObject({ status: z.enum(DELEGATION_STATUSES), delegation: DelegationLine }),
  run: async (call, { delegation_id: id, wait_seconds: waitSeconds, cursor = null, board }) => {
    const params = { board: boardOf(call.caller, board), delegation: id };
    const { delegation } = await call.whileWaiting(
      ask(call, getDelegation, { params, waitSeconds: waitSeconds || null }),
    );
    const document = { status: delegation.status, delegation: delegationLineOf(delegation) };
    if (delegation.text === null) return fitted(document);
    return withText(document, 'text', { of: id, text: delegation.text, cursor });
  },
});

export const DELEGATING_TOOLS = [delegate, check, collect];
