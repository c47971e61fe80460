/** Looking at tasks and lanes, and waiting for tasks. */
import { z } from 'zod';
import { getContext } from '../../../../contract/context.ts';
import { TaskReference } from '../../../../contract/identifiers.ts';
import { type Lane, listLanes } from '../../../../contract/lanes.ts';
import { listMessages } from '../../../../contract/messages.ts';
import { listOutput } from '../../../../contract/outputs.ts';
import { getTask, listComments, listTaskRuns, listTasks } from '../../../../contract/task-routes.ts';
import type { Task } from '../../../../contract/tasks.ts';
import { absent } from '../../../../contract/values.ts';
import { getWhy } from '../../../../contract/why.ts';
import { withoutColours } from '../../../kernel/colours.ts';
import { ask, boardOf } from '../asking.ts';
import { heardAs } from '../holding.ts';
import { Board, Cursor, given, WaitSeconds } from '../inputs.ts';
import { inParts, pageThatFits, type ToolDocument } from '../results.ts';
import { defineTool, type ToolCall } from '../tool.ts';
import { lineOf, TaskLine, TaskMark, taskLineOf, taskLinesOf } from '../views.ts';
import { type Aim, awaitTasks, isMet } from './awaiting.ts';

const READERS = ['operator', 'observer'] as const;

/** As kanban_list has them (research: hermes 3): more would not fit into an answer anyway. */
const LISTED_DEFAULT = 50;
const LISTED_MAX = 200;

const asked = listTasks.query.shape;

const list = defineTool({
  name: 'list_tasks',
  description:
    'List tasks, newest first. status, lane and tenant take several words with commas between; label is key:value; q is part of the title.',
  audience: READERS,
  isReadOnly: true,
  input: z.strictObject({
    status: absent(asked.status.unwrap()),
    lane: absent(asked.lane.unwrap()),
    label: absent(asked.label.unwrap()),
    tenant: absent(asked.tenant.unwrap()),
    parent: absent(asked.parent.unwrap()),
    delegation: absent(asked.delegation.unwrap()),
    q: absent(asked.q.unwrap()),
    order: absent(asked.order.unwrap()),
    limit: absent(z.int().min(1).max(LISTED_MAX)).describe(`Default ${LISTED_DEFAULT}.`),
    cursor: Cursor,
    board: Board,
  }),
  output: z.looseObject({ tasks: z.array(TaskLine), next_cursor: z.string().nullable() }),
  run: async (call, { board: named, cursor, limit, ...filters }) => {
    const params = { board: boardOf(call.caller, named) };
    const filter = given(filters);
    const read = (rows: number) =>
      ask(call, listTasks, {
        params,
        query: { ...filter, limit: String(rows), ...(cursor ? { page_token: cursor } : {}) },
      });
    const linesOf = (page: Awaited<ReturnType<typeof read>>) => page.tasks.map(taskLineOf);
    const page = await pageThatFits(read, limit ?? LISTED_DEFAULT, linesOf, call.bytesMax);
    return { tasks: linesOf(page), next_cursor: page.next_page_token };
  },
});

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
        output: (await ask(call, listOutput, { params })).lines.map(({ at, text }) => ({
          at,
          text: withoutColours(text),
        })),
      };
    case 'why':
      return { why: (await ask(call, getWhy, { params })).reasons };
  }
}

/** A task that is worked on is heard of all the time, and the rest of it can be read all the same. */
function stillOf({ updated_at: _updated, claim, ...task }: Task): ToolDocument {
  if (claim === null) return task;
  const { lease_expires_at: _expires, ...kept } = claim;
  return { ...task, claim: kept };
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
    const included: ToolDocument = Object.assign({}, ...parts);
    const whole = {
      still: { task: stillOf(task), ...included },
      of: [task.id, ...wanted].join(' '),
      head: { task: taskLineOf(task) },
    };
    return inParts({ task, ...included }, whole, cursor);
  },
});

/** Each is read when the wait begins, and after what may have changed it. */
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
    tasks: z.array(TaskMark),
  }),
  run: async (call, { ids, for: aim, wait_seconds: waitSeconds, board }) => {
    const named = { board: boardOf(call.caller, board), ids, aim: aim ?? DEFAULT_AIM };
    const { tasks, heard } = await awaitTasks(call, named, waitSeconds ?? 0);
    const lines = taskLinesOf(tasks, call.bytesMax);
    return { met: isMet(named.aim, tasks), ...lines, ...heardAs(call.caller, heard) };
  },
});

const DEFAULT_AIM: Aim = 'ended';

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
    const params = { board: boardOf(call.caller, board) };
    const read = (rows: number) =>
      ask(call, listLanes, {
        params,
        query: { limit: String(rows), ...(cursor ? { page_token: cursor } : {}) },
      });
    const linesOf = (page: Awaited<ReturnType<typeof read>>) => page.lanes.map(laneLineOf);
    const page = await pageThatFits(read, LANES_LISTED, linesOf, call.bytesMax);
    return { lanes: linesOf(page), next_cursor: page.next_page_token };
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
