/** Runs: the record of one attempt each, and the verbs by which the holder of a claim ends or renews it. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { BoardName, LaneName, MessageId, RunId, TaskId, Timestamp } from './identifiers.ts';
import { MessagesAckBody } from './messages.ts';
import { OutputBody, OutputReply } from './outputs.ts';
import { ProblemBody } from './problems.ts';
import { defineRoute } from './route.ts';
import { FAIL_KINDS, Outcome, WORKER_BLOCK_KINDS } from './statuses.ts';
import { Task } from './tasks.ts';
import { Actor, absent, JsonValue, Metadata, Reason, Summary } from './values.ts';

export const Run = z
  .object({
    run_id: RunId,
    board: BoardName,
    task_id: TaskId,
    attempt: z.int(),
    lane: LaneName.nullable(),
    worker: z.string().nullable(),
    outcome: Outcome.nullable().describe('null while the claim is held.'),
    started_at: Timestamp,
    ended_at: Timestamp.nullable(),
    ended_by: Actor.nullable(),
    summary: z.string().nullable(),
    result: z.json(),
    metadata: z.record(z.string(), z.json()),
    error: z.string().nullable(),
    checkpoint: z.json(),
    evidence: z.record(z.string(), z.json()).nullable().describe('What a verdict of the reaper rests on.'),
  })
  .meta({ id: 'Run' });
export type Run = z.infer<typeof Run>;

export const RunParams = z.object({ run: RunId });

const Seconds = z
  .int()
  .min(0)
  .max(86_400 * 30);

export const HeartbeatBody = z.strictObject({
  note: absent(z.string().min(1).max(LIMITS.reasonCharactersMax)),
  progress: absent(z.number()).describe(
    'Any rising number: counts as progress when it is higher than before.',
  ),
  checkpoint: absent(JsonValue).describe(
    'Kept on the run and given to the next attempt; counts as progress when it is new.',
  ),
  metadata: absent(Metadata),
  lease_seconds: absent(z.int().min(1).max(LIMITS.leaseSecondsMax)),
});
export type HeartbeatBody = z.infer<typeof HeartbeatBody>;

const Artifact = z
  .strictObject({
    name: z.string().min(1).max(255),
    url: absent(z.url({ protocol: /^https?$/ }).max(4096)),
    text: absent(z.string().max(LIMITS.taskBodyBytesMax)),
  })
  .meta({ id: 'Artifact' });

export const CompleteBody = z.strictObject({
  summary: absent(Summary),
  result: absent(JsonValue),
  metadata: absent(Metadata),
  artifacts: absent(z.array(Artifact).max(100)),
  review: absent(z.boolean()).describe(
    'true: the task is not done yet, somebody is to look at the work first.',
  ),
  reviewer: absent(LaneName).describe('With review: the lane that may claim it. Without one people decide.'),
});
export type CompleteBody = z.infer<typeof CompleteBody>;

export const RequestChangesBody = z.strictObject({ reason: Reason, metadata: absent(Metadata) });
export type RequestChangesBody = z.infer<typeof RequestChangesBody>;

export const BlockBody = z.strictObject({
  reason: Reason,
  kind: absent(z.enum(WORKER_BLOCK_KINDS)),
  metadata: absent(Metadata),
});
export type BlockBody = z.infer<typeof BlockBody>;

export const ReleaseBody = z.strictObject({
  reason: absent(Reason),
  delay_seconds: absent(Seconds),
  metadata: absent(Metadata),
});
export type ReleaseBody = z.infer<typeof ReleaseBody>;

export const FailBody = z.strictObject({
  error: z.string().min(1).max(LIMITS.summaryCharactersMax),
  kind: absent(z.enum(FAIL_KINDS)),
  retry_after_seconds: absent(Seconds),
  permanent: absent(z.boolean()),
  metadata: absent(Metadata),
});
export type FailBody = z.infer<typeof FailBody>;

const steeringMessage = z.object({ id: MessageId, text: z.string(), at: Timestamp });

export const HeartbeatReply = z
  .object({
    lease_expires_at: Timestamp,
    cancel_requested: z.boolean(),
    messages: z.array(steeringMessage),
    token: z.string().optional().describe('A fresh claim token, when under 20 % of the old one is left.'),
  })
  .meta({ id: 'HeartbeatReply' });
export type HeartbeatReply = z.infer<typeof HeartbeatReply>;

export const EndReply = z.object({ task: Task, run: Run }).meta({ id: 'EndReply' });
export type EndReply = z.infer<typeof EndReply>;

export const getRun = defineRoute({
  operationId: 'getRun',
  method: 'get',
  path: '/v1/runs/{run}',
  summary: 'Read one run.',
  tag: 'runs',
  access: 'authenticated',
  params: RunParams,
  responses: { 200: z.object({ run: Run }) },
  problems: ['not_found', 'not_your_claim'],
});

export const heartbeatRun = defineRoute({
  operationId: 'heartbeatRun',
  method: 'post',
  path: '/v1/runs/{run}/heartbeat',
  summary: 'Extend the lease of the claim, and hear of a cancel.',
  tag: 'runs',
  access: 'authenticated',
  params: RunParams,
  body: HeartbeatBody,
  isBodyOptional: true,
  responses: { 200: HeartbeatReply },
  // not_found: the board was deleted, and its claims with it.
  problems: ['not_found', 'claim_token_required', 'not_your_claim', 'claim_lost'],
});

export const appendOutput = defineRoute({
  operationId: 'appendOutput',
  method: 'post',
  path: '/v1/runs/{run}/output',
  summary:
    'Append lines to the output of the task. Not part of the log, and no sign of life: heartbeats are.',
  tag: 'runs',
  access: 'authenticated',
  params: RunParams,
  body: OutputBody,
  responses: { 200: OutputReply },
  problems: ['not_found', 'claim_token_required', 'not_your_claim', 'claim_lost'],
});

export const acknowledgeMessages = defineRoute({
  operationId: 'acknowledgeMessages',
  method: 'post',
  path: '/v1/runs/{run}/messages/ack',
  summary:
    'Acknowledge steering messages: they are not repeated. Ids of others, and of messages acknowledged before, are left alone and not counted.',
  tag: 'runs',
  access: 'authenticated',
  params: RunParams,
  body: MessagesAckBody,
  responses: { 200: z.object({ acknowledged: z.int().describe('Those that had not been before.') }) },
  problems: ['not_found', 'claim_token_required', 'not_your_claim', 'claim_lost'],
});

const runEnd = {
  method: 'post',
  tag: 'runs',
  access: 'authenticated',
  params: RunParams,
  responses: { 200: EndReply },
  // not_found: the board was deleted, and its claims with it.
  problems: ['not_found', 'claim_token_required', 'not_your_claim', 'claim_lost'],
} as const;

export const completeRun = defineRoute({
  ...runEnd,
  operationId: 'completeRun',
  path: '/v1/runs/{run}/complete',
  summary: 'End the claim: the task is done, or waits for its review.',
  body: CompleteBody,
  isBodyOptional: true,
});

export const requestRunChanges = defineRoute({
  ...runEnd,
  operationId: 'requestRunChanges',
  path: '/v1/runs/{run}/request-changes',
  summary:
    'End a claim that was taken from review: the work goes back to the lane that did it, with the reason.',
  body: RequestChangesBody,
  problems: [...runEnd.problems, 'illegal_transition'],
});

export const blockRun = defineRoute({
  ...runEnd,
  operationId: 'blockRun',
  path: '/v1/runs/{run}/block',
  summary: 'End the claim: the task needs something before it can go on.',
  body: BlockBody,
});

export const releaseRun = defineRoute({
  ...runEnd,
  operationId: 'releaseRun',
  path: '/v1/runs/{run}/release',
  summary: 'End the claim without a verdict: the task is ready again, now or after a delay. Not a failure.',
  body: ReleaseBody,
  isBodyOptional: true,
});

export const failRun = defineRoute({
  ...runEnd,
  operationId: 'failRun',
  path: '/v1/runs/{run}/fail',
  summary: 'End the claim: this attempt failed. Retried with backoff until the breaker opens.',
  body: FailBody,
});

export const RunToken = z.string().min(1).max(8192);
const token = RunToken;
export const RunOperation = z
  .discriminatedUnion('op', [
    HeartbeatBody.extend({ op: z.literal('heartbeat'), token }),
    CompleteBody.extend({ op: z.literal('complete'), token }),
    RequestChangesBody.extend({ op: z.literal('request-changes'), token }),
    BlockBody.extend({ op: z.literal('block'), token }),
    ReleaseBody.extend({ op: z.literal('release'), token }),
    FailBody.extend({ op: z.literal('fail'), token }),
    OutputBody.extend({ op: z.literal('output'), token }),
  ])
  .meta({ id: 'RunOperation' });
export type RunOperation = z.infer<typeof RunOperation>;

export const RunOperationResult = z
  .union([
    HeartbeatReply.extend({ ok: z.literal(true) }),
    EndReply.extend({ ok: z.literal(true) }),
    OutputReply.extend({ ok: z.literal(true) }),
    z.object({ ok: z.literal(false), problem: ProblemBody }),
  ])
  .meta({ id: 'RunOperationResult' });
export type RunOperationResult = z.infer<typeof RunOperationResult>;

export const batchRuns = defineRoute({
  operationId: 'batchRuns',
  method: 'post',
  path: '/v1/runs/batch',
  summary:
    'Up to 500 heartbeats and ends in one request, each authorised by its own claim token; one bad one harms no other.',
  tag: 'runs',
  access: 'authenticated',
  body: z.strictObject({ operations: z.array(RunOperation).min(1).max(LIMITS.batchOperationsMax) }),
  bodyBytesMax: LIMITS.batchBodyBytesMax,
  responses: { 200: z.object({ results: z.array(RunOperationResult) }) },
  problems: [],
});
