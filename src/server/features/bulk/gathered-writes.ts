/**
 * What the verbs of one transaction write to the rows of their own tasks and to the log, gathered: written verb by verb, each task would
 * cost round trips of its own, and the counter row would be held while the next task is worked on, and every claim and end of the board
 * would wait for that. The log is the last statement of all.
 */
import type { Tx } from '../../db/client.ts';
import { type NewEvent, raiseConfigVersion, type StatusCounts } from '../../db/event-log.ts';
import type { Uuid } from '../../kernel/ids.ts';
import {
  addCounts,
  appendChange,
  moveTasks,
  type TaskChange,
  type TaskMove,
  type TasksWrite,
} from '../tasks/service.ts';

/** How much had been gathered at some moment. */
interface Mark {
  readonly changes: number;
  readonly moves: number;
  readonly others: number;
}

interface OtherWrite {
  readonly write: TasksWrite;
  readonly id: Uuid;
}

export class GatheredWrites {
  #changes: TaskChange[] = [];
  #moves: TaskMove[] = [];
  #others: OtherWrite[] = [];

  get mark(): Mark {
    return { changes: this.#changes.length, moves: this.#moves.length, others: this.#others.length };
  }

  readonly append = (change: TaskChange): Promise<void> => {
    this.#changes.push(change);
    return Promise.resolve();
  };

  readonly move = (move: TaskMove): Promise<void> => {
    this.#moves.push(move);
    return Promise.resolve();
  };

  readonly write = (write: TasksWrite, id: Uuid): Promise<void> => {
    this.#others.push({ write, id });
    return Promise.resolve();
  };

  /** Forgets what came after this: it is not to be. */
  cut({ changes, moves, others }: Mark): void {
    this.#changes = this.#changes.slice(0, changes);
    this.#moves = this.#moves.slice(0, moves);
    this.#others = this.#others.slice(0, others);
  }

  /** All but the log. */
  async writeRows(tx: Tx, boardId: number): Promise<void> {
    const moves = this.#moves;
    const others = this.#others;
    this.#moves = [];
    this.#others = [];
    if (moves.length > 0) await moveTasks(tx, boardId, moves);
    for (const write of new Set(others.map((other) => other.write))) {
      const tasks = others.filter((other) => other.write === write);
      await write(
        tx,
        boardId,
        tasks.map(({ id }) => id),
      );
    }
  }

  /** @param isConfigChange The transaction has changed what claims are decided on, whatever became of its tasks. */
  async writeLog(tx: Tx, boardId: number, isConfigChange: boolean): Promise<void> {
    const events: NewEvent[] = this.#changes.flatMap((change) => change.events);
    if (events.length === 0) {
      if (isConfigChange) await raiseConfigVersion(tx, boardId);
      return;
    }
    const counts = this.#changes.reduce<StatusCounts>(
      (sum, change) => addCounts(sum, change.counts ?? {}),
      {},
    );
    const departures = this.#changes.flatMap((change) => change.departures ?? []);
    await appendChange(tx, boardId, { events, counts, isConfigChange, departures });
  }
}
