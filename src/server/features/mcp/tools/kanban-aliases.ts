/**
 * The kanban_* names and arguments that agents of Hermes know, for keys that were made with them: each puts its arguments into the words of one of
 * our tools, or of the route behind it, and does nothing of its own. Fields that mean nothing here are kept in the task's payload or metadata.
 * No claim's token is given these names (service.ts): whoever works under them has the key of a lane.
 */
import { z } from 'zod';
import { LIMITS } from '../../../../contract/constants.ts';
import { LaneName, TaskReference } from '../../../../contract/identifiers.ts';
import { linkParent } from '../../../../contract/links.ts';
import { BlockBody, CompleteBody } from '../../../../contract/runs.ts';
import { addComment } from '../../../../contract/task-routes.ts';
import { CommentBody, CreateTaskBody } from '../../../../contract/tasks.ts';
import { absent, Metadata, Summary } from '../../../../contract/values.ts';
import { excerptOf } from '../../../kernel/excerpt.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { ask, boardOf } from '../asking.ts';
import { ofRun } from '../holding.ts';
import { Board, Cursor, given } from '../inputs.ts';
import { defineTool, type Tool } from '../tool.ts';
import { pass } from './all.ts';
import { assertOwnBoard, isWorker, ownRun, ownRunOrOnly, ownTask } from './kanban-own-task.ts';

const HOLDERS = ['lane'] as const;
const HOLDERS_AND_OPERATORS = [...HOLDERS, 'operator'] as const;

const show = defineTool({
  name: 'kanban_show',
  description: 'Read a task: what is to be done, earlier attempts, comments. Default: the one that you hold.',
  audience: [...HOLDERS_AND_OPERATORS, 'observer'],
  isReadOnly: true,
  input: z.strictObject({ ...ownTask, cursor: Cursor }),
  run: async (call, { board, run_id, worker, ...input }) => {
    const { caller } = call;
    if (isWorker(caller)) {
      assertOwnBoard(caller, board);
      return pass(call, 'show_task', { ...input, run_id, worker });
    }
    return pass(call, 'get_task', { ...input, board, include: ['comments', 'context', 'runs'] });
  },
});

const list = defineTool({
  name: 'kanban_list',
  description: 'List tasks by assignee (the lane), status and tenant.',
  audience: ['operator', 'observer'],
  isReadOnly: true,
  input: z.strictObject({
    assignee: absent(z.string().min(1).max(64)),
    status: absent(z.string().min(1).max(200)),
    tenant: absent(z.string().min(1).max(128)),
    include_archived: absent(z.boolean()),
    limit: absent(z.int().min(1).max(200)),
    cursor: Cursor,
    board: Board,
  }),
  run: (call, { assignee, include_archived: withArchived, status, ...input }) =>
    pass(call, 'list_tasks', {
      ...input,
      lane: assignee,
      status: status ?? (withArchived ? EVERY_STATUS : null),
    }),
});

const EVERY_STATUS = 'triage,todo,scheduled,ready,running,blocked,review,done,cancelled,archived';

/** What Hermes has beside the metadata: kept with them. */
const handedOver = {
  summary: absent(Summary),
  metadata: absent(Metadata),
};

const complete = defineTool({
  name: 'kanban_complete',
  description: 'Complete your task, with a summary or a result.',
  audience: HOLDERS,
  input: z.strictObject({
    ...handedOver,
    result: CompleteBody.shape.result,
    created_cards: absent(z.array(z.string().max(255)).max(100)),
    artifacts: absent(z.array(z.string().max(4096)).max(100)),
    ...ownTask,
  }),
  run: async (call, { task_id, run_id, worker, board, created_cards, artifacts, metadata, ...body }) => {
    const run = await ownRun(call, { task_id, run_id, worker, board });
    const kept = given({ ...metadata, created_cards, artifacts });
    const summary = body.summary || summaryOf(body.result);
    return pass(call, 'complete_task', {
      ...body,
      summary,
      ...(isEmpty(kept) ? {} : { metadata: kept }),
      ...run,
    });
  },
});

function isEmpty(fields: object): boolean {
  return Object.keys(fields).length === 0;
}

/** Hermes takes a result instead. */
function summaryOf(result: unknown): string {
  if (typeof result === 'string' && result !== '') return excerptOf(result, SUMMARY_CHARACTERS);
  if (result !== undefined && result !== null) return excerptOf(JSON.stringify(result), SUMMARY_CHARACTERS);
  throw new ProblemError('invalid_request', 'A summary or a result is needed.', {
    errors: [{ pointer: '/summary', detail: 'is needed where there is no result' }],
  });
}

/** As long as summaries are shown in events. */
const SUMMARY_CHARACTERS = 400;

const requestReview = defineTool({
  name: 'kanban_request_review',
  description: 'Hand your work over for review: by the lane that reviewer names, or by people.',
  audience: HOLDERS,
  input: z.strictObject({ ...handedOver, reviewer: CompleteBody.shape.reviewer, ...ownTask }),
  run: async (call, { task_id, run_id, worker, board, summary, ...body }) => {
    const run = await ownRun(call, { task_id, run_id, worker, board });
    return pass(call, 'complete_task', {
      summary: summary || 'Ready for review.',
      ...body,
      review: true,
      ...run,
    });
  },
});

