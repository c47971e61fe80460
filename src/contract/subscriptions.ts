/** Subscriptions: to whom the outcome of a task or delegation is told. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import {
  BoardName,
  Cursor,
  DelegationId,
  PageToken,
  SubscriptionId,
  TaskId,
  TaskReference,
  Timestamp,
} from './identifiers.ts';
import { Origin, OriginBody } from './origins.ts';
import { defineRoute } from './route.ts';
import { DELIVERY_MODES, EventKind, ToldKind } from './statuses.ts';
import { Actor, absent, LimitParameter, NextPageToken } from './values.ts';

const Part = z.string().max(LIMITS.originCharactersMax);
/** The key of a target names a platform: an empty one would be nobody's. */
const Platform = Part.min(1);
export const DeliveryOwner = z.string().min(1).max(128);

const WebhookUrl = z.url().max(LIMITS.webhookUrlCharactersMax);
const WebhookSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'must be whsec_ and base64 of 24 to 64 bytes');

const WebhookBody = z
  .strictObject({
    url: WebhookUrl,
    secret: absent(WebhookSecret).describe(
      'Signs what is sent (Standard Webhooks). Without one the server makes it, and shows it this once. A new one is used beside the old one for a day.',
    ),
  })
  .meta({ id: 'WebhookBody' });

/** With something new, whose answer has no room for a secret that the server would have made. */
const NewWebhookBody = z
  .strictObject({ url: WebhookUrl, secret: WebhookSecret })
  .meta({ id: 'NewWebhookBody' });

/** How the outcome is told; what is left out or null keeps what the subscription has. */
const manner = {
  user_id: absent(Part),
  mode: absent(z.enum(DELIVERY_MODES)).describe(
    'Default: synthesize on the platforms that the board names for it, else direct. silent: the cursor advances, nothing is sent.',
  ),
  wake: absent(z.boolean()).describe(
    'Bring the text as a new turn rather than only show it. Default: true for delegations.',
  ),
  owner: absent(DeliveryOwner).describe("Whose gateway delivers it. Default: the board's default_owner."),
};

/** With a new task or delegation. */
export const SubscribeBody = z
  .strictObject({
    platform: Platform,
    chat_id: Part,
    thread_id: absent(Part),
    ...manner,
    webhook: absent(NewWebhookBody).describe('The server delivers there itself.'),
  })
  .meta({ id: 'SubscribeBody' });
export type SubscribeBody = z.infer<typeof SubscribeBody>;

export const PutSubscriptionBody = z
  .strictObject({
    task_id: absent(TaskReference),
    delegation_id: absent(DelegationId),
    platform: Platform,
    chat_id: absent(Part),
    thread_id: absent(Part),
    ...manner,
    webhook: absent(WebhookBody).describe('The server delivers there itself.'),
    kinds: absent(z.array(ToldKind).min(1).max(LIMITS.filterWordsMax)).describe(
      'Default: completed, review_requested, blocked, gave_up and cancelled of a task, completed of a delegation.',
    ),
    origin: absent(OriginBody),
  })
  .refine((body) => Boolean(body.task_id) !== Boolean(body.delegation_id), {
    path: ['task_id'],
    message: 'either task_id or delegation_id is needed, and not both',
  })
  .meta({ id: 'PutSubscriptionBody' });
export type PutSubscriptionBody = z.infer<typeof PutSubscriptionBody>;

export const Subscription = z
  .object({
    id: SubscriptionId,
    board: BoardName,
    task_id: TaskId.nullable(),
    delegation_id: DelegationId.nullable(),
    platform: z.string(),
    chat_id: z.string().describe('Empty where none was given, like thread_id.'),
    thread_id: z.string(),
    user_id: z.string().nullable(),
    mode: z.enum(DELIVERY_MODES),
    wake: z.boolean(),
    kinds: z.array(EventKind),
    origin: Origin,
    owner: z.string().nullable(),
    webhook: z
      .object({
        url: z.string(),
        secret: z
          .string()
          .optional()
          .describe('Only where the server has just made it; never in a replayed answer.'),
      })
      .nullable(),
    cursor: Cursor.describe('The last event that was told, or that was passed over in silence.'),
    created_by: Actor,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'Subscription' });
export type Subscription = z.infer<typeof Subscription>;

const SubscriptionParams = z.object({ board: BoardName, subscription: SubscriptionId });
const SubscriptionResponse = z.object({ subscription: Subscription });

export const putSubscription = defineRoute({
  operationId: 'putSubscription',
  method: 'put',
  path: '/v1/boards/{board}/subscriptions',
  summary:
    'Subscribe a target to a task or delegation, or change the subscription that it has: what is given wins, the rest stays.',
  tag: 'subscriptions',
  access: 'authenticated',
  params: BoardParams,
  body: PutSubscriptionBody,
  responses: { 200: SubscriptionResponse, 201: SubscriptionResponse },
  problems: ['not_found'],
});

export const listSubscriptions = defineRoute({
  operationId: 'listSubscriptions',
  method: 'get',
  path: '/v1/boards/{board}/subscriptions',
  summary: 'List subscriptions, newest first.',
  tag: 'subscriptions',
  access: 'authenticated',
  params: BoardParams,
  query: z.strictObject({
    limit: LimitParameter,
    page_token: PageToken.optional(),
    task_id: TaskReference.optional(),
    delegation_id: DelegationId.optional(),
  }),
  responses: { 200: z.object({ subscriptions: z.array(Subscription), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});

export const getSubscription = defineRoute({
  operationId: 'getSubscription',
  method: 'get',
  path: '/v1/boards/{board}/subscriptions/{subscription}',
  summary: 'Read one subscription.',
  tag: 'subscriptions',
  access: 'authenticated',
  params: SubscriptionParams,
  responses: { 200: SubscriptionResponse },
  problems: ['not_found'],
});

export const deleteSubscription = defineRoute({
  operationId: 'deleteSubscription',
  method: 'delete',
  path: '/v1/boards/{board}/subscriptions/{subscription}',
  summary: 'End a subscription; what it has not delivered yet is dropped.',
  tag: 'subscriptions',
  access: 'authenticated',
  params: SubscriptionParams,
  responses: { 204: null },
  problems: ['not_found'],
});
