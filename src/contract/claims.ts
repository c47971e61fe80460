/** Claims: a live hold on a task, and the reply that hands it over. */
import { z } from 'zod';
import { LaneParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import {
  Cursor,
  DelegationId,
  LaneName,
  RunId,
  TaskId,
  TaskReference,
  Timestamp,
  WorkerName,
} from './identifiers.ts';
import { Lane } from './lanes.ts';
import { defineRoute } from './route.ts';
import { EMPTY_CLAIM_REASONS, Outcome, TAKEOVER_MODES } from './statuses.ts';
import { Comment, Task } from './tasks.ts';
import { absent } from './values.ts';

/** What earlier attempts and people left for this one; lists are capped and `truncated` names what was left out. */
export const Handoff = z
  .object({
    parents: z.array(
      z.object({ task_id: TaskId, title: z.string(), summary: z.string().nullable(), result: z.json() }),
    ),
    comments: z.array(Comment),
    attempts: z.array(
      z.object({
        run_id: RunId,
        attempt: z.int(),
        lane: LaneName.nullable(),
        worker: z.string().nullable(),
        outcome: Outcome,
        started_at: Timestamp,
        ended_at: Timestamp,
        summary: z.string().nullable(),
        result: z.json().describe('null also where it was too large: `truncated` says so.'),
        error: z.string().nullable(),
        checkpoint: z
          .json()
          .describe('The latest is always whole; of earlier ones, null also where it was too large.'),
        metadata: z.record(z.string(), z.json()).describe('Empty also where it was too large.'),
      }),
    ),
    review: z.string().nullable(),
    delegation: z
      .object({
        id: DelegationId,
        index: z.int().describe('Its place in the delegation, from 0.'),
        total: z.int(),
        delegation_goal: z.string().nullable().describe('Of the whole delegation.'),
        delegation_context: z.string().nullable().describe('Of the whole delegation.'),
        goal: z.string().nullable(),
        context: z.string().nullable(),
        toolsets: z.array(z.string()).nullable(),
        model: z.string().nullable(),
      })
      .nullable()
      .describe('What it was handed over with; null: it is not of a delegation.'),
    messages: z.array(z.object({ id: z.string(), text: z.string(), at: Timestamp })),
    truncated: z.array(z.string()).describe('Names of the parts that were cut.'),
  })
  .meta({ id: 'Handoff' });
export type Handoff = z.infer<typeof Handoff>;

export const Claim = z
  .object({
    run_id: RunId,
    task: Task,
    lane: LaneName,
    worker: z.string(),
    attempt: z.int(),
    token: z.string().describe('JWT that speaks for this claim only.'),
    claimed_at: Timestamp,
    lease_expires_at: Timestamp,
    heartbeat_interval_seconds: z.number().describe('A third of the lease.'),
    handoff: Handoff,
    traceparent: z.string().nullable().describe('W3C Trace Context of the request that created the task.'),
  })
  .meta({ id: 'Claim' });
export type Claim = z.infer<typeof Claim>;

export const ClaimTasksBody = z.strictObject({
  max: absent(z.int().min(1).max(LIMITS.claimsMax)),
  task_id: absent(TaskReference),
  worker: absent(WorkerName).describe('Default: the id of the key.'),
  lease_seconds: absent(z.int().min(1).max(LIMITS.leaseSecondsMax)).describe("Default: the lane's."),
  crash_on_disconnect: absent(z.boolean()).describe(
    'true: when the socket of this worker closes, the claim is taken at once, as crashed, instead of at the end of its lease.',
  ),
});
export type ClaimTasksBody = z.infer<typeof ClaimTasksBody>;

export const claimTasks = defineRoute({
  operationId: 'claimTasks',
  method: 'post',
  path: '/v1/boards/{board}/lanes/{lane}/claims',
  summary:
    'Claim ready tasks of the lane, highest priority first, then oldest; with Prefer: wait, once there are some.',
  tag: 'claims',
  access: 'authenticated',
  params: LaneParams,
  body: ClaimTasksBody,
  isBodyOptional: true,
  isWaitable: true,
  isIdempotent: true,
  responses: {
    200: z.object({
      claims: z.array(Claim),
      cursor: Cursor,
      reason: z.enum(EMPTY_CLAIM_REASONS).optional().describe('Why claims is empty.'),
    }),
  },
  problems: [
    'not_found',
    'lane_not_found',
    'lane_may_not_claim',
    'claim_mode_mismatch',
    'task_not_claimable',
    'idempotency_in_flight',
    'idempotency_mismatch',
  ],
});

export const TakeoverBody = z.strictObject({
  mode: z
    .enum(TAKEOVER_MODES)
    .describe(
      "What becomes of the claims of the lane's other workers: given back (release), re-issued to this worker (adopt), or left to their leases (expire).",
    ),
  worker: WorkerName.describe('The worker that takes over.'),
});
export type TakeoverBody = z.infer<typeof TakeoverBody>;

export const takeOverLane = defineRoute({
  operationId: 'takeOverLane',
  method: 'post',
  path: '/v1/boards/{board}/lanes/{lane}/takeover',
  summary:
    'Take a lane over from its other workers: its epoch rises, and their claims are fenced. A lane key may while no other worker of the lane is online.',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  body: TakeoverBody,
  isIdempotent: true,
  responses: {
    200: z.object({
      lane: Lane,
      claims: z.array(Claim).describe('The adopted claims; empty for the other modes.'),
      remaining: z
        .int()
        .describe(
          'Claims of other workers that are too many for one takeover and were left alone; mostly 0. Take over again for them.',
        ),
    }),
  },
  problems: [
    'not_found',
    'lane_not_found',
    'lane_may_not_claim',
    'idempotency_in_flight',
    'idempotency_mismatch',
  ],
});
