/**
 * Adds up boards' logs in the background, so that charts never read them. Runs on every server: a board's progress is locked, one that
 * another server has is left to it. Must never lock what claims, ends or creations need, nor be waited for by them.
 *
 * Counting where things happen would be the alternative: a row that each claim of a board updates, or figures that a server loses when it dies.
 */
import { pinPlans, type Sql, type Tx } from '../../db/client.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import { Turns } from '../../kernel/turns.ts';
import {
  addUpEvents,
  beginProgress,
  deleteOldMinutes,
  listBoardsBehind,
  lockProgress,
} from './store/add-up.ts';

/** Of the log in one turn: 40 ms of one connection, and several seconds of a busy board. */
const EVENTS_PER_TURN_MAX = 20_000;
/** What those events say, as it is stored (an end may say 256 KiB): 0.1 s more, 1 s where it is compressed best. Ordinary ones are a fifteenth. */
const BYTES_PER_TURN_MAX = 32 * 1024 * 1024;
/** Claims, and ends, whose duration is looked up in one turn; percentiles of so many are as good as anybody reads from a chart. */
const MEASURED_PER_TURN_MAX = 1000;
/** A log that is behind is caught up with at up to 100,000 events every sweep. */
const TURNS_PER_SWEEP_MAX = 5;
/** A fifth of the time between two sweeps, at most, for whatever is behind. */
const SWEEP_MS_MAX = 1000;
const BOARDS_PER_SWEEP_MAX = 200;
/** A minute has one row per board: with a sweep every minute this keeps up with five hundred busy boards and more. */
const DELETED_PER_SWEEP_MAX = 1000;

export interface CountingBounds {
  readonly eventsPerTurn: number;
  /** Default: as the server has it. */
  readonly bytesPerTurn?: number;
  readonly measuredPerTurn: number;
}

export class LogCounting {
  readonly #sql: Sql;
  readonly #bounds: CountingBounds;
  /** Of boards. */
  readonly #turns = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  /** @param bounds Only tests make them smaller. */
  constructor(
    sql: Sql,
    bounds: CountingBounds = { eventsPerTurn: EVENTS_PER_TURN_MAX, measuredPerTurn: MEASURED_PER_TURN_MAX },
  ) {
    this.#sql = sql;
    this.#bounds = bounds;
  }

  /** Called every few seconds. */
  async sweep(signal: AbortSignal): Promise<void> {
    const range = { troubled: this.#turns.troubled, rowsMax: BOARDS_PER_SWEEP_MAX };
    const boardIds = await withinDeadline(listBoardsBehind(this.#sql, range));
    await this.#turns.take(boardIds, signal, (boardId, patienceMs) =>
      impatientTransaction(this.#sql, patienceMs, (tx) => this.#turn(tx, boardId)),
    );
  }

  /** Called every minute. */
  async forgetOld(): Promise<void> {
    await withinDeadline(deleteOldMinutes(this.#sql, DELETED_PER_SWEEP_MAX));
  }

  /** True: there may be more. */
  async #turn(tx: Tx, boardId: number): Promise<boolean> {
    await pinPlans(tx);
    const afterSeq = await lockProgress(tx, boardId);
    if (afterSeq === null) return beginProgress(tx, boardId);
    const { eventsPerTurn, measuredPerTurn, bytesPerTurn = BYTES_PER_TURN_MAX } = this.#bounds;
    const turn = { afterSeq, eventsMax: eventsPerTurn, bytesMax: bytesPerTurn, measuredMax: measuredPerTurn };
    return addUpEvents(tx, boardId, turn);
  }
}
