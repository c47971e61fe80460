/** Deliveries: outcomes on their way back to where the request came from. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import { Event } from './events.ts';
import {
  BoardName,
  DelegationId,
  DeliveryId,
  PageToken,
  SubscriptionId,
  TaskId,
  Timestamp,
} from './identifiers.ts';
import { Origin } from './origins.ts';
import { defineRoute } from './route.ts';
import { DELIVERY_MODES, DELIVERY_STATUSES, EventKind } from './statuses.ts';
import { DeliveryOwner, Subscription } from './subscriptions.ts';
import { absent, LimitParameter, NextPageToken, WordsParameter } from './values.ts';

/** What a gateway is given to send. */
export const LeasedDelivery = z
  .object({
    id: DeliveryId.describe('Stable over every attempt: whoever has seen it may drop it.'),
    lease_id: z.string(),
    lease_expires_at: Timestamp,
    attempt: z.int().describe('1 with the first.'),
    subscription: Subscription,
    mode: z.enum(DELIVERY_MODES),
    wake: z.boolean(),
    text: z.string(),
    is_fallback: z
      .boolean()
      .describe('A clean reply was wanted and could not be had: this is the direct text.'),
    events: z.array(Event).describe('What it tells about.'),
    origin: Origin,
  })
  .meta({ id: 'LeasedDelivery' });
export type LeasedDelivery = z.infer<typeof LeasedDelivery>;

/** As operators see it. */
export const Delivery = z
  .object({
    id: DeliveryId,
    board: BoardName,
    subscription_id: SubscriptionId,
    task_id: TaskId.nullable(),
    delegation_id: DelegationId.nullable(),
    kind: EventKind,
    seq: z.int().describe('Of the event that it tells about.'),
    mode: z.enum(DELIVERY_MODES),
    status: z.enum(DELIVERY_STATUSES),
    owner: z.string().nullable(),
    platform: z.string(),
    session_id: z.string().nullable(),
    attempt: z.int(),
    failures: z.int().describe('Counted ones in a row; 12 of them, and it is dead.'),
    due_at: Timestamp,
    lease_expires_at: Timestamp.nullable(),
    last_error: z.string().nullable(),
    message_id: z.string().nullable().describe("The platform's id of what was sent."),
    created_at: Timestamp,
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: 'Delivery' });
export type Delivery = z.infer<typeof Delivery>;

export const ClaimDeliveriesBody = z.strictObject({
  owner: absent(DeliveryOwner).describe('Only those of this owner; without it, only those of nobody.'),
  platforms: absent(
    z.array(z.string().min(1).max(LIMITS.originCharactersMax)).min(1).max(LIMITS.filterWordsMax),
  ),
  max: absent(z.int().min(1).max(LIMITS.claimsMax)).describe('Default 1; one of each session.'),
  lease_seconds: absent(z.int().min(1).max(LIMITS.deliveryLeaseSecondsMax)).describe('Default 60.'),
});
export type ClaimDeliveriesBody = z.infer<typeof ClaimDeliveriesBody>;

const LeaseId = z.string().min(1).max(64);
const DeliveryError = z.string().min(1).max(LIMITS.reasonCharactersMax);

export const AckDeliveryBody = z.strictObject({
  lease_id: LeaseId,
  success: absent(z.boolean()).describe('Default true; false is a nack.'),
  message_id: absent(z.string().min(1).max(LIMITS.originCharactersMax)),
  error: absent(DeliveryError),
});
export type AckDeliveryBody = z.infer<typeof AckDeliveryBody>;

export const NackDeliveryBody = z
  .strictObject({
    lease_id: LeaseId,
    error: absent(DeliveryError),
    permanent: absent(z.boolean()).describe('Trying again cannot help: it is dead at once.'),
    defer_seconds: absent(z.int().min(1).max(86_400)).describe(
      'The session is busy: again after this, and nothing is counted.',
    ),
  })
  .refine((body) => Boolean(body.error) || Boolean(body.defer_seconds), {
    path: ['error'],
    message: 'is needed, unless it is only deferred',
  })
  .refine((body) => !(body.permanent && body.defer_seconds), {
    path: ['permanent'],
    message: 'not together with defer_seconds',
  })
  .meta({ id: 'NackDeliveryBody' });
export type NackDeliveryBody = z.infer<typeof NackDeliveryBody>;

/** The id finds its board, as a run's does. */
const DeliveryParams = z.object({ delivery: DeliveryId });
const DeliveryResponse = z.object({ delivery: Delivery });

export const claimDeliveries = defineRoute({
  operationId: 'claimDeliveries',
  method: 'post',
  path: '/v1/boards/{board}/deliveries/claims',
  summary:
    'Take what is to be sent, oldest first, one of each session; with Prefer: wait, once there is something. What is neither acked nor nacked before its lease ends is given out again.',
  tag: 'deliveries',
  access: 'authenticated',
  params: BoardParams,
  body: ClaimDeliveriesBody,
  isBodyOptional: true,
  isWaitable: true,
  isIdempotent: true,
  responses: { 200: z.object({ deliveries: z.array(LeasedDelivery) }) },
  problems: ['not_found', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const ackDelivery = defineRoute({
  operationId: 'ackDelivery',
  method: 'post',
  path: '/v1/deliveries/{delivery}/ack',
  summary:
    'It was sent. Its text is now a message of the origin session. Again with the same lease: the same answer.',
  tag: 'deliveries',
  access: 'authenticated',
  params: DeliveryParams,
  body: AckDeliveryBody,
  responses: { 200: DeliveryResponse },
  problems: ['not_found', 'lease_lost'],
});

export const nackDelivery = defineRoute({
  operationId: 'nackDelivery',
  method: 'post',
  path: '/v1/deliveries/{delivery}/nack',
  summary: 'It could not be sent: again after a pause of 5 to 300 seconds, at most 12 times in a row.',
  tag: 'deliveries',
  access: 'authenticated',
  params: DeliveryParams,
  body: NackDeliveryBody,
  responses: { 200: DeliveryResponse },
  problems: ['not_found', 'lease_lost'],
});

export const listDeliveries = defineRoute({
  operationId: 'listDeliveries',
  method: 'get',
  path: '/v1/boards/{board}/deliveries',
  summary: 'List deliveries, newest first.',
  tag: 'deliveries',
  access: 'authenticated',
  params: BoardParams,
  query: z.strictObject({
    limit: LimitParameter,
    page_token: PageToken.optional(),
    status: WordsParameter.optional().describe('Comma-separated statuses.'),
    subscription_id: SubscriptionId.optional(),
  }),
  responses: { 200: z.object({ deliveries: z.array(Delivery), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});

export const retryDelivery = defineRoute({
  operationId: 'retryDelivery',
  method: 'post',
  path: '/v1/deliveries/{delivery}/retry',
  summary: 'Send a dead delivery, or one that is pausing, now; its failures count from zero.',
  tag: 'deliveries',
  access: 'authenticated',
  params: DeliveryParams,
  body: z.strictObject({}),
  isBodyOptional: true,
  responses: { 200: DeliveryResponse },
  problems: ['not_found', 'illegal_transition'],
});
