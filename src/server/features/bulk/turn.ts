/**
 * One turn of an operation, in one transaction: its verb is done to the next few tasks, and its place moves. A task that refuses fails
 * alone. Tasks that nobody waits for are locked together and their rows written together; one that others wait for is done by itself
 * in between, since it moves those, and they may be next. Must never lock anything after the log has been written.
 */
import type { ProblemCode } from '../../../contract/problems.ts';
import { pinPlans, type Tx } from '../../db/client.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { KeyService } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import {
  countChildren,
  Deletion,
  type Erasure,
  type Family,
  familyOf,
  lockFamily,
  lockTasks,
  type OperationParts,
  type ReviewerMark,
} from '../tasks/service.ts';
import { GatheredWrites } from './gathered-writes.ts';
import { lazySavepoint } from './lazy-savepoint.ts';
import { mayGoOn } from './permission.ts';
import { lockRunning, type OperationRow, placeOf, readItems, recordItems, stopOperation } from './store.ts';
import { BULK_VERBS, type BulkVerb, markReviewer } from './verbs.ts';

/** Of one transaction: some 10 ms of locks on tasks that claims skip meanwhile; the counter row is held only at the end. */
export const ITEMS_MAX = 50;
/** Half of what the caller waits for the whole of it: what he has given up holds no locks for long. */
const STATEMENT_MS_MAX = 4000;
/** That wait for the tasks of one turn, and are locked as well; a task that alone has more is done by itself. */
const CHILDREN_MAX = 2000;

export interface TurnParts {
  readonly ids: IdSource;
  readonly keys: Pick<KeyService, 'livePrincipal'>;
  readonly erasure: Pick<Erasure, 'afterSeqOf'>;
}

/** What a turn takes on. */
export interface Portion {
  readonly itemsMax: number;
  /** Where it ends before that: with this one it is not begun yet. */
  readonly beforeId: Uuid | null;
  /** Not null: nothing is tried. The item at this place fails as this, unless another server has come further meanwhile. */
  readonly skipped: { readonly place: number; readonly code: ProblemCode } | null;
}

export interface TurnEnd {
  readonly isEnded: boolean;
  readonly isHolderAddressed: boolean;
}

interface ItemOutcome {
  readonly code: ProblemCode | null;
  readonly isHolderAddressed: boolean;
}

/** Null: it has ended, or another server has it. @param isPatient Waits for that one instead. */
export async function takeTurn(
  parts: TurnParts,
  tx: Tx,
  board: BoardRef,
  id: Uuid,
  { portion, isPatient }: { readonly portion: Portion; readonly isPatient: boolean },
): Promise<TurnEnd | null> {
  await pinPlans(tx);
  await tx`/* bulk.statement_timeout */ SELECT set_config('statement_timeout', ${`${STATEMENT_MS_MAX}ms`}, true)`;
  const operation = await lockRunning(tx, board.id, id, isPatient);
  if (operation === null) return null;
  if (!(await mayGoOn(tx, parts.keys, board, operation))) {
    await stopOperation(tx, board.id, id, { reason: 'unauthorised', actor: null });
    return { isEnded: true, isHolderAddressed: false };
  }
  const verb = BULK_VERBS[operation.action];
  const place = placeOf(operation);
  const rowsMax = verb.isAlone ? 1 : portion.itemsMax;
  const listed = upTo(portion.beforeId, await readItems(tx, board.id, id, place, rowsMax));
  // Another server has come as far meanwhile.
  if (listed.length === 0) return null;
  if (portion.skipped !== null) {
    const { code } = portion.skipped;
    if (portion.skipped.place !== place) return null;
    return record(
      tx,
      board,
      operation,
      listed.map(() => ({ code, isHolderAddressed: false })),
    );
  }
  const children = verb.isFamilyVerb ? await countChildren(tx, board.id, listed) : new Map<Uuid, number>();
  const taskIds = cut(listed, children);
  const parentIds = taskIds.filter((taskId) => children.has(taskId));
  const mark = await markReviewer(tx, board.id, operation, taskIds);
  const known = verb.isAlone ? null : await lockAll(tx, board.id, taskIds, parentIds);
  const items = new TurnItems({ parts, tx, board, operation, mark, verb }, known);
  return items.take(taskIds);
}

function upTo(beforeId: Uuid | null, ids: readonly Uuid[]): readonly Uuid[] {
  const end = beforeId === null ? -1 : ids.indexOf(beforeId);
  return end < 0 ? ids : ids.slice(0, end);
}

