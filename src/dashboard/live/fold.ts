/**
 * What an event of the log makes of a card. Pure. Where an event does not say all that a card shows, `needsRead` asks for the task itself;
 * what is known is shown at once. An event that is older than the card (it was in the snapshot already) changes nothing.
 */
import type { Event } from '../../client/index.ts';
import type { Card, CardClaim, TaskStatus } from './card.ts';
import { numberOf as number, stringOf as text, timeOf as time } from './event-data.ts';

export type Folded =
  | { readonly type: 'unchanged' }
  | { readonly type: 'gone' }
  | { readonly type: 'card'; readonly card: Card; readonly needsRead: boolean };

const UNCHANGED: Folded = { type: 'unchanged' };

/** They come after the event of the end, with the same version, and say more of it. */
const REMARKS = new Set(['task.gave_up', 'task.triaged']);

/** They forgive failures, which not every event of these kinds says. */
const FORGIVING = new Set(['task.assigned', 'task.completed', 'task.unblocked', 'task.reopened']);
/** After them nobody reviews it. */
const REVIEW_ENDS = new Set(['task.completed', 'task.changes_requested', 'task.reopened']);
/** Work that is under review may wait in them, too: for a reviewer that has failed or is stuck. */
const REVIEW_HALTS = new Set<TaskStatus>(['scheduled', 'blocked', 'triage']);

type Data = Readonly<Record<string, unknown>>;

export function foldEvent(card: Card | undefined, event: Event): Folded {
  if (event.kind === 'task.created') return card === undefined ? created(event) : UNCHANGED;
  if (card === undefined) return UNCHANGED;
  if (event.kind === 'task.deleted') return { type: 'gone' };
  if (event.task_version !== undefined) {
    if (event.task_version < card.version) return UNCHANGED;
    if (event.task_version === card.version && !REMARKS.has(event.kind)) return UNCHANGED;
  }
  const moved = move(card, event);
  return { type: 'card', card: moved, needsRead: needsRead(moved, event) };
}

function created(event: Event): Folded {
  const { data } = event;
  const atMs = Date.parse(event.at);
  const card: Card = {
    id: event.task_id ?? '',
    title: text(data['title']) ?? '',
    status: (text(data['status_after']) ?? 'ready') as TaskStatus,
    lane: event.lane ?? null,
    priority: number(data['priority']) ?? 0,
    version: event.task_version ?? 1,
    attempt: event.attempt ?? 0,
    consecutiveFailures: 0,
    maxFailures: number(data['max_failures']) ?? 1,
    labels: (data['labels'] ?? {}) as Card['labels'],
    tenant: text(data['tenant']),
    externalRef: text(data['external_ref']),
    delegationId: event.delegation_id ?? null,
    unmetParents: 0,
    runAtMs: time(data['run_at']),
    reviewer: null,
    blocked: null,
    claim: null,
    summary: null,
    createdAtMs: atMs,
    statusSinceMs: atMs,
  };
  // How many parents are unmet, and why it is blocked, the event does not say.
  const isUntold = card.status === 'todo' || card.status === 'blocked' || 'parents' in data;
  return { type: 'card', card, needsRead: isUntold };
}

function move(card: Card, event: Event): Card {
  const { data } = event;
  const after = text(data['status_after']) as TaskStatus | null;
  const status = after ?? card.status;
  const failures = FORGIVING.has(event.kind) ? 0 : number(data['consecutive_failures']);
  return {
    ...card,
    ...laneAfter(event),
    ...(event.kind === 'task.updated' ? updated(data) : {}),
    status,
    version: event.task_version ?? card.version,
    // A remark that is older than the snapshot names an attempt that has passed.
    attempt: Math.max(event.attempt ?? 0, card.attempt),
    consecutiveFailures: failures ?? card.consecutiveFailures,
    statusSinceMs: status === card.status ? card.statusSinceMs : Date.parse(event.at),
    claim: claimAfter(card, event, status),
    blocked: status === 'blocked' ? blockedAfter(card, event) : null,
    runAtMs: runAtAfter(card, event, status),
    reviewer: reviewerAfter(card, event),
    summary: text(data['summary']) ?? card.summary,
  };
}

