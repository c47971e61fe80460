/** The routes of tasks; their schemas stand in tasks.ts. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import { Cursor, DelegationId, LaneName, PageToken, TaskReference, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { Run } from './runs.ts';
import {
  CancelBody,
  Comment,
  CommentBody,
  CreateTaskBody,
  OperatorCompleteBody,
  PatchTaskBody,
  TASK_ORDERS,
  Task,
  TaskParams,
  TaskResponse,
} from './tasks.ts';
import { absent, LimitParameter, NextPageToken, PageQuery, Reason, WordsParameter } from './values.ts';
import { ListedTask } from './why.ts';

export const createTask = defineRoute({
  operationId: 'createTask',
  method: 'post',
  path: '/v1/boards/{board}/tasks',
  summary: 'Create a task; 200 with the existing one when the board already has its idempotency_key.',
  tag: 'tasks',
  access: 'authenticated',
  params: BoardParams,
  body: CreateTaskBody,
  hasOrigin: true,
  isIdempotent: true,
  responses: { 200: TaskResponse, 201: TaskResponse },
  problems: ['not_found', 'already_exists', 'claim_lost', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const createTasks = defineRoute({
  operationId: 'createTasks',
  method: 'post',
  path: '/v1/boards/{board}/tasks/batch',
  summary: 'Create up to 1,000 tasks, all or none.',
  tag: 'tasks',
  access: 'authenticated',
  params: BoardParams,
  body: z.strictObject({ tasks: z.array(CreateTaskBody).min(1).max(LIMITS.batchTasksMax) }),
  bodyBytesMax: LIMITS.batchBodyBytesMax,
  hasOrigin: true,
  isIdempotent: true,
  responses: { 201: z.object({ tasks: z.array(Task) }) },
  problems: ['not_found', 'already_exists', 'claim_lost', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const listTasks = defineRoute({
  operationId: 'listTasks',
  method: 'get',
  path: '/v1/boards/{board}/tasks',
  summary: 'List tasks, newest first unless order says otherwise; archived ones only when asked for.',
  tag: 'tasks',
  access: 'authenticated',
  params: BoardParams,
  query: z.strictObject({
    limit: LimitParameter,
    page_token: PageToken.optional(),
    status: WordsParameter.optional().describe('Comma-separated statuses.'),
    lane: WordsParameter.optional().describe('Comma-separated lanes; "-" stands for tasks without one.'),
    label: WordsParameter.optional().describe('Comma-separated key:value pairs; all must match.'),
    tenant: WordsParameter.optional(),
    parent: TaskReference.optional().describe('Only tasks that wait, or waited, for this one.'),
    delegation: DelegationId.optional(),
    session_id: z.string().min(1).max(LIMITS.originCharactersMax).optional().describe('Of the origin.'),
    q: z.string().min(1).max(200).optional().describe('Part of the title, in any case.'),
    order: z.enum(TASK_ORDERS).optional(),
    include: z
      .enum(['why'])
      .optional()
      .describe('"why": each task carries the reasons for which it is not running.'),
  }),
  responses: {
    200: z.object({ tasks: z.array(ListedTask), next_page_token: NextPageToken, cursor: Cursor }),
  },
  problems: ['not_found', 'invalid_cursor'],
});

export const getTask = defineRoute({
  operationId: 'getTask',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}',
  summary: 'Read one task; with Prefer: wait, once it has finished or the wait is over.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  isWaitable: true,
  responses: { 200: TaskResponse },
  problems: ['not_found'],
});

export const patchTask = defineRoute({
  operationId: 'patchTask',
  method: 'patch',
  path: '/v1/boards/{board}/tasks/{task}',
  summary: 'Change a task; null clears a field. Its lane is changed by assign, its status by the verbs.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  body: PatchTaskBody,
  isConditional: true,
  responses: { 200: TaskResponse },
  problems: ['not_found', 'version_mismatch', 'already_exists'],
});

export const deleteTask = defineRoute({
  operationId: 'deleteTask',
  method: 'delete',
  path: '/v1/boards/{board}/tasks/{task}',
  summary:
    'Delete a task that nobody holds, and erase all that was ever written about it; its place in the log stays, without content.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 204: null },
  problems: ['not_found', 'illegal_transition'],
});

/** What every verb of an operator has in common. */
const taskVerb = {
  method: 'post',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 200: TaskResponse },
  problems: ['not_found', 'illegal_transition'],
} as const;

