/**
 * Takes apart what a task has gathered in a long life before it is deleted: a few rows a transaction, because a log of a hundred thousand
 * events is not emptied within the time that one transaction has. The task is archived first, so that nobody begins with one whose
 * history is half gone. What was erased stays erased: whoever goes on, after a restart or on another server, finds nothing more to write
 * there. Must never delete the task itself, nor touch one that somebody holds: both are the deletion's to decide.
 */
import { pinPlans, type Sql, type Tx } from '../../db/client.ts';
import { isTooSlow } from '../../db/failures.ts';
import { impatientTransaction, transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';
import { TaskOperation } from './operation.ts';
import { erasePortion, listLong, type Scrub } from './store/delete.ts';
import { lockTasks } from './store/link.ts';

interface ErasureParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
}

interface Errand {
  readonly board: BoardRef;
  readonly actor: ActorRef;
  /** For each lock; null: what any request has. */
  readonly patienceMs: number | null;
  /** No portion is begun after this, on the clock of performance.now(). */
  readonly deadlineMs: number;
  /** Asked in each portion before anything is locked; what it locks, stays so until the portion is written. */
  readonly isWanted?: (tx: Tx) => Promise<boolean>;
}

/** ready: what is left is little enough for one transaction. unfinished: time was up, ask again. unwanted: the errand is over. */
type Progress = 'ready' | 'unfinished' | 'unwanted';

/** Of each kind, in one transaction: some 20 ms. What has no more of any kind is deleted at once. */
const ROWS_MAX = 500;
/** After a portion that took too long: rows of a megabyte each, or a database that has other things to do. */
const SHRINK_FACTOR = 4;
/** After each that did not. */
const GROWTH_FACTOR = 2;
/** Where the erasing of a task has come to; forgotten, it is gone over again, which finds nothing to write. */
const PLACES_MAX = 10_000;
/** Nobody deletes one task for longer; a place must not outlive a database that was restored under the server. */
const PLACE_MS_MAX = 600_000;

interface Place {
  readonly afterSeq: number;
  readonly rowsMax: number;
}

const START: Place = { afterSeq: 0, rowsMax: ROWS_MAX };

export class Erasure {
  readonly #parts: ErasureParts;
  readonly #places = boundedCache<Uuid, Place>(PLACES_MAX, PLACE_MS_MAX);

  constructor(parts: ErasureParts) {
    this.#parts = parts;
  }

  /** From where on in the log events of the task may have words in them. */
  afterSeqOf(id: Uuid): number {
    return this.#placeOf(id).afterSeq;
  }

  /** Those of these that are to be prepared before they are deleted. */
  async listLong({ id: boardId }: BoardRef, ids: readonly Uuid[]): Promise<ReadonlySet<Uuid>> {
    const scrubs = ids.map((id) => this.#scrubOf(id));
    return new Set(await withinDeadline(listLong(this.#parts.sql, boardId, scrubs, ROWS_MAX)));
  }

  async prepare(errand: Errand, id: Uuid): Promise<Progress> {
    const { sql, wake } = this.#parts;
    const { board, patienceMs, deadlineMs } = errand;
    for (let portions = 0; performance.now() < deadlineMs; portions += 1) {
      if (!(await this.listLong(board, [id])).has(id)) return 'ready';
      const portion = (tx: Tx) => this.#portion(tx, errand, id);
      const { rowsMax } = this.#placeOf(id);
      try {
        const end = await (patienceMs === null
          ? transaction(sql, portion)
          : impatientTransaction(sql, patienceMs, portion));
        if (typeof end === 'string') return end;
        this.#places.set(id, { afterSeq: end, rowsMax: Math.min(ROWS_MAX, rowsMax * GROWTH_FACTOR) });
        // The first of them has archived it.
        if (portions === 0) wake.ring(board.id);
      } catch (error) {
        const { afterSeq } = this.#placeOf(id);
        if (!isTooSlow(error) || rowsMax === 1) throw error;
        this.#places.set(id, { afterSeq, rowsMax: Math.max(1, Math.floor(rowsMax / SHRINK_FACTOR)) });
      }
    }
    return 'unfinished';
  }

  /** Where it has come to. ready: the task is gone, or somebody holds it. */
  async #portion(
    tx: Tx,
    { board, actor, isWanted }: Errand,
    id: Uuid,
  ): Promise<number | 'ready' | 'unwanted'> {
    await pinPlans(tx);
    if (isWanted !== undefined && !(await isWanted(tx))) return 'unwanted';
    const [task] = await lockTasks(tx, board.id, [id]);
    if (task === undefined || task.status === 'running') return 'ready';
    const seq = await erasePortion(tx, board.id, this.#scrubOf(id), this.#placeOf(id).rowsMax);
    if (task.status !== 'archived') {
      const known = new Map([[id, task]]);
      const operation = await TaskOperation.begin({ tx, board, actor, ids: this.#parts.ids, known }, id);
      await operation?.archive();
    }
    return seq;
  }

  #placeOf(id: Uuid): Place {
    return this.#places.get(id) ?? START;
  }

  #scrubOf(id: Uuid): Scrub {
    return { id, afterSeq: this.afterSeqOf(id) };
  }
}
