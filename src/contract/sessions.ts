/** Sessions of an origin: what was delivered there, for whoever goes on with the conversation. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { BoardName, DelegationId, DeliveryId, PageToken, TaskId, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { LimitParameter, NextPageToken } from './values.ts';

export const SessionMessage = z
  .object({
    delivery_id: DeliveryId,
    at: Timestamp.describe('When its delivery was acked: the order of the messages.'),
    text: z.string(),
    task_id: TaskId.nullable(),
    delegation_id: DelegationId.nullable(),
    platform: z.string(),
    chat_id: z.string(),
    thread_id: z.string(),
    message_id: z.string().nullable().describe("The platform's id of what was sent."),
  })
  .meta({ id: 'SessionMessage' });
export type SessionMessage = z.infer<typeof SessionMessage>;

export const listSessionMessages = defineRoute({
  operationId: 'listSessionMessages',
  method: 'get',
  path: '/v1/boards/{board}/sessions/{session}/messages',
  summary: 'What was delivered to an origin session, oldest first.',
  tag: 'deliveries',
  access: 'authenticated',
  params: z.object({ board: BoardName, session: z.string().min(1).max(LIMITS.originCharactersMax) }),
  query: z.strictObject({ limit: LimitParameter, page_token: PageToken.optional() }),
  responses: { 200: z.object({ messages: z.array(SessionMessage), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});