export const promoteTask = defineRoute({
  ...taskVerb,
  operationId: 'promoteTask',
  path: '/v1/boards/{board}/tasks/{task}/promote',
  summary: 'Let a task in triage or scheduled go on now; it still waits for its parents.',
  body: z.strictObject({}),
  isBodyOptional: true,
});

export const unblockTask = defineRoute({
  ...taskVerb,
  operationId: 'unblockTask',
  path: '/v1/boards/{board}/tasks/{task}/unblock',
  summary: 'Make a blocked task ready again; the answer is kept as a comment for the next attempt.',
  body: z.strictObject({ answer: absent(CommentBody) }),
  isBodyOptional: true,
});

export const cancelTask = defineRoute({
  ...taskVerb,
  operationId: 'cancelTask',
  path: '/v1/boards/{board}/tasks/{task}/cancel',
  summary:
    'Cancel at once when nobody holds the task; else ask the holder, and take the claim after the deadline.',
  body: CancelBody,
  isBodyOptional: true,
});

export const completeTask = defineRoute({
  ...taskVerb,
  operationId: 'completeTask',
  path: '/v1/boards/{board}/tasks/{task}/complete',
  summary: 'Complete a task that nobody holds; it gets a run of zero length.',
  body: OperatorCompleteBody,
  isBodyOptional: true,
});

export const reclaimTask = defineRoute({
  ...taskVerb,
  operationId: 'reclaimTask',
  path: '/v1/boards/{board}/tasks/{task}/reclaim',
  summary:
    'Take a running task back from whoever holds it, and reset its failures; it goes back to where it was claimed from.',
  body: z.strictObject({ reason: absent(Reason) }),
  isBodyOptional: true,
});

export const assignTask = defineRoute({
  ...taskVerb,
  operationId: 'assignTask',
  path: '/v1/boards/{board}/tasks/{task}/assign',
  summary: 'Give a task that nobody holds to another lane, and reset its failures.',
  body: z.strictObject({ lane: LaneName.nullable(), reason: absent(Reason) }),
});

export const archiveTask = defineRoute({
  ...taskVerb,
  operationId: 'archiveTask',
  path: '/v1/boards/{board}/tasks/{task}/archive',
  summary: 'Hide a task that nobody holds, and free its idempotency_key.',
  body: z.strictObject({}),
  isBodyOptional: true,
});

export const reopenTask = defineRoute({
  ...taskVerb,
  operationId: 'reopenTask',
  path: '/v1/boards/{board}/tasks/{task}/reopen',
  summary: 'Make a finished or archived task ready again, and reset its failures.',
  body: z.strictObject({}),
  isBodyOptional: true,
});

export const scheduleTask = defineRoute({
  ...taskVerb,
  operationId: 'scheduleTask',
  path: '/v1/boards/{board}/tasks/{task}/schedule',
  summary:
    'Let a task that nobody holds wait for a time; a time that has passed makes it ready within a second.',
  body: z.strictObject({ run_at: Timestamp }),
});

export const acceptTask = defineRoute({
  ...taskVerb,
  operationId: 'acceptTask',
  path: '/v1/boards/{board}/tasks/{task}/accept',
  summary: 'Let work that waits for review stand: the task is done.',
  body: z.strictObject({}),
  isBodyOptional: true,
});

export const requestTaskChanges = defineRoute({
  ...taskVerb,
  operationId: 'requestTaskChanges',
  path: '/v1/boards/{board}/tasks/{task}/request-changes',
  summary: 'Send work that waits for review back to the lane that did it; the next attempt reads the reason.',
  body: z.strictObject({ reason: Reason }),
});

export const addComment = defineRoute({
  operationId: 'addComment',
  method: 'post',
  path: '/v1/boards/{board}/tasks/{task}/comments',
  summary: 'Comment on a task; the next attempt reads it in its handoff.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  body: z.strictObject({ body: CommentBody }),
  isIdempotent: true,
  responses: { 201: z.object({ comment: Comment }) },
  problems: ['not_found', 'claim_lost', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const listComments = defineRoute({
  operationId: 'listComments',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/comments',
  summary: 'List the comments of a task, oldest first.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  query: PageQuery,
  responses: { 200: z.object({ comments: z.array(Comment), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});

export const listTaskRuns = defineRoute({
  operationId: 'listTaskRuns',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/runs',
  summary: 'List the runs of a task, first attempt first.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  query: PageQuery,
  responses: { 200: z.object({ runs: z.array(Run), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});
