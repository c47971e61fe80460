/**
 * The names that agents of Hermes use for delegated work, for keys that were made with them. What they call a task is a delegation or one of
 * its tasks. list_tasks is missing: it is a tool of ours by the same name. No claim's token is given these names (service.ts).
 */
import { z } from 'zod';
import { LIMITS } from '../../../../contract/constants.ts';
import { DelegationId, TaskReference } from '../../../../contract/identifiers.ts';
import { listLanes } from '../../../../contract/lanes.ts';
import { absent, JsonValue } from '../../../../contract/values.ts';
import { ask, boardOf } from '../asking.ts';
import { Board, Cursor, given, RequestId, WAIT_SECONDS_MAX } from '../inputs.ts';
import { defineTool, type Tool, type ToolCall } from '../tool.ts';
import { pass } from './all.ts';
import { DelegatedTask, DelegateInput } from './delegating.ts';

const DELEGATORS = ['operator'] as const;

/** What these are about: a delegation, or one of the tasks. */
const either = { task_id: TaskReference.describe('Of a delegation or of a task.'), board: Board };

function isDelegation(id: string): boolean {
  return DelegationId.safeParse(id).success;
}

/** As many as Hermes takes of a task. */
const IMAGES_MAX = 8;
/** What only a worker of Hermes understands: handed to it as the payload. */
const forWorker = {
  output_schema: absent(JsonValue),
  images: absent(z.array(z.string().max(4096)).max(IMAGES_MAX)),
  group: absent(z.string().max(255)),
};
const NO_EFFECT = 'Has no effect here.';
const Message = z.string().min(1).max(4000);

const delegate = defineTool({
  name: 'delegate_task_async',
  description:
    'Hand work to workers of lanes: one goal, or several tasks with a goal each. collect_task waits for the one consolidated result. action steers or stops what was handed over.',
  audience: DELEGATORS,
  input: z.strictObject({
    ...DelegateInput.shape,
    tasks: absent(z.array(DelegatedTask.extend(forWorker)).min(1).max(LIMITS.delegationTasksMax)),
    ...forWorker,
    role: absent(z.string().max(255)).describe(NO_EFFECT),
    background: absent(z.boolean()).describe(NO_EFFECT),
    action: absent(z.enum(['delegate', 'list', 'steer', 'stop'])).describe('Default: delegate.'),
    subagent_id: absent(TaskReference).describe('Whom to steer or stop: a delegation or a task, by its id.'),
    message: absent(Message).describe('With action steer.'),
  }),
  run: async (call, { action, subagent_id: id, message, role: _role, background: _background, ...input }) => {
    const { board } = input;
    const subject = given({ board, task_id: id });
    switch (action) {
      case 'list':
        return pass(call, 'list_tasks', given({ board }));
      case 'steer':
        return steer.run(call, { ...subject, message });
      case 'stop':
        return cancel.run(call, subject);
      default:
        return pass(call, 'delegate', await inOurWords(call, input));
    }
  },
});

type ForWorker = Partial<Record<keyof typeof forWorker, unknown>> & { readonly payload?: unknown };

/** The same fields with those for the worker in its payload. */
function packed<T extends ForWorker>(task: T) {
  const { output_schema, images, group, payload, ...kept } = task;
  const extra = given({ output_schema, images, group });
  if (Object.keys(extra).length === 0) return { ...kept, ...given({ payload }) };
  const own =
    typeof payload === 'object' && payload !== null && !Array.isArray(payload) ? payload : given({ payload });
  return { ...kept, payload: { ...own, ...extra } };
}

type Handed = Omit<z.infer<typeof DelegateInput>, 'tasks'> &
  ForWorker & { readonly tasks?: readonly ForWorker[] | null | undefined };

async function inOurWords(
  call: ToolCall,
  { goal, context, tasks, output_schema, images, group, ...input }: Handed,
) {
  const usual = input.lane ?? (await onlyLaneOf(call, input.board));
  const lane = given({ lane: usual });
  if (tasks) return { ...input, ...lane, ...given({ goal, context }), tasks: tasks.map(packed) };
  const alone = packed({ output_schema, images, group });
  if (!('payload' in alone) || !goal) return { ...input, ...lane, ...given({ goal, context }) };
  return { ...input, ...lane, tasks: [{ ...given({ goal, context }), ...alone }] };
}

/** Hermes knows no lanes; on a board that has but one there is nothing to choose. */
async function onlyLaneOf(call: ToolCall, board: string | null | undefined): Promise<string | null> {
  const params = { board: boardOf(call.caller, board) };
  const { lanes } = await ask(call, listLanes, { params, query: { limit: '2' } });
  const [only, ...others] = lanes;
  return only !== undefined && others.length === 0 ? only.name : null;
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

/** Hermes' own is unbounded; a day says that whoever asks means it. */
const TIMEOUT_SECONDS_MAX = 86_400;

const collect = defineTool({
  name: 'collect_task',
  description: 'Wait for a delegation, or a task, and read what came of it.',
  audience: DELEGATORS,
  isReadOnly: true,
  input: z.strictObject({
    ...either,
    timeout: absent(z.number().min(0).max(TIMEOUT_SECONDS_MAX)).describe(
      `Seconds. The answer comes after ${WAIT_SECONDS_MAX} at the latest: call again while status is "running".`,
    ),
    cursor: Cursor,
  }),
  run: async (call, { task_id: id, timeout, cursor, board }) => {
    const waitSeconds = Math.min(WAIT_SECONDS_MAX, Math.floor(timeout ?? 0));
    if (isDelegation(id))
      return pass(call, 'collect', { delegation_id: id, wait_seconds: waitSeconds, cursor, board });
    await pass(call, 'wait_tasks', { ids: [id], for: 'ended', wait_seconds: waitSeconds, board });
    return pass(call, 'get_task', { task_id: id, cursor, board });
  },
});

const steer = defineTool({
  name: 'steer_task',
  description: 'Tell whoever works on it something while it works.',
  audience: DELEGATORS,
  input: z.strictObject({ ...either, message: Message, request_id: RequestId }),
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

export const DELEGATION_ALIASES: readonly Tool[] = [delegate, check, collect, steer, cancel];
