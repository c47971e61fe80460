/** Delegations: a group of tasks with an origin and one consolidated completion. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import {
  BoardName,
  DelegationId,
  LaneName,
  PageToken,
  TaskId,
  TaskReference,
  Timestamp,
} from './identifiers.ts';
import { SteerBody } from './messages.ts';
import { Origin, OriginBody } from './origins.ts';
import { defineRoute } from './route.ts';
import { DELEGATION_STATUSES, Outcome, TaskStatus } from './statuses.ts';
import { SubscribeBody } from './subscriptions.ts';
import { CreateTaskBody } from './tasks.ts';
import {
  Actor,
  absent,
  LimitParameter,
  NextPageToken,
  Reason,
  textOfBytes,
  WordsParameter,
} from './values.ts';

const Goal = z.string().min(1).max(LIMITS.goalCharactersMax);
const DelegationContext = textOfBytes(LIMITS.taskBodyBytesMax);
const Model = z.string().min(1).max(255);
const Toolsets = z.array(z.string().min(1).max(100)).max(LIMITS.toolsetsMax);

/** A child: a task, and what a model is to be told about it. */
const DelegatedTaskBody = CreateTaskBody.omit({ origin: true, subscribe: true, title: true })
  .extend({
    title: absent(CreateTaskBody.shape.title).describe('Default: the beginning of its goal.'),
    goal: absent(Goal),
    context: absent(DelegationContext),
    toolsets: absent(Toolsets),
    model: absent(Model),
  })
  .refine((task) => Boolean(task.title) || Boolean(task.goal), {
    path: ['title'],
    message: 'a title or a goal is needed',
  })
  .meta({ id: 'DelegatedTaskBody' });
export type DelegatedTaskBody = z.infer<typeof DelegatedTaskBody>;

export const CreateDelegationBody = z
  .strictObject({
    goal: absent(Goal).describe('What all of it is for.'),
    context: absent(DelegationContext),
    tasks: z.array(DelegatedTaskBody).min(1).max(LIMITS.delegationTasksMax),
    join: absent(z.enum(['all', 'any'])).describe('any: one child that is done decides. Default all.'),
    deadline_seconds: absent(
      z
        .int()
        .min(1)
        .max(86_400 * 30),
    ).describe('It is decided then with what there is.'),
    on_blocked: absent(z.enum(['end', 'wait'])).describe('Whether a blocked child has ended. Default end.'),
    on_decided: absent(z.enum(['cancel', 'leave'])).describe(
      'What becomes of the children that have not ended by then. Default cancel.',
    ),
    capacity_key: absent(z.string().min(1).max(LIMITS.originCharactersMax)).describe(
      'What shares the limit of running delegations. Default: the session of the origin, else its chat; under a claim token, its task. Without any there is no limit.',
    ),
    origin: absent(OriginBody),
    subscribe: absent(z.union([z.literal(false), SubscribeBody])),
  })
  .meta({ id: 'CreateDelegationBody' });
export type CreateDelegationBody = z.infer<typeof CreateDelegationBody>;

/** One child, understandable by itself. Long parts are cut so that all of them fit; `truncated` names which. */
export const DelegationResult = z
  .object({
    task_id: TaskId,
    index: z.int().describe('Its place among the tasks, from 0.'),
    title: z.string(),
    goal: z.string().nullable(),
    context: z.string().nullable(),
    lane: LaneName.nullable(),
    toolsets: z.array(z.string()).nullable(),
    model: z.string().nullable(),
    status: TaskStatus.describe('When it was decided.'),
    outcome: z
      .union([Outcome, z.enum(['interrupted', 'unreachable', 'deleted'])])
      .nullable()
      .describe(
        "Its last run's. interrupted: it was still at work; unreachable: it waits for what was cancelled; null: nobody had begun.",
      ),
    summary: z.string().nullable(),
    result: z.json(),
    metadata: z.record(z.string(), z.json()),
    error: z.string().nullable(),
    output_preview: z.string().nullable().describe('The end of what it had put out.'),
    dispatched_at: Timestamp.nullable().describe('When its last run began.'),
    completed_at: Timestamp.nullable(),
    duration_seconds: z.number().nullable(),
    truncated: z.array(z.string()),
  })
  .meta({ id: 'DelegationResult' });
export type DelegationResult = z.infer<typeof DelegationResult>;

