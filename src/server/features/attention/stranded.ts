/**
 * Says once of each wait that it has become too long: a ready task that nobody claimed for `stranded_after_seconds`. Follows each board's
 * log behind that delay, so every wait is looked at exactly once, when it is due. Runs on every server: a board's mark is locked, one that
 * another server has is left to it, and the position moves in the transaction that writes what was found. Must never hold a task's lock, or
 * claims would skip the task.
 *
 * An index of ready tasks by age would be the alternative; each creation and each claim would pay for it.
 */
import { LRUCache } from 'lru-cache';
import { LIMITS } from '../../../contract/constants.ts';
import type { WhyCode, WhyReason } from '../../../contract/why.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { BoardGoneError } from '../../db/failures.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { takeTurns } from '../../kernel/turns.ts';
import { settingsOf } from '../boards/service.ts';
import {
  beginMark,
  forgetMoved,
  listBoardsToSearch,
  lockLog,
  lockMark,
  moveMark,
  readOldLog,
  recordStranded,
  type Stranded,
  type WatchedBoard,
} from './store/stranded.ts';
import type { Why } from './why.ts';

/** Of the log in one turn: some 10 ms. A board that writes 5,000 events a second needs five turns a sweep. */
const EVENTS_PER_TURN_MAX = 2000;
/** Found in one turn: the counter row is held for as long as it takes to write so many events. */
const STRANDED_PER_TURN_MAX = LIMITS.pageRowsMax;
/** Looked at whether they have moved on, in one turn: twice, from the oldest on and from where the last turn ended. */
const FORGOTTEN_PER_TURN_MAX = 500;
const TURNS_PER_SWEEP_MAX = 20;
const SWEEP_MS_MAX = 1000;
const BOARDS_PER_SWEEP_MAX = 100;
/** Where the last turn ended among a board's stranded tasks; forgotten, it begins anew. */
const PLACES_MAX = 1000;

const DEFAULT_SECONDS = settingsOf({ settings: {} }).stranded_after_seconds;

interface StrandedSweepParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly why: Why;
  readonly onStranded: (reason: WhyCode) => void;
}

export class StrandedSweep {
  readonly #parts: StrandedSweepParts;
  readonly #places = new LRUCache<number, Uuid>({ max: PLACES_MAX });
  /** The last board of the sweep before, when there were more of them. */
  #afterId = 0;

  constructor(parts: StrandedSweepParts) {
    this.#parts = parts;
  }

  /** Called every few seconds. */
  async sweep(signal: AbortSignal): Promise<void> {
    const listed = listBoardsToSearch(this.#parts.sql, this.#afterId, DEFAULT_SECONDS, BOARDS_PER_SWEEP_MAX);
    const boards = await withinDeadline(listed);
    this.#afterId = boards.length < BOARDS_PER_SWEEP_MAX ? 0 : (boards.at(-1)?.id ?? 0);
    const bounds = { roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX, signal };
    await takeTurns(boards, bounds, (board) => this.#turn(board));
  }

  /** True: there may be more. */
  async #turn(board: WatchedBoard): Promise<boolean> {
    const { sql, wake } = this.#parts;
    const afterSeconds = settingsOf(board).stranded_after_seconds;
    if (!board.has_mark) {
      await withinDeadline(beginMark(sql, board.id, afterSeconds));
      return false;
    }
    try {
      const turn = await transaction(sql, (tx) => this.#search(tx, board.id, afterSeconds));
      for (const reason of turn.reasons) this.#parts.onStranded(reason);
      if (turn.reasons.length > 0) wake.ring(board.id);
      return turn.hasMore;
    } catch (error) {
      // Deleted meanwhile, and its tasks with it.
      if (error instanceof BoardGoneError) return false;
      throw error;
    }
  }

  async #search(tx: Tx, boardId: number, afterSeconds: number): Promise<Turn> {
    const afterSeq = await lockMark(tx, boardId);
    if (afterSeq === null) return NOTHING;
    const hasMoved = await this.#forget(tx, boardId);
    const page = await readOldLog(tx, boardId, { afterSeq, afterSeconds, rowsMax: EVENTS_PER_TURN_MAX });
    if (page.dueSeq === null) return { reasons: [], hasMore: hasMoved };
    const waits = page.waits.slice(0, STRANDED_PER_TURN_MAX);
    const isCut = waits.length < page.waits.length;
    // What is left out of this turn is found again in the next one.
    await moveMark(tx, boardId, isCut ? (waits.at(-1)?.seq ?? afterSeq) : page.dueSeq);
    if (waits.length === 0) return { reasons: [], hasMore: hasMoved || page.isFull };
    const why = await this.#parts.why.reasonsOf(tx, boardId, [...new Set(waits.map(({ id }) => id))]);
    if (!(await lockLog(tx, boardId))) throw new BoardGoneError(`board ${boardId} has no counter row`);
    const found = await recordStranded(tx, boardId, waits);
    const events = found.map((task) => eventOf(task, why.get(task.id) ?? []));
    if (events.length > 0) await appendEvents(tx, boardId, { events });
    return {
      reasons: found.map((task) => codeOf(why.get(task.id) ?? [])),
      hasMore: hasMoved || isCut || page.isFull,
    };
  }

  /** True: so many had moved on that others will have, too. */
  async #forget(tx: Tx, boardId: number): Promise<boolean> {
    const oldest = await forgetMoved(tx, boardId, null, FORGOTTEN_PER_TURN_MAX);
    if (oldest.lastId === null) return false;
    const place = this.#places.get(boardId) ?? oldest.lastId;
    const next = await forgetMoved(tx, boardId, place, FORGOTTEN_PER_TURN_MAX);
    if (next.lastId === null) this.#places.delete(boardId);
    else this.#places.set(boardId, next.lastId);
    return oldest.forgotten + next.forgotten >= FORGOTTEN_PER_TURN_MAX;
  }
}

interface Turn {
  /** Of each task that was found: the first. */
  readonly reasons: readonly WhyCode[];
  readonly hasMore: boolean;
}

const NOTHING: Turn = { reasons: [], hasMore: false };

/** Between two looks everything that kept it may have gone. */
function codeOf(reasons: readonly WhyReason[]): WhyCode {
  return reasons[0]?.code ?? 'claimable';
}

/** It moves nothing: no status, no version. */
function eventOf(
  { id, lane, ready_since, waited_seconds }: Stranded,
  reasons: readonly WhyReason[],
): NewEvent {
  return {
    kind: 'task.stranded',
    taskId: id,
    lane,
    actor: { type: 'system', id: 'stranded' },
    data: {
      reason: codeOf(reasons),
      detail: reasons.map(({ detail }) => detail).join(' '),
      reasons: reasons.map(({ code }) => code),
      ready_since,
      waited_seconds: Math.floor(waited_seconds),
    },
  };
}
