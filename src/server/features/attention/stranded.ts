/**
 * Says once of each wait that it has become too long: a ready task that nobody claimed for `stranded_after_seconds`. Follows each board's
 * log behind that delay, so every wait is looked at exactly once, when it is due. Runs on every server: a board's mark is locked, one that
 * another server has is left to it, and the position moves in the transaction that writes what was found. Must never hold a task's lock, or
 * claims would skip the task; nor wait for the counter row while it holds rows of stranded tasks, because others take them in that order.
 *
 * An index of ready tasks by age would be the alternative; each creation and each claim would pay for it.
 */
import { LIMITS } from '../../../contract/constants.ts';
import type { WhyCode, WhyReason } from '../../../contract/why.ts';
import { pinPlans, type Sql, type Tx } from '../../db/client.ts';
import { appendEvents, lockCounter, type NewEvent } from '../../db/event-log.ts';
import { BoardGoneError } from '../../db/failures.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { Turns } from '../../kernel/turns.ts';
import { settingsOf } from '../boards/service.ts';
import {
  beginMark,
  forgetMoved,
  listBoardsToSearch,
  lockMark,
  moveMark,
  readOldLog,
  recordStranded,
  type Stranded,
  type Wait,
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
/** Some 20 ms when all of them are busy. Of ten thousand boards each has its turn in ten seconds. */
const BOARDS_LOOKED_AT_MAX = 2000;
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
  readonly #places = boundedCache<number, Uuid>(PLACES_MAX);
  /** Of boards. */
  readonly #turns = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });
  /** The last board of the sweep before, when there were more of them. */
  #afterId = 0;

  constructor(parts: StrandedSweepParts) {
    this.#parts = parts;
  }

  /** Called every few seconds. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { sql } = this.#parts;
    const range = {
      afterId: this.#afterId,
      troubled: this.#turns.troubled,
      boardsMax: BOARDS_LOOKED_AT_MAX,
      rowsMax: BOARDS_PER_SWEEP_MAX,
    };
    const { ids, nextId } = await withinDeadline(listBoardsToSearch(sql, range, DEFAULT_SECONDS));
    this.#afterId = nextId;
    await this.#turns.take(ids, signal, (boardId, patienceMs) => this.#turn(boardId, patienceMs));
  }

  /** True: there may be more. */
  async #turn(boardId: number, patienceMs: number): Promise<boolean> {
    const { sql, wake, onStranded } = this.#parts;
    try {
      // By itself: together with the search it would keep what it has looked at locked until the counter row is free.
      const hasMoved = await impatientTransaction(sql, patienceMs, (tx) => this.#forget(tx, boardId));
      const turn = await impatientTransaction(sql, patienceMs, (tx) => this.#search(tx, boardId));
      for (const reason of turn.reasons) onStranded(reason);
      if (turn.reasons.length > 0) wake.ring(boardId);
      return hasMoved || turn.hasMore;
    } catch (error) {
      // Deleted meanwhile, and its tasks with it.
      if (error instanceof BoardGoneError) return false;
      throw error;
    }
  }

  async #search(tx: Tx, boardId: number): Promise<Turn> {
    await pinPlans(tx);
    const mark = await lockMark(tx, boardId);
    if (mark === null) return { reasons: [], hasMore: await beginMark(tx, boardId, DEFAULT_SECONDS) };
    const page = await readOldLog(tx, boardId, {
      afterSeq: mark.seq,
      afterSeconds: settingsOf(mark).stranded_after_seconds,
      rowsMax: EVENTS_PER_TURN_MAX,
      waitsMax: STRANDED_PER_TURN_MAX,
    });
    if (page.dueSeq === null) return { reasons: [], hasMore: false };
    const { waits } = page;
    const isCut = waits.length === STRANDED_PER_TURN_MAX;
    // What comes after the last of them is looked at in the next turn.
    await moveMark(tx, boardId, isCut ? (waits.at(-1)?.seq ?? mark.seq) : page.dueSeq);
    return {
      reasons: waits.length === 0 ? [] : await this.#report(tx, boardId, waits),
      hasMore: isCut || page.isFull,
    };
  }

  async #report(tx: Tx, boardId: number, waits: readonly Wait[]): Promise<WhyCode[]> {
    const why = await this.#parts.why.reasonsOf(tx, boardId, [...new Set(waits.map(({ id }) => id))]);
    // What was claimed before is seen now; what is claimed next stands behind it in the log.
    if (!(await lockCounter(tx, boardId))) throw new BoardGoneError(`board ${boardId} has no counter row`);
    const found = await recordStranded(tx, boardId, waits);
    const events = found.map((task) => eventOf(task, why.get(task.id) ?? []));
    if (events.length > 0) await appendEvents(tx, boardId, { events });
    return found.map((task) => codeOf(why.get(task.id) ?? []));
  }

  /** True: so many had moved on that others will have, too. */
  async #forget(tx: Tx, boardId: number): Promise<boolean> {
    await pinPlans(tx);
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
