/**
 * What the features tell, as the facts of spans. The trace of a task is looked up where the teller does not have it at hand: only where spans are
 * collected, behind the answer, and never twice at once. While one look-up is under way at most a thousand more wait; beyond them spans are left out.
 */
import type { Delivery } from '../../contract/deliveries.ts';
import type { EndReply } from '../../contract/runs.ts';
import { withinDeadline } from '../db/tx.ts';
import type { BoardRef, BoardService } from '../features/boards/service.ts';
import type { ClaimedRow, OverdueRow } from '../features/claims/service.ts';
import { findTraceparents } from '../features/tasks/service.ts';
import { formatId, parseId, type Uuid } from '../kernel/ids.ts';
import type { Base } from './base.ts';

const WAITING_MAX = 1000;

export type Spans = ReturnType<typeof createSpans>;

/** null: nobody collects spans. */
export function createSpans({ tracing, database, onError }: Base, boards: BoardService) {
  if (tracing === null) return null;
  const traces = new TaskTraces(
    (boardId, ids) => withinDeadline(findTraceparents(database.cold, boardId, ids)),
    onError('spans'),
  );
  return {
    onClaimed(board: BoardRef, rows: readonly ClaimedRow[]): void {
      for (const row of rows)
        tracing.claim({
          board: board.name,
          taskId: formatId('task', row.id),
          runId: formatId('run', row.run_id),
          lane: row.claim_lane ?? '',
          worker: row.worker,
          attempt: row.claim_attempt ?? row.attempt,
          traceparent: row.traceparent,
          claimedAt: row.claimed_at,
          waitedSeconds: Math.max(0, row.waited_seconds),
        });
    },
    onReplies(board: BoardRef, replies: readonly EndReply[]): void {
      for (const { task, run } of replies) {
        const { outcome, ended_at: endedAt } = run;
        if (outcome === null || endedAt === null) continue;
        traces.find(board.id, parseId('task', task.id), (traceparent) =>
          tracing.run({
            board: board.name,
            taskId: task.id,
            runId: run.run_id,
            lane: run.lane ?? '',
            worker: run.worker ?? '',
            attempt: run.attempt,
            traceparent,
            startedAt: run.started_at,
            endedAt,
            outcome,
          }),
        );
      }
    },
    onReaped(boardId: number, held: OverdueRow): void {
      const endedAt = new Date().toISOString();
      traces.find(boardId, held.id, async (traceparent) => {
        const board = await boards.resolveId(boardId);
        tracing.run({
          board: board?.name ?? '',
          taskId: formatId('task', held.id),
          runId: formatId('run', held.run_id),
          lane: held.claim_lane,
          worker: held.worker,
          attempt: held.attempt,
          traceparent,
          startedAt: held.claimed_at,
          endedAt,
          outcome: OUTCOMES[held.overdue],
        });
      });
    },
    onDelivered(board: BoardRef, delivery: Delivery): void {
      const { status, finished_at: finishedAt } = delivery;
      if ((status !== 'acked' && status !== 'dead') || finishedAt === null) return;
      const taskId = delivery.task_id === null ? null : parseId('task', delivery.task_id);
      traces.find(board.id, taskId, (traceparent) =>
        tracing.delivery({
          board: board.name,
          deliveryId: delivery.id,
          kind: delivery.kind,
          platform: delivery.platform,
          mode: delivery.mode,
          status,
          attempt: delivery.attempt,
          createdAt: delivery.created_at,
          finishedAt,
          traceparent,
        }),
      );
    },
    onSocketClosed(board: string, seconds: number): void {
      tracing.watch({ board, seconds });
    },
  };
}

const OUTCOMES: Readonly<Record<OverdueRow['overdue'], string>> = {
  cancel_deadline: 'cancelled',
  lease: 'crashed',
  max_runtime: 'timed_out',
  no_progress: 'timed_out',
};

type Find = (boardId: number, ids: readonly Uuid[]) => Promise<ReadonlyMap<Uuid, string>>;
type Tell = (traceparent: string | null) => void | Promise<void>;

/** Looks up the traces of tasks, those of one board together. */
class TaskTraces {
  readonly #find: Find;
  readonly #onError: (error: unknown) => void;
  readonly #waiting: { readonly boardId: number; readonly taskId: Uuid; readonly tell: Tell }[] = [];
  #isLooking = false;

  constructor(find: Find, onError: (error: unknown) => void) {
    this.#find = find;
    this.#onError = onError;
  }

  /** Never throws, and does not wait. null: it is of no task. */
  find(boardId: number, taskId: Uuid | null, tell: Tell): void {
    if (taskId === null) void Promise.resolve(tell(null)).catch(this.#onError);
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ boardId, taskId, tell });
    if (!this.#isLooking && this.#waiting.length > 0) void this.#look();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
        const { boardId } = first;
        const rest = this.#waiting.findIndex((other) => other.boardId !== boardId);
        const together = this.#waiting.splice(0, rest < 0 ? this.#waiting.length : rest);
        const ids = [...new Set(together.map(({ taskId }) => taskId))];
        const found = await this.#find(boardId, ids);
        for (const { taskId, tell } of together) await tell(found.get(taskId) ?? null);
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#isLooking = false;
    }
  }
}
