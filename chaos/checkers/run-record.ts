/**
 * What the history says about each run: who was given it, and what was written under it. Knows nothing of the log or the tables, so
 * that checkers can hold one against the other.
 */
import type { Outcome } from '../../src/contract/statuses.ts';
import type { AtMs, ClaimOperation, Operation, RunOperation } from '../history.ts';

/** One claim of an acknowledged answer, with the operation that brought it. */
export interface Grant {
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly operation: ClaimOperation;
  /** When it was acknowledged. */
  readonly endedAt: AtMs;
}

/** An acknowledged write, and the moment before which the server cannot have accepted it. */
export interface AcceptedWrite {
  readonly operation: RunOperation;
  readonly endedAt: AtMs;
  /**
   * When the same write was first asked for. An end may be repeated, and is answered again long after it counted; and the first try need
   * not have been acknowledged. So only this moment bounds the acceptance from below.
   */
  readonly notBefore: AtMs;
}

/** What the outcome of a run is when this verb ended it; the other writes end nothing. */
export const OUTCOMES_BY_END: Readonly<Partial<Record<RunOperation['kind'], Outcome>>> = {
  complete: 'completed',
  request_changes: 'changes_requested',
  fail: 'failed',
  release: 'released',
  block: 'blocked',
};

export function isEnd(operation: RunOperation): boolean {
  return OUTCOMES_BY_END[operation.kind] !== undefined;
}

export function isRunOperation(operation: Operation): operation is RunOperation {
  return 'runId' in operation;
}

export function listGrants(operations: readonly Operation[]): Grant[] {
  return operations.flatMap((operation) => {
    const { endedAt } = operation;
    if (operation.kind !== 'claim' || operation.ending !== 'ok' || endedAt === undefined) return [];
    return operation.claims.map((claim) => ({ ...claim, operation, endedAt }));
  });
}

export function listAcceptedWrites(operations: readonly Operation[]): AcceptedWrite[] {
  const writes = operations.filter(isRunOperation);
  const firstTries = new Map<string, AtMs>();
  const nameOf = ({ runId, kind }: RunOperation): string => `${runId} ${kind}`;
  for (const write of writes) {
    // A refused try had no effect: what came of the run, came of another.
    if (!isEnd(write) || write.ending === 'fail') continue;
    const known = firstTries.get(nameOf(write)) ?? Number.POSITIVE_INFINITY;
    firstTries.set(nameOf(write), Math.min(known, write.invokedAt));
  }
  return writes.flatMap((operation) => {
    const { endedAt, invokedAt } = operation;
    if (operation.ending !== 'ok' || endedAt === undefined) return [];
    return [{ operation, endedAt, notBefore: firstTries.get(nameOf(operation)) ?? invokedAt }];
  });
}
