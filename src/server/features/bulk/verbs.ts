/** What each action does to one task: the very verbs that a request for that task runs. */
import type { BulkAction } from '../../../contract/bulk.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { reclaimWithin } from '../claims/service.ts';
import { deleteTask, type OperationParts, TaskOperation, taskNotFound } from '../tasks/service.ts';
import type { BulkParameters } from './store.ts';

export interface Step {
  readonly parts: OperationParts;
  readonly id: Uuid;
  readonly parameters: BulkParameters;
}

export interface BulkVerb {
  /** It may move those that wait for the task: they are locked together with it. */
  readonly isFamilyVerb: boolean;
  /** Of one transaction. */
  readonly itemsMax: number;
  /** Resolves to whether the task's holder is to be told something. */
  readonly run: (step: Step) => Promise<boolean>;
}

/** Some 100 ms of locks on tasks that claims skip meanwhile; the counter row is held only at the end. */
const ITEMS_MAX = 50;
/** Each of them may have a thousand that wait for it, locked as well. */
const FAMILY_ITEMS_MAX = 20;
/** Writes to the log by itself, after which nothing may be locked. */
const ENDING_ITEMS_MAX = 1;

function verb(
  act: (operation: TaskOperation, parameters: BulkParameters) => Promise<void>,
  isFamilyVerb = false,
): BulkVerb {
  const run = async ({ parts, id, parameters }: Step): Promise<boolean> => {
    const operation = await TaskOperation.begin(parts, id, isFamilyVerb);
    if (operation === null) throw taskNotFound(formatId('task', id));
    await act(operation, parameters);
    return operation.isHolderAddressed;
  };
  return { isFamilyVerb, itemsMax: isFamilyVerb ? FAMILY_ITEMS_MAX : ITEMS_MAX, run };
}

export const BULK_VERBS: Readonly<Record<BulkAction, BulkVerb>> = {
  promote: verb((operation) => operation.promote()),
  unblock: verb((operation) => operation.unblock(null)),
  cancel: verb((operation, { reason }) => operation.cancel(reason, null)),
  assign: verb((operation, { lane, reason }) => operation.assign(lane, reason)),
  archive: verb((operation) => operation.archive()),
  reopen: verb((operation) => operation.reopen(), true),
  schedule: verb((operation, { runAt }) => operation.schedule(present(runAt, 'the contract asks for it'))),
  accept: verb((operation) => operation.accept(), true),
  reclaim: {
    isFamilyVerb: false,
    itemsMax: ENDING_ITEMS_MAX,
    run: async ({ parts: { tx, board, actor }, id, parameters: { reason } }) => {
      await reclaimWithin(tx, board, { id, reference: formatId('task', id), reason, actor });
      return false;
    },
  },
  delete: {
    isFamilyVerb: true,
    itemsMax: FAMILY_ITEMS_MAX,
    run: async ({ parts, id, parameters: { reason } }) => {
      if (!(await deleteTask(parts, id, reason))) throw taskNotFound(formatId('task', id));
      return false;
    },
  },
};
