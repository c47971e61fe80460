/** Looking at tasks and lanes, and waiting for tasks. */
import { z } from 'zod';
import { getContext } from '../../../../contract/context.ts';
import { PageToken, TaskReference } from '../../../../contract/identifiers.ts';
import { type Lane, listLanes } from '../../../../contract/lanes.ts';
import { listMessages } from '../../../../contract/messages.ts';
import { listOutput } from '../../../../contract/outputs.ts';
import { getTask, listComments, listTaskRuns, listTasks } from '../../../../contract/task-routes.ts';
import type { Task } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import { getWhy } from '../../../../contract/why.ts';
import { present } from '../../../kernel/assert.ts';
import { parseId } from '../../../kernel/ids.ts';
import { waitForChange } from '../../watch/service.ts';
import { ask, Board, boardOf, WaitSeconds } from '../asking.ts';
import { fitted, inParts, jsonBytes, RESULT_BYTES_MAX } from '../results.ts';
import { defineTool, type ToolCall } from '../tool.ts';
import { hasEnded, lineOf, TaskLine, taskLineOf } from '../views.ts';

const READERS = ['operator', 'observer'] as const;
const Cursor = absent(PageToken).describe('next_cursor of the answer before, to read on.');

/** As kanban_list has them (research: hermes 3): more would not fit into an answer anyway. */
const LISTED_DEFAULT = 50;
const LISTED_MAX = 200;
/** Of a page, what stands around the tasks. */
const PAGE_FRAME_BYTES = 1000;

const filters = listTasks.query.shape;

const list = defineTool({
  name: 'list_tasks',
  description:
    'List tasks, newest first. status, lane and tenant take several words with commas between; label is key:value; q is part of the title.',
  audience: READERS,
  isReadOnly: true,
  input: z.strictObject({
    status: absent(filters.status.unwrap()),
    lane: absent(filters.lane.unwrap()),
    label: absent(filters.label.unwrap()),
    tenant: absent(filters.tenant.unwrap()),
    parent: absent(filters.parent.unwrap()),
    delegation: absent(filters.delegation.unwrap()),
    q: absent(filters.q.unwrap()),
    order: absent(filters.order.unwrap()),
    limit: absent(z.int().min(1).max(LISTED_MAX)).describe(`Default ${LISTED_DEFAULT}.`),
    cursor: Cursor,
    board: Board,
  }),
  output: z.looseObject({ tasks: z.array(TaskLine), next_cursor: z.string().nullable() }),
  run: async (call, { board: named, cursor, limit, ...given }) => {
    const params = { board: boardOf(call.caller, named) };
    const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value != null));
    const read = (rows: number) =>
      ask(call, listTasks, {
        params,
        query: { ...filter, limit: String(rows), ...(cursor ? { page_token: cursor } : {}) },
      });
    let page = await read(limit ?? LISTED_DEFAULT);
    const fitting = rowsThatFit(page.tasks);
    // The cursor must be that of the last task that is shown.
    if (fitting < page.tasks.length) page = await read(fitting);
    return { tasks: page.tasks.map(taskLineOf), next_cursor: page.next_page_token };
  },
});

function rowsThatFit(tasks: readonly Task[]): number {
  let bytes = PAGE_FRAME_BYTES;
  const first = tasks.findIndex((task) => {
    bytes += jsonBytes(taskLineOf(task)) + 1;
    return bytes > RESULT_BYTES_MAX;
  });
  return first < 0 ? tasks.length : Math.max(1, first);
}

const PARTS = ['context', 'runs', 'comments', 'messages', 'output', 'why'] as const;
type Part = (typeof PARTS)[number];

interface Place {
  readonly board: string;
  readonly task: string;
}

/** Each as its route answers, its first page. */
async function readPart(
  call: ToolCall,
  part: Part,
  params: Place,
): Promise<Readonly<Record<string, unknown>>> {
  switch (part) {
    case 'context':
      return { context: (await ask(call, getContext, { params })).text };
    case 'runs': {
      const { runs, next_page_token: more } = await ask(call, listTaskRuns, { params });
      return { runs, ...(more === null ? {} : { has_more_runs: true }) };
    }
    case 'comments': {
      const { comments, next_page_token: more } = await ask(call, listComments, { params });
      return { comments, ...(more === null ? {} : { has_more_comments: true }) };
    }
    case 'messages':
      return { messages: (await ask(call, listMessages, { params })).messages };
    case 'output':
      return {
        output: (await ask(call, listOutput, { params })).lines.map(({ at, text }) => ({ at, text })),
      };
    case 'why':
      return { why: (await ask(call, getWhy, { params })).reasons };
  }
}