const block = defineTool({
  name: 'kanban_block',
  description: 'Block your task: it needs something before it can go on.',
  audience: HOLDERS,
  input: z.strictObject({
    ...BlockBody.omit({ metadata: true }).shape,
    ...ownTask,
  }),
  run: async (call, { task_id, run_id, worker, board, ...body }) =>
    pass(call, 'block_task', { ...body, ...(await ownRun(call, { task_id, run_id, worker, board })) }),
});

const heartbeat = defineTool({
  name: 'kanban_heartbeat',
  description: 'Say that you are still at work on your task.',
  audience: HOLDERS,
  input: z.strictObject({ note: absent(z.string().max(4000)), ...ownTask }),
  run: async (call, { note, task_id, run_id, worker, board }) =>
    pass(call, 'heartbeat', {
      note: note || null,
      ...(await ownRunOrOnly(call, { task_id, run_id, worker, board })),
    }),
});

const comment = defineTool({
  name: 'kanban_comment',
  description: 'Comment on a task. Workers: on the one that they hold.',
  audience: HOLDERS_AND_OPERATORS,
  input: z.strictObject({ task_id: TaskReference, body: CommentBody, ...ofRun, board: Board }),
  run: async (call, { task_id: task, body, run_id, worker, board }) => {
    const { caller } = call;
    if (isWorker(caller)) {
      const run = await ownRun(call, { task_id: task, run_id, worker, board });
      return pass(call, 'comment', { body, ...run });
    }
    const params = { board: boardOf(caller, board), task };
    return { comment_id: (await ask(call, addComment, { params, body: { body } })).comment.id };
  },
});

/** Of a task's status at its beginning Hermes has more words; the others follow from parents and assignee. */
const INITIAL_STATUSES = ['ready', 'triage', 'blocked', 'todo', 'running'] as const;
/** What only Hermes' own dispatcher understands: handed to the worker as the payload. */
const forWorker = {
  workspace_kind: absent(z.string().max(255)),
  workspace_path: absent(z.string().max(4096)),
  skills: absent(z.array(z.string().max(255)).max(100)),
  goal_mode: absent(z.boolean()),
  goal_max_turns: absent(z.int()),
  model: absent(z.string().max(255)),
  provider: absent(z.string().max(255)),
  reasoning: absent(z.string().max(255)),
};

const create = defineTool({
  name: 'kanban_create',
  description: 'Create a task for an assignee (a lane).',
  audience: ['operator'],
  input: z.strictObject({
    ...CreateTaskBody.pick({
      title: true,
      body: true,
      tenant: true,
      priority: true,
      idempotency_key: true,
      max_runtime_seconds: true,
    }).shape,
    assignee: LaneName.describe('The lane that does it.'),
    parents: absent(z.array(TaskReference).max(LIMITS.parentsMax)).describe('Tasks that must be done first.'),
    triage: absent(z.boolean()),
    initial_status: absent(z.enum(INITIAL_STATUSES)),
    ...forWorker,
    board: Board,
  }),
  run: async (call, { assignee, triage, initial_status: initial, board, ...input }) => {
    const {
      workspace_kind,
      workspace_path,
      skills,
      goal_mode,
      goal_max_turns,
      model,
      provider,
      reasoning,
      ...task
    } = input;
    const payload = given({
      workspace_kind,
      workspace_path,
      skills,
      goal_mode,
      goal_max_turns,
      model,
      provider,
      reasoning,
    });
    const isWaiting = initial === 'triage' || initial === 'blocked';
    const asked = isWaiting ? initial : null;
    const status = triage ? 'triage' : asked;
    return pass(call, 'create_tasks', {
      tasks: [{ ...task, lane: assignee, status, ...(isEmpty(payload) ? {} : { payload }) }],
      board,
    });
  },
});

const link = defineTool({
  name: 'kanban_link',
  description: 'Let the child wait until the parent is done.',
  audience: ['operator'],
  input: z.strictObject({ parent_id: TaskReference, child_id: TaskReference, board: Board }),
  run: async (call, { parent_id: parent, child_id: task, board }) => {
    const params = { board: boardOf(call.caller, board), task, parent };
    const { task: child } = await ask(call, linkParent, { params });
    return { child_id: child.id, status: child.status, waits_for: child.unmet_parents };
  },
});

const unblock = defineTool({
  name: 'kanban_unblock',
  description: 'Let a blocked task go on.',
  audience: ['operator'],
  input: z.strictObject({ task_id: TaskReference, board: Board }),
  run: (call, input) => pass(call, 'unblock', input),
});

export const KANBAN_ALIASES: readonly Tool[] = [
  show,
  list,
  complete,
  block,
  heartbeat,
  comment,
  create,
  link,
  unblock,
  requestReview,
];
