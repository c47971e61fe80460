/**
 * Makes scheduled tasks ready whose time has come. Runs on every server: locks are skipped, so each task is taken by one of them and
 * none is waited for. Boards take turns, and one that stands still holds up nobody else's.
 */
import type { Sql, Tx } from '../../db/client.ts';
import { countMove, type StatusCounts } from '../../db/event-log.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { Turns } from '../../kernel/turns.ts';
import { appendChange } from './join/append.ts';
import { type StartStatus, startOf } from './state/transitions.ts';
import { type LockedTask, listBoardsWithDueTasks, lockDueTasks, moveTasks } from './store/change.ts';

interface SchedulerParts {
  /** Connections that no caller can stand before. */
  readonly sql: Sql;
  readonly wake: Wake;
}

/** Of one transaction, some 30 ms: a board's claims and ends wait for it. */
const TASKS_PER_TURN_MAX = 500;
/** Transactions of one board and sweep: what became due while the database was away. */
const TURNS_PER_SWEEP_MAX = 20;
/** Then it is looked afresh which boards have due tasks. */
const SWEEP_MS_MAX = 1000;
const BOARDS_PER_SWEEP_MAX = 100;

export class Scheduler {
  readonly #parts: SchedulerParts;
  /** Of boards. */
  readonly #turns = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { sql, wake } = this.#parts;
    const listed = listBoardsWithDueTasks(sql, this.#turns.troubled, BOARDS_PER_SWEEP_MAX);
    await this.#turns.take(await withinDeadline(listed), signal, async (boardId, patienceMs) => {
      const count = await impatientTransaction(sql, patienceMs, (tx) => wakeDueTasksOf(tx, boardId));
      if (count > 0) wake.ring(boardId);
      return count === TASKS_PER_TURN_MAX;
    });
  }
}

const EVENT_KINDS = { ready: 'task.ready', todo: 'task.todo', review: 'task.review_requested' } as const;

function startOfDue({ unmet_parents: unmetParents, result_attempt: resultAttempt }: LockedTask): StartStatus {
  return startOf({ unmetParents, isUnderReview: resultAttempt !== null });
}

async function wakeDueTasksOf(tx: Tx, boardId: number): Promise<number> {
  const due = [...(await lockDueTasks(tx, boardId, TASKS_PER_TURN_MAX))].sort((left, right) =>
    left.id < right.id ? -1 : 1,
  );
  if (due.length === 0) return 0;
  const moves = due.map((before) => ({ before, after: { status: startOfDue(before) } }));
  await moveTasks(tx, boardId, moves);
  const counts: StatusCounts = {};
  for (const { before, after } of moves) countMove(counts, before.status, after.status);
  await appendChange(tx, boardId, {
    events: moves.map(({ before, after }) => ({
      kind: EVENT_KINDS[after.status],
      taskId: before.id,
      lane: before.lane,
      attempt: before.attempt,
      taskVersion: before.version + 1,
      actor: { type: 'system' as const, id: 'scheduler' },
      data: { status_before: 'scheduled', status_after: after.status },
    })),
    counts,
    // What goes on to wait for its parents may wait in vain.
    departures: moves,
  });
  return due.length;
}
