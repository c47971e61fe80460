/** Tasks: what is on a board, and what people and orchestrators do with it. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import {
  BoardName,
  CommentId,
  DelegationId,
  ExternalRef,
  LaneName,
  RunId,
  TaskId,
  TaskReference,
  Timestamp,
} from './identifiers.ts';
import { Origin, OriginBody } from './origins.ts';
import { BlockKind, TaskStatus } from './statuses.ts';
import { SubscribeBody } from './subscriptions.ts';
import { Actor, absent, JsonValue, Labels, Metadata, Reason, Summary, textOfBytes } from './values.ts';

const TaskClaim = z
  .object({
    run_id: RunId,
    lane: LaneName,
    worker: z.string(),
    attempt: z.int(),
    claimed_at: Timestamp,
    lease_expires_at: Timestamp,
    cancel_requested: z.boolean(),
    progress: z.number().nullable().describe('What its heartbeats said last; null: nothing yet.'),
  })
  .meta({ id: 'TaskClaim' });

const Backoff = z
  .strictObject({
    base_seconds: absent(z.number().min(0).max(86_400)),
    factor: absent(z.number().min(1).max(100)),
    cap_seconds: absent(
      z
        .number()
        .min(0)
        .max(86_400 * 30),
    ),
  })
  .meta({ id: 'Backoff' });

export const Task = z
  .object({
    id: TaskId,
    board: BoardName,
    title: z.string(),
    body: z.string().nullable(),
    status: TaskStatus,
    lane: LaneName.nullable(),
    priority: z.int(),
    payload: z.json(),
    result: z.json(),
    summary: z.string().nullable(),
    metadata: z.record(z.string(), z.json()).describe("The last ended run's metadata."),
    labels: z.record(z.string(), z.string()),
    tenant: z.string().nullable(),
    external_ref: z.string().nullable(),
    idempotency_key: z.string().nullable(),
    version: z.int(),
    attempt: z.int().describe('Rises with every claim: the fencing token.'),
    consecutive_failures: z.int(),
    max_failures: z.int(),
    max_runtime_seconds: z.int().nullable(),
    no_progress_seconds: z.int().nullable(),
    backoff: z.object({ base_seconds: z.number(), factor: z.number(), cap_seconds: z.number() }),
    run_at: Timestamp.nullable(),
    unmet_parents: z.int().describe('How many of the tasks that it waits for are not done.'),
    reviewer: LaneName.nullable().describe(
      'Of work under review: the lane that may claim it; null: people decide.',
    ),
    blocked: z.object({ kind: BlockKind.nullable(), reason: z.string().nullable() }).nullable(),
    claim: TaskClaim.nullable(),
    delegation_id: DelegationId.nullable(),
    origin: Origin.nullable(),
    comment_count: z.int(),
    created_by: Actor,
    created_at: Timestamp,
    updated_at: Timestamp,
    status_since: Timestamp,
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: 'Task' });
export type Task = z.infer<typeof Task>;

const Title = z.string().min(1).max(LIMITS.titleCharactersMax);
const TaskBody = textOfBytes(LIMITS.taskBodyBytesMax);
const Priority = z.int().min(-LIMITS.priorityMax).max(LIMITS.priorityMax);
const Seconds = z.int().min(1).max(LIMITS.leaseSecondsMax);
const MaxFailures = z.int().min(1).max(1000);
const Tenant = z.string().min(1).max(128);

/** Fields that a task is created with and that PATCH may change later. */
const changeable = {
  body: absent(TaskBody),
  priority: absent(Priority),
  payload: absent(JsonValue),
  max_failures: absent(MaxFailures),
  max_runtime_seconds: absent(Seconds),
  no_progress_seconds: absent(Seconds),
  backoff: absent(Backoff),
  tenant: absent(Tenant),
  labels: absent(Labels),
  external_ref: absent(ExternalRef),
};

/** A task of the board, or an earlier entry of the same batch. */
const ParentReference = z.union([z.string().regex(/^#(0|[1-9][0-9]{0,2})$/), TaskReference]);

export const CreateTaskBody = z
  .strictObject({
    title: Title,
    lane: absent(LaneName),
    run_at: absent(Timestamp).describe('In the future: the task is scheduled and becomes ready then.'),
    status: absent(z.enum(['ready', 'triage', 'blocked'])),
    idempotency_key: absent(z.string().min(1).max(255)),
    parents: absent(z.array(ParentReference).max(LIMITS.parentsMax)).describe(
      'Tasks that must be done first. In a batch "#0" is its first entry; only earlier ones may be named.',
    ),
    origin: absent(OriginBody).describe(
      'Not under a claim token. The header Lanekeeper-Origin wins over it.',
    ),
    subscribe: absent(z.union([z.literal(false), SubscribeBody])).describe(
      'Who is told the outcome. Default: the origin, where it is routable; false: nobody. Not under a claim token.',
    ),
    ...changeable,
  })
  .meta({ id: 'CreateTaskBody' });
export type CreateTaskBody = z.infer<typeof CreateTaskBody>;

export const PatchTaskBody = z
  .strictObject({ title: Title.optional(), ...changeable })
  .meta({ id: 'PatchTaskBody' });
export type PatchTaskBody = z.infer<typeof PatchTaskBody>;

export const TASK_ORDERS = ['-created', 'created', 'priority'] as const;

export const TaskParams = z.object({ board: BoardName, task: TaskReference });
export const TaskResponse = z.object({ task: Task });

export const Comment = z
  .object({ id: CommentId, body: z.string(), author: Actor, at: Timestamp })
  .meta({ id: 'Comment' });

export const CommentBody = textOfBytes(LIMITS.commentBytesMax).min(1);

export const CancelBody = z.strictObject({
  reason: absent(Reason),
  deadline_seconds: absent(z.int().min(0).max(86_400)).describe(
    'How long a running claim may take to stop. Default 30.',
  ),
});

export const OperatorCompleteBody = z.strictObject({
  summary: absent(Summary),
  result: absent(JsonValue),
  metadata: absent(Metadata),
});
