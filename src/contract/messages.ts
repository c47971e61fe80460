/** Steering: what people and orchestrators tell the holder of a task while it works. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { MessageId, RunId, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { TaskParams } from './tasks.ts';
import { Actor } from './values.ts';

/** Where a message is: waiting, told to a holder, acknowledged by one, or too late for all of them. */
export const MESSAGE_STATES = ['queued', 'delivered', 'acknowledged', 'missed'] as const;

export const Message = z
  .object({
    id: MessageId,
    text: z.string(),
    at: Timestamp,
    state: z.enum(MESSAGE_STATES),
    author: Actor,
    run_id: RunId.nullable().describe('The run that was told last; null while nobody has been.'),
    delivered_at: Timestamp.nullable(),
    acknowledged_at: Timestamp.nullable(),
  })
  .meta({ id: 'Message' });
export type Message = z.infer<typeof Message>;

export const SteerBody = z.strictObject({
  message: z.string().min(1).max(LIMITS.messageCharactersMax).regex(/\S/, 'must not be blank'),
});
export type SteerBody = z.infer<typeof SteerBody>;

export const MessagesAckBody = z.strictObject({ ids: z.array(MessageId).min(1).max(LIMITS.messagesMax) });
export type MessagesAckBody = z.infer<typeof MessagesAckBody>;

export const steerTask = defineRoute({
  operationId: 'steerTask',
  method: 'post',
  path: '/v1/boards/{board}/tasks/{task}/steer',
  summary:
    'Tell the holder something: over its socket at once and in each heartbeat until it acknowledges; the next holder, while nobody works on it. A finished task misses it. rate_limited: too many wait to be acknowledged.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  body: SteerBody,
  isIdempotent: true,
  responses: { 201: z.object({ message: Message }) },
  problems: ['not_found', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const listMessages = defineRoute({
  operationId: 'listMessages',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/messages',
  summary:
    'Steering messages of a task with their delivery state, oldest first; of more than 500 the newest.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 200: z.object({ messages: z.array(Message) }) },
  problems: ['not_found'],
});
