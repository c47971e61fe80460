/** The closed vocabularies of the domain. */
import { z } from 'zod';

export const TASK_STATUSES = [
  'triage',
  'todo',
  'scheduled',
  'ready',
  'running',
  'blocked',
  'review',
  'done',
  'cancelled',
  'archived',
] as const;
export const TaskStatus = z.enum(TASK_STATUSES).meta({ id: 'TaskStatus' });
export type TaskStatus = z.infer<typeof TaskStatus>;

/** Terminal for the claim protocol; only an archive or reopen moves them on. */
export const FINISHED_STATUSES: readonly TaskStatus[] = ['done', 'cancelled', 'archived'];

export const OUTCOMES = [
  'completed',
  'changes_requested',
  'blocked',
  'released',
  'failed',
  'crashed',
  'timed_out',
  'reclaimed',
  'cancelled',
] as const;
export const Outcome = z.enum(OUTCOMES).meta({ id: 'Outcome' });
export type Outcome = z.infer<typeof Outcome>;

/** Why a task is blocked. The first four may be given by a worker; gave_up is the breaker's; operator a person's. */
export const BLOCK_KINDS = [
  'needs_input',
  'dependency',
  'capability',
  'transient',
  'gave_up',
  'operator',
] as const;
export const BlockKind = z.enum(BLOCK_KINDS).meta({ id: 'BlockKind' });
export type BlockKind = z.infer<typeof BlockKind>;

export const WORKER_BLOCK_KINDS = ['needs_input', 'dependency', 'capability', 'transient'] as const;
export const FAIL_KINDS = ['error', 'rate_limited', 'protocol_violation'] as const;
export type FailKind = (typeof FAIL_KINDS)[number];

export const LANE_KINDS = ['persistent', 'spawn', 'human'] as const;
export const CLAIM_MODES = ['pull-or-watch', 'pull', 'watch', 'push'] as const;
/** What a takeover does with the claims of the lane's other workers. */
export const TAKEOVER_MODES = ['release', 'adopt', 'expire'] as const;
export type TakeoverMode = (typeof TAKEOVER_MODES)[number];
export const STATUS_MUTATIONS = ['own-claimed-only', 'none'] as const;

export const EVENT_KINDS = [
  'task.created',
  'task.updated',
  'task.assigned',
  'task.triaged',
  'task.todo',
  'task.scheduled',
  'task.ready',
  'task.claimed',
  'task.heartbeat',
  'task.progress',
  'task.completed',
  'task.review_requested',
  'task.changes_requested',
  'task.blocked',
  'task.unblocked',
  'task.released',
  'task.failed',
  'task.crashed',
  'task.timed_out',
  'task.reclaimed',
  'task.gave_up',
  'task.cancel_requested',
  'task.cancelled',
  'task.reopened',
  'task.archived',
  'task.deleted',
  'task.commented',
  'task.linked',
  'task.unlinked',
  'task.steered',
  'task.stranded',
  'lane.registered',
  'lane.updated',
  'lane.online',
  'lane.offline',
  'lane.paused',
  'lane.resumed',
  'lane.draining',
  'lane.taken_over',
  'lane.deregistered',
  'delegation.created',
  'delegation.completed',
  'delegation.cancelled',
  'subscription.created',
  'subscription.updated',
  'subscription.deleted',
  'delivery.acked',
  'delivery.dead',
  'board.created',
  'board.updated',
] as const;
export const EventKind = z.enum(EVENT_KINDS).meta({ id: 'EventKind' });
export type EventKind = z.infer<typeof EventKind>;

/**
 * What a subscription can name. Of the rest some are no subject's, some are over before anybody can subscribe to it (created) or when nobody
 * does any more (deleted); claims are logged in a statement that many share, which would pay for a look at the subscriptions.
 */
export const ToldKind = EventKind.extract([
  'task.updated',
  'task.assigned',
  'task.triaged',
  'task.todo',
  'task.scheduled',
  'task.ready',
  'task.heartbeat',
  'task.progress',
  'task.completed',
  'task.review_requested',
  'task.changes_requested',
  'task.blocked',
  'task.unblocked',
  'task.released',
  'task.failed',
  'task.crashed',
  'task.timed_out',
  'task.reclaimed',
  'task.gave_up',
  'task.cancel_requested',
  'task.cancelled',
  'task.reopened',
  'task.archived',
  'task.commented',
  'task.linked',
  'task.unlinked',
  'task.steered',
  'task.stranded',
  'delegation.completed',
  'delegation.cancelled',
]).meta({ id: 'ToldKind' });
export type ToldKind = z.infer<typeof ToldKind>;

export const DELEGATION_STATUSES = ['running', 'completed', 'partial', 'failed', 'cancelled'] as const;
export type DelegationStatus = (typeof DELEGATION_STATUSES)[number];

/** direct: the text of the outcome; synthesize: a reply made of it; silent: nothing is sent. */
export const DELIVERY_MODES = ['direct', 'synthesize', 'silent'] as const;
export type DeliveryMode = (typeof DELIVERY_MODES)[number];

/** pending: to be sent, now or after a pause; synthesizing: its text is being made; leased: with a gateway. */
export const DELIVERY_STATUSES = ['pending', 'synthesizing', 'leased', 'acked', 'dead'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export const ROLES = ['admin', 'orchestrator', 'observer', 'lane'] as const;
export const Role = z.enum(ROLES).meta({ id: 'Role' });
export type Role = z.infer<typeof Role>;

/** Why an empty claim is empty. */
export const EMPTY_CLAIM_REASONS = [
  'none_ready',
  'board_paused',
  'lane_paused',
  'lane_draining',
  'at_capacity',
] as const;
export type EmptyClaimReason = (typeof EMPTY_CLAIM_REASONS)[number];

/** What became of a claim that a run no longer holds. */
export const CLAIM_LOST_REASONS = [
  'superseded',
  'crashed',
  'timed_out',
  'reclaimed',
  'cancelled',
  'released',
  'ended',
] as const;
export type ClaimLostReason = (typeof CLAIM_LOST_REASONS)[number];