const get = defineTool({
  name: 'get_task',
  description:
    'Read one task whole, and what include names: context (as its worker reads it), runs, comments, messages, output, why (it is not running).',
  audience: READERS,
  isReadOnly: true,
  input: z.strictObject({
    task_id: TaskReference,
    include: absent(z.array(z.enum(PARTS)).max(PARTS.length)),
    cursor: Cursor,
    board: Board,
  }),
  run: async (call, { task_id: id, include, cursor = null, board }) => {
    const params = { board: boardOf(call.caller, board), task: id };
    const { task } = await ask(call, getTask, { params });
    const wanted = [...new Set(include ?? [])].sort();
    const parts = await Promise.all(wanted.map((part) => readPart(call, part, params)));
    const document = { task, ...Object.assign({}, ...parts) };
    return inParts(document, [task.id, ...wanted].join(' '), { task: taskLineOf(task) }, cursor);
  },
});

/** Each is a follower of the log for as long as the wait. */
const AWAITED_MAX = 50;

const wait = defineTool({
  name: 'wait_tasks',
  description:
    'Wait for tasks: "done" until all are done, "ended" until all are done, blocked, cancelled or archived, "any" until one is. Answers how they stand, also when the wait is over.',
  audience: [...READERS, 'claim'],
  isReadOnly: true,
  input: z.strictObject({
    ids: z.array(TaskReference).min(1).max(AWAITED_MAX),
    for: absent(z.enum(['done', 'ended', 'any'])).describe('Default "ended".'),
    wait_seconds: WaitSeconds,
    board: Board,
  }),
  output: z.looseObject({
    met: z.boolean().describe('false: the wait is over, or a task has ended that was to be done.'),
    tasks: z.array(TaskLine),
  }),
  run: async (call, { ids, for: aim, wait_seconds: waitSeconds, board }) => {
    const tasks = await call.whileWaiting(
      awaitTasks(call, {
        board: boardOf(call.caller, board),
        ids,
        aim: aim ?? 'ended',
        waitSeconds: waitSeconds ?? 0,
      }),
    );
    return fitted({ met: isMet(aim ?? 'ended', tasks), tasks: tasks.map(taskLineOf) });
  },
});

type Aim = 'done' | 'ended' | 'any';

function isMet(aim: Aim, tasks: readonly Task[]): boolean {
  if (aim === 'any') return tasks.some(hasEnded);
  return tasks.every((task) => (aim === 'done' ? task.status === 'done' : hasEnded(task)));
}

/** Whether more waiting changes nothing: it is met, or cannot be met any more by waiting. */
function isOver(aim: Aim, task: Task): boolean {
  return hasEnded(task) && (aim === 'any' || (aim === 'done' && task.status !== 'done'));
}

interface Awaited {
  readonly board: string;
  readonly ids: readonly string[];
  readonly aim: Aim;
  readonly waitSeconds: number;
}

async function awaitTasks(call: ToolCall, { board, ids, aim, waitSeconds }: Awaited): Promise<Task[]> {
  const { parts, exchange } = call;
  const read = async (id: string) => (await ask(call, getTask, { params: { board, task: id } })).task;
  const first = await Promise.all(ids.map(read));
  if (waitSeconds === 0 || isMet(aim, first) || first.some((task) => isOver(aim, task))) return first;
  const ref = await parts.boards.resolve(board);
  // By hand: what AbortSignal.any makes outlives the request on Node 20.
  const over = new AbortController();
  const stop = (): void => over.abort();
  exchange.signal.addEventListener('abort', stop, { once: true });
  if (exchange.signal.aborted) stop();
  const waits = first.map(async (task) => {
    if (hasEnded(task)) return task;
    const taskId = present(parseId('task', task.id), 'a task has an id');
    const last = await waitForChange({
      feeds: parts.feeds,
      board: ref,
      of: { taskId },
      waitSeconds,
      signal: over.signal,
      read: () => read(task.id),
      isDone: hasEnded,
    });
    if (isOver(aim, last)) stop();
    return last;
  });
  try {
    return await Promise.all(waits);
  } finally {
    exchange.signal.removeEventListener('abort', stop);
    stop();
  }
}

const lanes = defineTool({
  name: 'list_lanes',
  description: 'List the lanes of the board: who is online, how much work waits, what is running.',
  audience: READERS,
  isReadOnly: true,
  input: z.strictObject({ cursor: Cursor, board: Board }),
  output: z.looseObject({
    lanes: z.array(z.looseObject({ name: z.string() })),
    next_cursor: z.string().nullable(),
  }),
  run: async (call, { cursor, board }) => {
    const query = { limit: String(LANES_LISTED), ...(cursor ? { page_token: cursor } : {}) };
    const params = { board: boardOf(call.caller, board) };
    const page = await ask(call, listLanes, { params, query });
    return fitted({ lanes: page.lanes.map(laneLineOf), next_cursor: page.next_page_token });
  },
});

/** As many lines as fit with descriptions of usual length. */
const LANES_LISTED = 40;

function laneLineOf(lane: Lane) {
  const { name, kind, claim_mode: claimMode, paused, draining, description, presence, backlog } = lane;
  return {
    name,
    kind,
    claim_mode: claimMode,
    online: presence.online,
    workers: presence.workers.filter(({ online }) => online).length,
    ...backlog,
    ...(paused ? { paused } : {}),
    ...(draining ? { draining } : {}),
    ...(description === null ? {} : { description: lineOf(description) }),
  };
}

export const READING_TOOLS = [list, get, wait, lanes];
