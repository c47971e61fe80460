/** What each action does to one task: the very verbs that a request for that task runs. */
import type { BulkAction } from '../../../contract/bulk.ts';
import type { Tx } from '../../db/client.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { reclaimWithin } from '../claims/service.ts';
import {
  type Deletion,
  MARKED,
  markReviewerOf,
  type OperationParts,
  type ReviewerMark,
  TaskOperation,
  taskNotFound,
} from '../tasks/service.ts';
import type { BulkParameters, OperationRow } from './store.ts';

export interface Step {
  readonly parts: OperationParts;
  readonly id: Uuid;
  readonly parameters: BulkParameters;
  /** Of the lane that the tasks are given to. */
  readonly mark: ReviewerMark;
  /** What the transaction deletes; null: nothing. */
  readonly deletion: Deletion | null;
}

/** Before any of the tasks is locked. A dry run marks nothing, as nothing else would take it back. */
export async function markReviewer(
  tx: Tx,
  boardId: number,
  { action, parameters, is_dry_run: isDryRun }: OperationRow,
  taskIds: readonly Uuid[],
): Promise<ReviewerMark> {
  if (action !== 'assign' || isDryRun) return MARKED;
  return markReviewerOf(tx, boardId, taskIds, parameters.lane);
}

export interface BulkVerb {
  /** It may move those that wait for the task: they are locked together with it. */
  readonly isFamilyVerb: boolean;
  /** It locks the task by itself, and writes what becomes of it at once, but for the log. */
  readonly isAlone: boolean;
  /** Resolves to whether the task's holder is to be told something. */
  readonly run: (step: Step) => Promise<boolean>;
}

function verb(
  act: (operation: TaskOperation, parameters: BulkParameters, mark: ReviewerMark) => Promise<void>,
  isFamilyVerb = false,
): BulkVerb {
  const run = async ({ parts, id, parameters, mark }: Step): Promise<boolean> => {
    const operation = await TaskOperation.begin(parts, id, isFamilyVerb);
    if (operation === null) throw taskNotFound(formatId('task', id));
    await act(operation, parameters, mark);
    return operation.isHolderAddressed;
  };
  return { isFamilyVerb, isAlone: false, run };
}

export const BULK_VERBS: Readonly<Record<BulkAction, BulkVerb>> = {
  promote: verb((operation) => operation.promote()),
  unblock: verb((operation) => operation.unblock(null)),
  cancel: verb((operation, { reason }) => operation.cancel(reason, null)),
  assign: verb((operation, { lane, reason }, mark) => operation.assign(lane, reason, mark)),
  archive: verb((operation) => operation.archive()),
  reopen: verb((operation) => operation.reopen(), true),
  schedule: verb((operation, { runAt }) => operation.schedule(present(runAt, 'the contract asks for it'))),
  accept: verb((operation) => operation.accept(), true),
  reclaim: {
    isFamilyVerb: false,
    isAlone: true,
    run: async ({ parts: { tx, board, actor, append }, id, parameters: { reason } }) => {
      await reclaimWithin(tx, board, { id, reference: formatId('task', id), reason, actor, append });
      return true;
    },
  },
  delete: {
    isFamilyVerb: true,
    isAlone: false,
    run: async ({ parts, id, parameters: { reason }, deletion }) => {
      const change = await present(deletion, 'it is begun for this verb').decide(parts, id, reason);
      if (change === null) throw taskNotFound(formatId('task', id));
      await parts.append?.(change);
      return false;
    },
  },
};
