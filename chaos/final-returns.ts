/** What the database holds in the end of delegations, subscriptions and deliveries. */
import type postgres from 'postgres';
import type {
  DelegationStatus,
  DeliveryMode,
  DeliveryStatus,
  EventKind,
  TaskStatus,
} from '../src/contract/statuses.ts';
import { formatId } from '../src/server/kernel/ids.ts';

export interface FinalReturns {
  /** How many of one capacity key may run. */
  readonly delegationCapacity: number;
  readonly delegations: readonly FinalDelegation[];
  readonly subscriptions: readonly FinalSubscription[];
  readonly deliveries: readonly FinalDelivery[];
}

export interface FinalDelegation {
  readonly id: string;
  readonly goal: string | null;
  readonly status: DelegationStatus;
  readonly join: 'all' | 'any';
  readonly onDecided: 'cancel' | 'leave';
  readonly capacityKey: string | null;
  readonly sessionId: string | null;
  readonly deadlineAt: string | null;
  readonly completedAt: string | null;
  /** What is left of it is still to be cancelled. */
  readonly hasLeftovers: boolean;
  /** By place. */
  readonly taskIds: readonly string[];
  readonly results: readonly FinalResult[] | null;
}

export interface FinalResult {
  readonly taskId: string;
  readonly status: TaskStatus;
}

export interface FinalSubscription {
  readonly id: string;
  /** A task or delegation. */
  readonly subjectId: string;
  /** null: those that tell an outcome. */
  readonly kinds: readonly EventKind[] | null;
}

export interface FinalDelivery {
  readonly id: string;
  readonly subscriptionId: string;
  /** Of the event that it tells about. */
  readonly seq: number;
  readonly kind: EventKind;
  readonly mode: DeliveryMode;
  readonly status: DeliveryStatus;
  /** What goes out one at a time. */
  readonly sessionKey: string;
  readonly sessionId: string | null;
  readonly dueAt: string;
  readonly leaseExpiresAt: string | null;
  readonly synthesisDueAt: string | null;
  /** A reply was begun of it, whatever became of that. */
  readonly hasReply: boolean;
  readonly isFallback: boolean;
  readonly lastError: string | null;
  readonly finishedAt: string | null;
  /** How many messages of its session it is. */
  readonly messages: number;
}

interface DelegationRow {
  readonly id: string;
  readonly goal: string | null;
  readonly status: DelegationStatus;
  readonly join_mode: 'all' | 'any';
  readonly on_decided: 'cancel' | 'leave';
  readonly capacity_key: string | null;
  readonly session_id: string | null;
  readonly deadline_at: Date | null;
  readonly completed_at: Date | null;
  readonly has_leftovers: boolean;
  readonly task_ids: readonly string[];
  readonly results: readonly { readonly task_id: string; readonly status: TaskStatus }[] | null;
}

interface SubscriptionRow {
  readonly id: string;
  readonly subject_id: string;
  readonly is_delegation: boolean;
  readonly kinds: readonly EventKind[] | null;
}

interface DeliveryRow {
  readonly id: string;
  readonly subscription_id: string;
  readonly seq: number;
  readonly kind: EventKind;
  readonly mode: DeliveryMode;
  readonly status: DeliveryStatus;
  readonly session_key: string;
  readonly session_id: string | null;
  readonly due_at: Date;
  readonly lease_expires_at: Date | null;
  readonly synthesis_due_at: Date | null;
  readonly has_reply: boolean;
  readonly is_fallback: boolean;
  readonly last_error: string | null;
  readonly finished_at: Date | null;
  readonly messages: number;
}

/** In the snapshot of the rest. */
export async function readFinalReturns(tx: postgres.TransactionSql, boardId: number): Promise<FinalReturns> {
  const [settings] = await tx<{ capacity: number | null }[]>`
    SELECT (settings ->> 'delegation_capacity')::int AS capacity FROM boards WHERE id = ${boardId}`;
  const delegations = await tx<DelegationRow[]>`
    SELECT d.id, d.goal, d.status, d.join_mode, d.on_decided, d.capacity_key, d.session_id, d.deadline_at, d.completed_at, d.has_leftovers,
      to_json(ARRAY(
        SELECT task_id FROM delegation_tasks m WHERE m.board_id = d.board_id AND m.delegation_id = d.id ORDER BY place
      )) AS task_ids, d.results
    FROM delegations d WHERE d.board_id = ${boardId} ORDER BY d.id`;
  const subscriptions = await tx<SubscriptionRow[]>`
    SELECT id, subject_id, is_delegation, to_json(kinds) AS kinds FROM subscriptions WHERE board_id = ${boardId} ORDER BY id`;
  const deliveries = await tx<DeliveryRow[]>`
    SELECT d.id, d.subscription_id, d.seq::int, d.kind, d.mode, d.status, d.session_key, d.session_id, d.due_at, d.lease_expires_at,
      d.synthesis_due_at, d.synthesis_task_id IS NOT NULL AS has_reply, d.is_fallback, d.last_error, d.finished_at,
      (SELECT count(*)::int FROM session_messages m WHERE m.board_id = d.board_id AND m.delivery_id = d.id) AS messages
    FROM deliveries d WHERE d.board_id = ${boardId} ORDER BY d.seq, d.id`;
  return {
    delegationCapacity: settings?.capacity ?? DELEGATION_CAPACITY,
    delegations: delegations.map(delegationOf),
    subscriptions: subscriptions.map(subscriptionOf),
    deliveries: deliveries.map(deliveryOf),
  };
}

/** Of a board that says nothing else; pinned by the domain. */
const DELEGATION_CAPACITY = 3;

function delegationOf(row: DelegationRow): FinalDelegation {
  return {
    id: formatId('deleg', row.id),
    goal: row.goal,
    status: row.status,
    join: row.join_mode,
    onDecided: row.on_decided,
    capacityKey: row.capacity_key,
    sessionId: row.session_id,
    deadlineAt: row.deadline_at?.toISOString() ?? null,
    completedAt: row.completed_at?.toISOString() ?? null,
    hasLeftovers: row.has_leftovers,
    taskIds: row.task_ids.map((id) => formatId('task', id)),
    results: row.results?.map(({ task_id: taskId, status }) => ({ taskId, status })) ?? null,
  };
}

function subscriptionOf(row: SubscriptionRow): FinalSubscription {
  return {
    id: formatId('sub', row.id),
    subjectId: formatId(row.is_delegation ? 'deleg' : 'task', row.subject_id),
    kinds: row.kinds,
  };
}

function deliveryOf(row: DeliveryRow): FinalDelivery {
  return {
    id: formatId('dlv', row.id),
    subscriptionId: formatId('sub', row.subscription_id),
    seq: row.seq,
    kind: row.kind,
    mode: row.mode,
    status: row.status,
    sessionKey: row.session_key,
    sessionId: row.session_id,
    dueAt: row.due_at.toISOString(),
    leaseExpiresAt: row.lease_expires_at?.toISOString() ?? null,
    synthesisDueAt: row.synthesis_due_at?.toISOString() ?? null,
    hasReply: row.has_reply,
    isFallback: row.is_fallback,
    lastError: row.last_error,
    finishedAt: row.finished_at?.toISOString() ?? null,
    messages: row.messages,
  };
}