/** Those whose children are few enough to be locked with them; the first in any case. */
function cut(ids: readonly Uuid[], children: ReadonlyMap<Uuid, number>): readonly Uuid[] {
  let sum = 0;
  const end = ids.findIndex((id, index) => {
    sum += children.get(id) ?? 0;
    return index > 0 && sum > CHILDREN_MAX;
  });
  return end < 0 ? ids : ids.slice(0, end);
}

/** In the order of all tasks, before the first is worked on. */
async function lockAll(
  tx: Tx,
  boardId: number,
  ids: readonly Uuid[],
  parentIds: readonly Uuid[],
): Promise<Family> {
  const family = await lockFamily(tx, boardId, parentIds, ids);
  return family.size === 0 ? familyOf(await lockTasks(tx, boardId, ids)) : family;
}

async function record(
  tx: Tx,
  board: BoardRef,
  operation: OperationRow,
  outcomes: readonly ItemOutcome[],
): Promise<TurnEnd> {
  const codes = outcomes.map(({ code }) => code);
  await recordItems(tx, board.id, operation.id, { place: placeOf(operation), codes });
  return {
    isEnded: operation.succeeded + operation.failed + codes.length >= operation.total,
    isHolderAddressed: outcomes.some(({ isHolderAddressed }) => isHolderAddressed),
  };
}

interface TurnContext {
  readonly parts: TurnParts;
  readonly tx: Tx;
  readonly board: BoardRef;
  readonly operation: OperationRow;
  readonly mark: ReviewerMark;
  readonly verb: BulkVerb;
}

class TurnItems {
  readonly #context: TurnContext;
  readonly #writes = new GatheredWrites();
  /** As they are now, locked; null: the verb locks by itself. */
  #known: Family | null;

  constructor(context: TurnContext, known: Family | null) {
    this.#context = context;
    this.#known = known;
  }

  async take(taskIds: readonly Uuid[]): Promise<TurnEnd> {
    const { parts, tx, board, operation, mark } = this.#context;
    const deletion =
      operation.action === 'delete'
        ? await Deletion.begin(tx, board.id, (id) => parts.erasure.afterSeqOf(id))
        : null;
    const outcomes: ItemOutcome[] = [];
    for (const [index, id] of taskIds.entries()) {
      if (!this.#isParent(id)) {
        outcomes.push(await this.#try(id, deletion, this.#known));
        continue;
      }
      await this.#write(deletion);
      outcomes.push(await this.#try(id, deletion, null));
      this.#known = familyOf(await lockTasks(tx, board.id, taskIds.slice(index + 1)));
    }
    await this.#write(deletion);
    const end = await record(tx, board, operation, outcomes);
    await this.#writes.writeLog(tx, board.id, mark.isNew);
    await deletion?.finish();
    return end;
  }

  #isParent(id: Uuid): boolean {
    return this.#context.verb.isFamilyVerb && (this.#known?.get(id)?.has_children ?? false);
  }

  async #write(deletion: Deletion | null): Promise<void> {
    const { tx, board } = this.#context;
    await this.#writes.writeRows(tx, board.id);
    await deletion?.erase();
  }

  /**
   * One task by itself: what it has written is taken back when it refuses, and in a dry run in any case.
   * @param known null: it is to look for itself, and to write at once.
   */
  async #try(id: Uuid, deletion: Deletion | null, known: Family | null): Promise<ItemOutcome> {
    const { parts, board, operation, mark, verb } = this.#context;
    const { parameters, is_dry_run: isDryRun, actor_type: type, actor_id: actorId } = operation;
    const before = this.#writes.mark;
    const savepoint = lazySavepoint(this.#context.tx);
    const step: OperationParts = {
      tx: savepoint.tx,
      board,
      actor: { type, id: actorId },
      ids: parts.ids,
      append: this.#writes.append,
      ...(known === null ? {} : { known, move: this.#writes.move, write: this.#writes.write }),
    };
    let code: ProblemCode | null = null;
    let isHolderAddressed = false;
    try {
      isHolderAddressed = await verb.run({ parts: step, id, parameters, mark, deletion });
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      code = error.code;
    }
    if (code !== null || isDryRun) {
      this.#writes.cut(before);
      if (isDryRun) deletion?.forget();
      await savepoint.rollBack();
    }
    return { code, isHolderAddressed: isHolderAddressed && !isDryRun };
  }
}
