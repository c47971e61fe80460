/**
 * What a model of a board is made of: its tasks and claims, what is asked of it and what it answers, and where a verb may begin. Like the
 * model it is written from the specification alone.
 */
import type { BlockKind, TaskStatus } from '../../src/contract/statuses.ts';

export interface Said {
  readonly status: number;
  readonly code?: string;
  /** Of a lost claim, and of an empty one. */
  readonly reason?: string;
}

export const OK: Said = { status: 200 };
export const MADE: Said = { status: 201 };

export interface ModelClaim {
  readonly task: ModelTask;
  readonly runId: string;
  readonly token: string;
  readonly lane: string;
  readonly worker: string;
  readonly from: 'ready' | 'review';
  isCancelRequested: boolean;
  /** Once it is over: how, for whoever comes with its token. */
  lost: string | null;
  /** The very request that ended it. */
  endedBy: string | null;
}

export interface ModelTask {
  readonly id: string;
  status: TaskStatus;
  lane: string | null;
  priority: number;
  attempt: number;
  failures: number;
  violations: number;
  maxFailures: number;
  blocked: { kind: BlockKind | null; reason: string | null } | null;
  streak: { kind: string; length: number };
  /** Its work has been handed over: who is to look at it, and whose work it is. */
  review: { reviewer: string | null; lane: string | null; worker: string } | null;
  parents: Set<ModelTask>;
  /** It was made to wait for another one, at some time. */
  wasLinked: boolean;
  runAt: 'none' | 'future' | 'past';
  archivedFrom: TaskStatus | null;
  claim: ModelClaim | null;
  comments: number;
}

/** The domain's table: where a verb of a person may begin. */
const UNHELD = ['triage', 'todo', 'scheduled', 'ready', 'blocked', 'review'] as const;
export const MAY_BEGIN = {
  promote: ['triage', 'scheduled'],
  unblock: ['blocked'],
  schedule: ['triage', 'todo', 'scheduled', 'ready', 'blocked'],
  assign: UNHELD,
  complete: UNHELD,
  cancel: [...UNHELD, 'running'],
  archive: [...UNHELD, 'done', 'cancelled'],
  reopen: ['done', 'cancelled', 'archived'],
  accept: ['review'],
  'request-changes': ['review'],
  reclaim: ['running'],
} as const satisfies Record<string, readonly TaskStatus[]>;
export type PersonVerb = keyof typeof MAY_BEGIN;

export const mayBegin = (verb: PersonVerb, task: ModelTask): boolean =>
  (MAY_BEGIN[verb] as readonly TaskStatus[]).includes(task.status);

/** What a holder sends. */
export type WorkerEnd =
  | {
      readonly verb: 'complete';
      readonly review?: boolean;
      readonly reviewer?: string | null;
      readonly hasResult?: boolean;
    }
  | { readonly verb: 'request-changes' }
  | { readonly verb: 'block'; readonly kind: BlockKind | null; readonly reason: string }
  | { readonly verb: 'release'; readonly isDelayed: boolean }
  | {
      readonly verb: 'fail';
      readonly kind: 'error' | 'rate_limited' | 'protocol_violation';
      readonly isPermanent: boolean;
      readonly error: string;
    };

export interface NewModelTask {
  readonly id: string;
  readonly lane: string | null;
  readonly priority: number;
  readonly maxFailures: number;
  readonly status: 'ready' | 'triage' | 'blocked';
  readonly isLater: boolean;
  readonly parents: readonly ModelTask[];
}
