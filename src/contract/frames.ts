/** Frames of the watch socket, `/v1/boards/{board}/watch`, subprotocol lanekeeper.v1: JSON text frames. */
import { z } from 'zod';
import { Claim } from './claims.ts';
import { LIMITS } from './constants.ts';
import { Event } from './events.ts';
import { Cursor, LaneName, RunId, TaskId, Timestamp, WorkerName } from './identifiers.ts';
import { Message, MessagesAckBody } from './messages.ts';
import { OutputBody, OutputLine } from './outputs.ts';
import { ProblemBody } from './problems.ts';
import {
  BlockBody,
  CompleteBody,
  FailBody,
  HeartbeatBody,
  ReleaseBody,
  RequestChangesBody,
  RunToken,
} from './runs.ts';
import { absent } from './values.ts';

export const FRAME_ID_CHARACTERS_MAX = 64;
/** Chosen by the client and echoed in every answer. */
const FrameId = z.string().min(1).max(FRAME_ID_CHARACTERS_MAX);
const filter = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(LIMITS.filterWordsMax).nullish();

export const WatchFrame = z.strictObject({
  type: z.literal('watch'),
  id: FrameId,
  after: Cursor.nullish().describe('A cursor, "start", or "now" (the default).'),
  lanes: filter(LaneName),
  tasks: filter(TaskId),
  kinds: filter(z.string().min(1).max(64)),
  output: absent(z.boolean()).describe('true: also what workers of matching tasks print, live.'),
});
export type WatchFrame = z.infer<typeof WatchFrame>;

const UnwatchFrame = z.strictObject({ type: z.literal('unwatch'), id: FrameId });

export const HelloFrame = z.strictObject({
  type: z.literal('hello'),
  id: FrameId,
  lane: LaneName,
  worker: WorkerName,
  version: z.string().min(1).max(64).nullish(),
  tokens: absent(z.boolean()).describe(
    'false: pushed claims come without a token, and the socket itself is the proof for their ends. Default true.',
  ),
  crash_on_disconnect: absent(z.boolean()).describe(
    'true: when this socket closes, what was pushed to it and is still held is taken at once, as crashed. Default false.',
  ),
});
export type HelloFrame = z.infer<typeof HelloFrame>;

export const CreditFrame = z.strictObject({
  type: z.literal('credit'),
  id: FrameId,
  lane: LaneName,
  credits: z
    .int()
    .min(0)
    .describe(
      `How many more tasks the server may claim for this worker, from now on; 0 stops it, more than ${LIMITS.creditsMax} is ${LIMITS.creditsMax}.`,
    ),
});
export type CreditFrame = z.infer<typeof CreditFrame>;

const ClaimAckFrame = z.strictObject({ type: z.literal('claim_ack'), run_id: RunId });

/** A verb of the holder: the fields of its REST body, and which run it is about. */
const runFrame = { id: FrameId, run_id: RunId, token: absent(RunToken) };
export const RunFrame = z.discriminatedUnion('type', [
  HeartbeatBody.extend({ type: z.literal('heartbeat'), ...runFrame }),
  CompleteBody.extend({ type: z.literal('complete'), ...runFrame }),
  BlockBody.extend({ type: z.literal('block'), ...runFrame }),
  RequestChangesBody.extend({ type: z.literal('request-changes'), ...runFrame }),
  ReleaseBody.extend({ type: z.literal('release'), ...runFrame }),
  FailBody.extend({ type: z.literal('fail'), ...runFrame }),
  OutputBody.extend({ type: z.literal('output'), ...runFrame }),
  MessagesAckBody.extend({ type: z.literal('ack'), ...runFrame }),
]);
export type RunFrame = z.infer<typeof RunFrame>;

export const ClientFrame = z.discriminatedUnion('type', [
  WatchFrame,
  UnwatchFrame,
  HelloFrame,
  CreditFrame,
  ClaimAckFrame,
  ...RunFrame.options,
]);
export type ClientFrame = z.infer<typeof ClientFrame>;

/** As in the answer to a claim request, but for a worker that said `tokens: false` without the token. */
export const PushedClaim = Claim.extend({ token: Claim.shape.token.optional() });
export type PushedClaim = z.infer<typeof PushedClaim>;

export const ServerFrame = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('watching'), id: FrameId, cursor: Cursor }),
  z.looseObject({
    type: z.literal('events'),
    id: FrameId,
    events: z.array(Event),
    cursor: Cursor,
    partial: z
      .literal(true)
      .optional()
      .describe('It ends inside a transaction that is larger than a frame; the rest follows.'),
  }),
  z.looseObject({ type: z.literal('bookmark'), id: FrameId, cursor: Cursor }),
  z.looseObject({ type: z.literal('available'), lane: LaneName, ready: z.int() }),
  z.looseObject({
    type: z.literal('output'),
    id: FrameId,
    task_id: TaskId,
    run_id: RunId,
    number: OutputLine.shape.number.optional().describe('Of the first of these lines; absent without lines.'),
    lines: z.array(OutputLine.shape.text),
    dropped: z
      .int()
      .optional()
      .describe('Lines of the task before these that this watch does not get; absent: none.'),
  }),
  z.looseObject({ type: z.literal('claim'), claim: PushedClaim }),
  z.looseObject({
    type: z.literal('cancel'),
    run_id: RunId,
    deadline_at: Timestamp,
    reason: z.string().nullable(),
  }),
  z.looseObject({
    type: z.literal('steer'),
    run_id: RunId,
    message: Message.pick({ id: true, text: true, at: true }),
  }),
  z.looseObject({
    type: z.literal('taken_over'),
    lane: LaneName,
    worker: WorkerName.describe('Who has the lane now.'),
  }),
  z.looseObject({
    type: z.literal('reply'),
    id: FrameId,
    ok: z.boolean(),
    problem: ProblemBody.optional().describe('Only with ok: false.'),
  }),
  z.looseObject({
    type: z.literal('error'),
    id: FrameId.optional(),
    run_id: RunId.optional().describe(
      'Of a claim that was taken from this socket, or whose claim_ack came too late.',
    ),
    code: z.string(),
    title: z.string(),
    detail: z.string(),
    fatal: z.boolean(),
  }),
  z.looseObject({ type: z.literal('drain'), reconnect_after_ms: z.int() }),
]);
export type ServerFrame = z.infer<typeof ServerFrame>;
