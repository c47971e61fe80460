/** One action on many tasks: done in the background, each task by itself, with progress and failures to read. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import { BoardName, LaneName, OperationId, TaskReference, Timestamp } from './identifiers.ts';
import { PROBLEM_CODES, type ProblemCode } from './problems.ts';
import { defineRoute } from './route.ts';
import { Actor, absent, Reason, WordsParameter } from './values.ts';

const BULK_ACTIONS = [
  'promote',
  'unblock',
  'cancel',
  'assign',
  'archive',
  'reopen',
  'reclaim',
  'schedule',
  'accept',
  'delete',
] as const;
export type BulkAction = (typeof BULK_ACTIONS)[number];

const STOP_REASONS = ['cancelled', 'unauthorised'] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** As a list of tasks has it: at most 50 names, and "-" for tasks without a lane. */
const LaneWords = z
  .string()
  .regex(/^(?:-|[a-z0-9][a-z0-9._-]{0,63})(?:,(?:-|[a-z0-9][a-z0-9._-]{0,63})){0,49}$/)
  .describe('Comma-separated lanes; "-" stands for tasks without one.')
  .meta({ id: 'LaneWords' });

const BulkFilter = z
  .strictObject({
    status: absent(WordsParameter),
    lane: absent(LaneWords),
    label: absent(WordsParameter),
    tenant: absent(WordsParameter),
    parent: absent(TaskReference),
    q: absent(z.string().min(1).max(200)),
    limit: absent(z.int().min(1).max(LIMITS.bulkTasksMax)).describe(
      'The oldest so many of them. Default: 100,000.',
    ),
  })
  .refine(
    ({ limit: _limit, ...named }) =>
      Object.values(named).some((value) => value !== undefined && value !== null),
    'must name something beside limit',
  )
  .describe('Written as in the list of tasks. What matches when the operation is made is what it is done to.')
  .meta({ id: 'BulkFilter' });
export type BulkFilter = z.infer<typeof BulkFilter>;

const BulkBody = z
  .strictObject({
    action: z.enum(BULK_ACTIONS).describe('delete takes an admin key.'),
    ids: absent(z.array(TaskReference).min(1).max(LIMITS.bulkIdsMax)).describe(
      'By id or external_ref. Either these or a filter.',
    ),
    filter: absent(BulkFilter),
    reason: absent(Reason).describe('For the events of cancel, assign, reclaim and delete.'),
    lane: LaneName.nullish().describe('With assign, and only there; null takes the tasks from their lanes.'),
    run_at: absent(Timestamp).describe('With schedule, and only there.'),
    dry_run: absent(z.boolean()).describe(
      'Change nothing, and say what would fail, each task judged by itself.',
    ),
  })
  .refine(({ ids, filter }) => Boolean(ids) !== Boolean(filter), {
    path: ['ids'],
    message: 'either ids or a filter is needed, and not both',
  })
  .refine(({ action, lane }) => (action === 'assign') === (lane !== undefined), {
    path: ['lane'],
    message: 'with action assign, and only there',
  })
  .refine(({ action, run_at }) => (action === 'schedule') === Boolean(run_at), {
    path: ['run_at'],
    message: 'with action schedule, and only there',
  })
  .meta({ id: 'BulkBody' });
export type BulkBody = z.infer<typeof BulkBody>;

export const Operation = z
  .object({
    id: OperationId,
    board: BoardName,
    action: z.enum(BULK_ACTIONS),
    dry_run: z.boolean(),
    status: z
      .enum(['running', 'done', 'stopped'])
      .describe(
        'stopped: it ended early; what it had done stays done, the rest was not touched, but for one: a task with a long history that was just being deleted may be archived, and some of its history gone.',
      ),
    stop_reason: z
      .enum(STOP_REASONS)
      .nullable()
      .describe(
        'cancelled: somebody asked for it; unauthorised: the key that made it was withdrawn, has expired, or may not do it any more.',
      ),
    stopped_by: Actor.nullable(),
    total: z.int().describe('Fixed when it was made.'),
    succeeded: z.int(),
    failed_count: z.int(),
    failed: z
      .array(
        z.object({
          id: z.string().describe('The task, or what was given for it when there is none.'),
          code: z.enum(PROBLEM_CODES as [ProblemCode, ...ProblemCode[]]),
        }),
      )
      .describe(`The first ${LIMITS.bulkFailuresListedMax}.`),
    created_by: Actor,
    created_at: Timestamp,
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: 'Operation' });
export type Operation = z.infer<typeof Operation>;

export const OperationResponse = z.object({ operation: Operation });

export const bulkTasks = defineRoute({
  operationId: 'bulkTasks',
  method: 'post',
  path: '/v1/boards/{board}/tasks/bulk',
  summary:
    'Do one thing to many tasks, named or found by a filter: in the background, oldest first, each task by itself.',
  tag: 'tasks',
  access: 'authenticated',
  params: BoardParams,
  body: BulkBody,
  isIdempotent: true,
  responses: { 202: OperationResponse },
  problems: ['not_found', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const cancelOperation = defineRoute({
  operationId: 'cancelOperation',
  method: 'post',
  path: '/v1/boards/{board}/operations/{operation}/cancel',
  summary:
    'Stop an operation on many tasks: what it has done stays done, the rest is left as it is, but for a task that was just being deleted (see status). One that has ended is shown as it is.',
  tag: 'tasks',
  access: 'authenticated',
  params: z.object({ board: BoardName, operation: OperationId }),
  body: z.strictObject({}),
  isBodyOptional: true,
  responses: { 200: OperationResponse },
  problems: ['not_found'],
});

export const getOperation = defineRoute({
  operationId: 'getOperation',
  method: 'get',
  path: '/v1/boards/{board}/operations/{operation}',
  summary:
    'How far an operation on many tasks has come; with Prefer: wait, once it is done or the wait is over.',
  tag: 'tasks',
  access: 'authenticated',
  params: z.object({ board: BoardName, operation: OperationId }),
  isWaitable: true,
  responses: { 200: OperationResponse },
  problems: ['not_found'],
});
