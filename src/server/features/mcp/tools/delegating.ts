/** Handing over work and getting one consolidated result back. */
import { z } from 'zod';
import { LIMITS } from '../../../../contract/constants.ts';
import {
  CreateDelegationBody,
  createDelegation,
  type Delegation,
  getDelegation,
} from '../../../../contract/delegations.ts';
import { DelegationId } from '../../../../contract/identifiers.ts';
import { DELEGATION_STATUSES } from '../../../../contract/statuses.ts';
import { getTask } from '../../../../contract/task-routes.ts';
import { CreateTaskBody } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import { pause } from '../../../kernel/lifecycle.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { ask, boardOf } from '../asking.ts';
import { beat, heardAs, isToHear } from '../holding.ts';
import { Board, Cursor, given, RequestId, WaitSeconds } from '../inputs.ts';
import { fitted, jsonBytes, withText } from '../results.ts';
import { defineTool, type ToolCall } from '../tool.ts';
import { DelegationLine, delegationLineOf, TaskMark, taskLinesOf } from '../views.ts';
import { beatSecondsOf, TELLING_KINDS, type Waited, waitFor } from '../waiting.ts';
import { readInGroups } from './awaiting.ts';

const { goal, context, join, deadline_seconds, on_blocked, on_decided, capacity_key } =
  CreateDelegationBody.shape;
const { lane, title, priority, payload, parents, max_runtime_seconds } = CreateTaskBody.shape;
const { toolsets, model } = CreateDelegationBody.shape.tasks.element.shape;

/** Without origin and subscribe, as create_tasks. */
export const DelegatedTask = z.strictObject({
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

export const DelegateInput = z.strictObject({
  goal,
  context,
  lane: lane.describe('Who does it: needed where there are no tasks, and where one of them names no lane.'),
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
});

const delegate = defineTool({
  name: 'delegate',
  description:
    'Hand work to workers of lanes: one goal, or several tasks with a goal each. Answers at once with the id; collect waits for the one consolidated result.',
  audience: ['operator', 'claim'],
  input: DelegateInput,
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
    const wanted = delegationBodyOf(body);
    const create = () => ask(call, createDelegation, { params, body: wanted, idempotencyKey });
    try {
      const waits = onCapacity === 'wait' ? (waitSeconds ?? 0) : 0;
      const made = waits === 0 ? await create() : await createWhenRoom(call, create, waits);
      if (made === null) return refusedFor('Read "messages" and "cancel_requested" first.');
      return fitted({ delegated: true, delegation: delegationLineOf(made.delegation) }, call.bytesMax);
    } catch (error) {
      if (onCapacity !== 'inline' || !isAtCapacity(error)) throw error;
      return refusedFor('Do this work yourself now.');
    }
  },
});

const refusedFor = (next: string) => ({ delegated: false, reason: 'delegation_capacity', next });

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
  if (tasks) {
    const whole = tasks.map((task) => ({ ...common, ...given(task) }));
    const without = whole.findIndex((task) => !task.lane);
    if (without >= 0) throw laneNeeded(`/tasks/${without}/lane`);
    return { ...body, tasks: whole };
  }
  if (!body.goal)
    throw new ProblemError('invalid_request', 'A goal or tasks are needed.', {
      errors: [{ pointer: '/goal', detail: 'is needed where there are no tasks' }],
    });
  if (!usual) throw laneNeeded('/lane');
  const { goal: only, context: about, ...rest } = body;
  return { ...rest, tasks: [{ ...common, goal: only, context: about }] };
}

/** Nobody claims what is for no lane. */
function laneNeeded(pointer: string): ProblemError {
  return new ProblemError('invalid_request', 'Name the lane whose workers are to do it.', {
    errors: [{ pointer, detail: 'is needed' }],
    extensions: { next: 'Name one as lane: list_lanes has them, if you have that tool. Then call again.' },
  });
}

function isAtCapacity(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'delegation_capacity';
}

/** Null: whoever waits is to hear something first. A client that has gone wants nothing more made. */
async function createWhenRoom<T>(
  call: ToolCall,
  create: () => Promise<T>,
  waitSeconds: number,
): Promise<T | null> {
  const { caller, parts } = call;
  const { signal } = call.exchange;
  const deadline = performance.now() + waitSeconds * 1000;
  const createOrPause = async (): Promise<T | null | undefined> => {
    const heard = caller.kind === 'claim' ? await beat(call, caller) : null;
    try {
      return await create();
    } catch (error) {
      if (!isAtCapacity(error) || performance.now() >= deadline) throw error;
      if (isToHear(heard)) return null;
      await pause(Math.min(CAPACITY_INTERVAL_MS, beatSecondsOf(heard) * 1000), signal);
      if (signal.aborted) throw error;
      return undefined;
    }
  };
  const tries = async (): Promise<T | null> => {
    for (;;) {
      const made = await createOrPause();
      if (made !== undefined) return made;
    }
  };
  return parts.waits.during(caller, () => call.whileWaiting(tries()));
}

const check = defineTool({
  name: 'check',
  description: 'Look how a delegation stands, and each of its tasks. Does not wait.',
  audience: ['operator', 'observer', 'claim'],
  isReadOnly: true,
  input: z.strictObject({ delegation_id: DelegationId, board: Board }),
  output: z.looseObject({ delegation: DelegationLine, tasks: z.array(TaskMark) }),
  run: async (call, { delegation_id: delegation, board: named }) => {
    const board = boardOf(call.caller, named);
    const { delegation: found } = await ask(call, getDelegation, { params: { board, delegation } });
    const tasks = await readInGroups(found.tasks, (task) => readOrGone(call, board, task));
    const line = delegationLineOf(found);
    const left = call.bytesMax - jsonBytes(line);
    const lines = taskLinesOf(
      tasks.filter((task) => task !== null),
      left,
    );
    return fitted({ delegation: line, ...lines }, call.bytesMax);
  },
});

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
    cursor: Cursor,
    board: Board,
  }),
  output: z.looseObject({ status: z.enum(DELEGATION_STATUSES), delegation: DelegationLine }),
  run: async (call, { delegation_id: id, wait_seconds: waitSeconds, cursor = null, board }) => {
    const place = boardOf(call.caller, board);
    const read = async () =>
      (await ask(call, getDelegation, { params: { board: place, delegation: id } })).delegation;
    const { value: delegation, heard } = await awaitDecision(call, place, id, waitSeconds ?? 0, read);
    const told = heardAs(call.caller, heard);
    const document = { status: delegation.status, delegation: delegationLineOf(delegation) };
    if (delegation.text === null) return { ...fitted(document, call.bytesMax), ...told };
    return {
      ...withText(document, 'text', { of: id, text: delegation.text, cursor }, call.bytesMax),
      ...told,
    };
  },
});

const DECIDING_KINDS: ReadonlySet<string> = new Set(['delegation.completed', ...TELLING_KINDS]);

async function awaitDecision(
  call: ToolCall,
  board: string,
  id: string,
  waitSeconds: number,
  read: () => Promise<Delegation>,
): Promise<Waited<Delegation>> {
  if (waitSeconds === 0) return { value: await read(), heard: null };
  const holder = call.caller.kind === 'claim' ? call.caller : null;
  return waitFor(call, {
    board,
    holder,
    waitSeconds,
    kinds: DECIDING_KINDS,
    tasks: null,
    isMeant: ({ delegation_id: decided, task_id: told }) => decided === id || told === holder?.taskId,
    read,
    isDone: ({ status }) => status !== 'running',
  });
}

export const DELEGATING_TOOLS = [delegate, check, collect];
