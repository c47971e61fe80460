/**
 * Prunes what boards keep for a time, on every server: the row of a board and kind is locked, one that another server has is left to it. Boards take
 * turns, and between two portions there is a pause half as long as the portion, so claims have a third of the time to themselves even when a whole
 * year is pruned at once. Must never wait long for anybody's lock, nor hold the counter row for more than its own update.
 *
 * One process that prunes for all would be the alternative, and a leader to lose; partitions by time would be dropped faster, but a board has
 * its own times, and its log is dense.
 */
import type { RetentionKind } from '../../../contract/retention.ts';
import type { Sql } from '../../db/client.ts';
import { BoardGoneError, isTooSlow } from '../../db/failures.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { pause } from '../../kernel/lifecycle.ts';
import { Pace } from '../../kernel/pace.ts';
import { Turns } from '../../kernel/turns.ts';
import { prunePortion } from './pruning.ts';
import { type DueRow, listDue } from './store/due.ts';

interface PrunerParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly onPruned: (kind: RetentionKind, rows: number) => void;
  /** Only tests make it smaller. */
  readonly rowsMax?: number;
}

/** Some 20 ms each where rows are ordinary. Of a task, and of output, a row is many. */
const ROWS_START: Readonly<Record<RetentionKind, number>> = {
  events: 2000,
  finished_tasks: 500,
  runs: 1000,
  output: 50,
  deliveries: 500,
  messages: 500,
};
/** From where portions start: where rows are small and the machine is idle, fewer and larger ones cost less. */
const ROWS_MAX_FACTOR = 4;
/** Locks on rows that hardly anybody wants, and a long snapshot for nobody: this is for the connection and the disk. */
const SLOW_MS = 200;
/** Of one statement. Far above what is slow: by then something else is wrong, and half as much is tried. */
const STATEMENT_MS_MAX = 2000;
/** One row must get through: as long as any statement may take. */
const SINGLE_STATEMENT_MS_MAX = 7000;
/** Of one board and kind in a sweep. */
const TURNS_PER_SWEEP_MAX = 10;
/** With the pauses. What is left is due still, and the next sweep is soon. */
const SWEEP_MS_MAX = 1000;
/** Due at once in a sweep; those that have waited longest. */
const DUE_PER_SWEEP_MAX = 200;
/** Boards and kinds that are under way; what is forgotten starts as it began. */
const PACES_MAX = 5000;
/** Of the time of the portion before it. A third of the time is everybody else's alone, and the rest is shared. */
const PAUSE_SHARE = 0.5;
/** On a machine that is busy all portions are slow, and the work that makes it so is what has to be kept up with. */
const PAUSE_MS_MAX = 100;

export class Pruner {
  readonly #parts: PrunerParts;
  readonly #paces = boundedCache<string, Pace>(PACES_MAX);
  /** One object for each that was ever in trouble or is under way: it is what turns are told by. */
  readonly #places = boundedCache<string, DueRow>(PACES_MAX);
  readonly #turns = new Turns<DueRow>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  constructor(parts: PrunerParts) {
    this.#parts = parts;
  }

  /** Called several times a second. */
  async sweep(signal: AbortSignal): Promise<void> {
    const found = await withinDeadline(listDue(this.#parts.sql, this.#turns.troubled, DUE_PER_SWEEP_MAX));
    const places = found.map((row) => this.#placeOf(row));
    await this.#turns.take(places, signal, async (place, patienceMs) => {
      const startedAt = performance.now();
      const hasMore = await this.#prune(place, patienceMs);
      const elapsedMs = performance.now() - startedAt;
      await pause(Math.min(elapsedMs * PAUSE_SHARE, PAUSE_MS_MAX), signal);
      return hasMore;
    });
  }

  #placeOf(row: DueRow): DueRow {
    const name = nameOf(row);
    const place = this.#places.get(name) ?? row;
    this.#places.set(name, place);
    return place;
  }

  #paceOf(row: DueRow): Pace {
    const name = nameOf(row);
    const known = this.#paces.get(name);
    if (known !== undefined) return known;
    const start = Math.min(ROWS_START[row.kind], this.#parts.rowsMax ?? Number.POSITIVE_INFINITY);
    const max = this.#parts.rowsMax ?? start * ROWS_MAX_FACTOR;
    const pace = new Pace({ start, max, slowMs: SLOW_MS });
    this.#paces.set(name, pace);
    return pace;
  }

  /** True: there may be more. */
  async #prune(place: DueRow, patienceMs: number): Promise<boolean> {
    const { sql, wake, onPruned } = this.#parts;
    const { board_id: boardId, kind } = place;
    const pace = this.#paceOf(place);
    const rowsMax = pace.size;
    const startedAt = performance.now();
    try {
      const statementMsMax = rowsMax === 1 ? SINGLE_STATEMENT_MS_MAX : STATEMENT_MS_MAX;
      const end = await impatientTransaction(sql, patienceMs, (tx) =>
        prunePortion(tx, boardId, kind, { rowsMax, statementMsMax }),
      );
      if (end === null) return false;
      pace.noteDone(end.pruned, performance.now() - startedAt);
      if (end.pruned > 0) onPruned(kind, end.pruned);
      if (end.hasEvents) wake.ring(boardId);
      return end.isCut;
    } catch (error) {
      // Deleted meanwhile, and what it had set with it.
      if (error instanceof BoardGoneError) return false;
      if (!isTooSlow(error) || rowsMax === 1) throw error;
      pace.noteGivenUp();
      return true;
    }
  }
}

function nameOf({ board_id, kind }: DueRow): string {
  return `${board_id} ${kind}`;
}
