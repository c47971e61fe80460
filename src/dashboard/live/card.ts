/** A task as the board keeps it in mind: what a card shows and what it is sorted and filtered by. Times are milliseconds since 1970. */
import type { Task } from '../../client/index.ts';

export type TaskStatus = Task['status'];

/** Who holds it. */
export interface CardClaim {
  readonly runId: string;
  readonly worker: string;
  readonly claimedAtMs: number;
  readonly leaseExpiresAtMs: number;
  readonly isCancelRequested: boolean;
  /** 0 to 1 or any rising number, as the worker says it; null: it has not. */
  readonly progress: number | null;
  readonly note: string | null;
}

export interface Card {
  readonly id: string;
  readonly title: string;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly priority: number;
  readonly version: number;
  readonly attempt: number;
  readonly consecutiveFailures: number;
  readonly maxFailures: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly tenant: string | null;
  readonly externalRef: string | null;
  readonly delegationId: string | null;
  readonly unmetParents: number;
  readonly runAtMs: number | null;
  readonly reviewer: string | null;
  readonly blocked: { readonly kind: string | null; readonly reason: string | null } | null;
  readonly claim: CardClaim | null;
  readonly summary: string | null;
  readonly createdAtMs: number;
  readonly statusSinceMs: number;
}

const msOf = (time: string | null): number | null => (time === null ? null : Date.parse(time));

export function cardOf(task: Task): Card {
  const { claim } = task;
  return {
    id: task.id,
    title: task.title,
    status: task.status,
    lane: task.lane,
    priority: task.priority,
    version: task.version,
    attempt: task.attempt,
    consecutiveFailures: task.consecutive_failures,
    maxFailures: task.max_failures,
    labels: task.labels,
    tenant: task.tenant,
    externalRef: task.external_ref,
    delegationId: task.delegation_id,
    unmetParents: task.unmet_parents,
    runAtMs: msOf(task.run_at),
    reviewer: task.reviewer,
    blocked: task.blocked,
    claim:
      claim === null
        ? null
        : {
            runId: claim.run_id,
            worker: claim.worker,
            claimedAtMs: Date.parse(claim.claimed_at),
            leaseExpiresAtMs: Date.parse(claim.lease_expires_at),
            isCancelRequested: claim.cancel_requested,
            progress: claim.progress,
            note: null,
          },
    summary: task.summary,
    createdAtMs: Date.parse(task.created_at),
    statusSinceMs: Date.parse(task.status_since),
  };
}

/** What events told of a claim that is still the same one and a read does not say, or says as it was earlier. */
export function withTold(before: Card | undefined, read: Card): Card {
  const told = before?.claim ?? null;
  if (told === null || read.claim === null || told.runId !== read.claim.runId) return read;
  return {
    ...read,
    claim: {
      ...read.claim,
      note: read.claim.note ?? told.note,
      progress: read.claim.progress ?? told.progress,
      leaseExpiresAtMs: Math.max(read.claim.leaseExpiresAtMs, told.leaseExpiresAtMs),
      isCancelRequested: read.claim.isCancelRequested || told.isCancelRequested,
    },
  };
}