export const Delegation = z
  .object({
    id: DelegationId,
    board: BoardName,
    status: z.enum(DELEGATION_STATUSES),
    goal: z.string().nullable(),
    context: z.string().nullable(),
    origin: Origin.nullable(),
    join: z.enum(['all', 'any']),
    on_blocked: z.enum(['end', 'wait']),
    on_decided: z.enum(['cancel', 'leave']),
    capacity_key: z.string().nullable(),
    depth: z.int().describe('1; one more under the claim of a child.'),
    deadline_at: Timestamp.nullable(),
    tasks: z.array(TaskId),
    results: z
      .array(DelegationResult)
      .nullable()
      .describe('In task order, once it is decided; null in lists: ask for the one.'),
    text: z
      .string()
      .nullable()
      .describe(
        'All of it as one block, as it is told where it returns to, once it is decided; null in lists.',
      ),
    reason: z.string().nullable().describe('Why it was cancelled, or that its deadline passed.'),
    created_by: Actor,
    created_at: Timestamp,
    completed_at: Timestamp.nullable(),
  })
  .meta({ id: 'Delegation' });
export type Delegation = z.infer<typeof Delegation>;

const DelegationParams = z.object({ board: BoardName, delegation: DelegationId });
const DelegationResponse = z.object({ delegation: Delegation });

/** illegal_transition: the cancel of the claim that it comes under is requested. */
export const createDelegation = defineRoute({
  operationId: 'createDelegation',
  method: 'post',
  path: '/v1/boards/{board}/delegations',
  summary:
    'Hand over work: all of its tasks at once, or none when the capacity is used up. Returns at once; one delegation.completed follows.',
  tag: 'delegations',
  access: 'authenticated',
  params: BoardParams,
  body: CreateDelegationBody,
  bodyBytesMax: LIMITS.batchBodyBytesMax,
  hasOrigin: true,
  isIdempotent: true,
  responses: { 202: DelegationResponse },
  problems: [
    'not_found',
    'already_exists',
    'delegation_capacity',
    'claim_lost',
    'illegal_transition',
    'origin_not_allowed',
    'idempotency_in_flight',
    'idempotency_mismatch',
  ],
});

export const listDelegations = defineRoute({
  operationId: 'listDelegations',
  method: 'get',
  path: '/v1/boards/{board}/delegations',
  summary: 'List delegations, newest first, without their results.',
  tag: 'delegations',
  access: 'authenticated',
  params: BoardParams,
  query: z.strictObject({
    limit: LimitParameter,
    page_token: PageToken.optional(),
    status: WordsParameter.optional().describe('Comma-separated statuses.'),
    session_id: z.string().min(1).max(LIMITS.originCharactersMax).optional(),
  }),
  responses: { 200: z.object({ delegations: z.array(Delegation), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});

export const getDelegation = defineRoute({
  operationId: 'getDelegation',
  method: 'get',
  path: '/v1/boards/{board}/delegations/{delegation}',
  summary: 'Read one; with Prefer: wait, once it is decided or the wait is over (collect).',
  tag: 'delegations',
  access: 'authenticated',
  params: DelegationParams,
  isWaitable: true,
  responses: { 200: DelegationResponse },
  problems: ['not_found'],
});

export const steerDelegation = defineRoute({
  operationId: 'steerDelegation',
  method: 'post',
  path: '/v1/boards/{board}/delegations/{delegation}/steer',
  summary: 'Tell something to the children that have not ended, or to one of them.',
  tag: 'delegations',
  access: 'authenticated',
  params: DelegationParams,
  body: SteerBody.extend({ task_id: absent(TaskReference) }),
  isIdempotent: true,
  responses: {
    200: z.object({
      queued: z.int().describe('Children that get it.'),
      missed: z.int().describe('Children that had ended.'),
    }),
  },
  problems: ['not_found', 'claim_lost', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const cancelDelegation = defineRoute({
  operationId: 'cancelDelegation',
  method: 'post',
  path: '/v1/boards/{board}/delegations/{delegation}/cancel',
  summary:
    'Decide it as cancelled, with what its children have so far, and cancel them. One that is decided stays as it is.',
  tag: 'delegations',
  access: 'authenticated',
  params: DelegationParams,
  body: z.strictObject({ reason: absent(Reason) }),
  isBodyOptional: true,
  responses: { 200: DelegationResponse },
  problems: ['not_found', 'claim_lost'],
});

export const cancelDelegations = defineRoute({
  operationId: 'cancelDelegations',
  method: 'post',
  path: '/v1/boards/{board}/delegations/cancel',
  summary: 'Cancel all running delegations of an origin session.',
  tag: 'delegations',
  access: 'authenticated',
  params: BoardParams,
  body: z.strictObject({
    session_id: z.string().min(1).max(LIMITS.originCharactersMax),
    reason: absent(Reason),
  }),
  responses: { 200: z.object({ cancelled: z.array(DelegationId) }) },
  problems: ['not_found'],
});