function laneAfter({ kind, lane, data }: Event): { lane?: string | null } {
  if ('lane_after' in data) return { lane: text(data['lane_after']) };
  return kind === 'task.assigned' ? { lane: lane ?? null } : {};
}

function updated(data: Data): Partial<Card> {
  const title = text(data['title']);
  const priority = number(data['priority']);
  const maxFailures = number(data['max_failures']);
  return {
    ...(title === null ? {} : { title }),
    ...(priority === null ? {} : { priority }),
    ...(maxFailures === null ? {} : { maxFailures }),
    ...('labels' in data ? { labels: (data['labels'] ?? {}) as Card['labels'] } : {}),
    ...('tenant' in data ? { tenant: text(data['tenant']) } : {}),
    ...('external_ref' in data ? { externalRef: text(data['external_ref']) } : {}),
  };
}

function claimAfter(card: Card, event: Event, status: TaskStatus): CardClaim | null {
  if (status !== 'running') return null;
  const { kind, data } = event;
  const before = card.claim;
  if (kind === 'task.claimed') {
    const claimedAtMs = Date.parse(event.at);
    return {
      runId: event.run_id ?? '',
      worker: event.worker ?? '',
      claimedAtMs,
      leaseExpiresAtMs: time(data['lease_expires_at']) ?? claimedAtMs,
      isCancelRequested: false,
      progress: null,
      note: null,
    };
  }
  // A heartbeat of another run, which the snapshot knows to be over.
  if (before === null || (event.run_id !== undefined && event.run_id !== before.runId)) return before;
  return {
    ...before,
    leaseExpiresAtMs: time(data['lease_expires_at']) ?? before.leaseExpiresAtMs,
    isCancelRequested: before.isCancelRequested || kind === 'task.cancel_requested',
    progress: number(data['progress']) ?? before.progress,
    note: text(data['note']) ?? before.note,
  };
}

function blockedAfter(card: Card, { kind, data }: Event): Card['blocked'] {
  if (kind === 'task.gave_up') return { kind: 'gave_up', reason: text(data['reason']) };
  if (card.status === 'blocked' && card.blocked !== null) return card.blocked;
  return { kind: text(data['kind']), reason: text(data['reason']) ?? text(data['error']) };
}

function reviewerAfter(card: Card, { kind, data }: Event): string | null {
  if (REVIEW_ENDS.has(kind)) return null;
  if (kind === 'task.assigned' && card.reviewer !== null) return text(data['lane']);
  return 'reviewer' in data ? text(data['reviewer']) : card.reviewer;
}

function runAtAfter(card: Card, { at, data }: Event, status: TaskStatus): number | null {
  if (status !== 'scheduled') return null;
  const delaySeconds = number(data['delay_seconds']);
  const given = time(data['run_at']);
  if (given !== null) return given;
  return delaySeconds === null ? card.runAtMs : Date.parse(at) + delaySeconds * 1000;
}

/** Kinds that change something of a card which they do not spell out. */
function needsRead(card: Card, { kind }: Event): boolean {
  if (kind === 'task.linked' || kind === 'task.unlinked') return true;
  // Whether the lane is its next reviewer depends on whether its work is under review.
  if (kind === 'task.assigned' && card.attempt > 0 && REVIEW_HALTS.has(card.status)) return true;
  if (card.status === 'todo' || card.status === 'review') return kind !== 'task.progress';
  if (card.status === 'blocked') return card.blocked?.reason == null;
  if (card.status === 'scheduled') return card.runAtMs === null;
  // A takeover's claim is another run's: told by task.claimed, which says all.
  return kind === 'task.unblocked' || kind === 'task.reopened';
}
