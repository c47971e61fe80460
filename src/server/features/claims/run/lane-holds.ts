/**
 * For which runs the key of a lane may speak without their tokens: those of its lane that the named worker claimed. The key proves the
 * lane, and the row says who holds the run. Says who speaks, never whether the claim still holds: that is the row's, in the statement of the verb.
 */
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { boardIdOf, formatId, parseId } from '../../../kernel/ids.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import { findRunHolders, listHolds, type RunHolder } from '../store/run.ts';
import { socketClaim } from './held-runs.ts';

export interface LaneWorker {
  readonly lane: string;
  readonly worker: string;
}

export class LaneHolds {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** As whom this worker speaks for the run, which may be over; or not_your_claim. */
  async ofRun(board: BoardRef, who: LaneWorker, runId: string): Promise<ClaimPrincipal> {
    const id = parseId('run', runId);
    const isHere = id !== null && boardIdOf(id) === board.id;
    const row = isHere
      ? (await withinDeadline(findRunHolders(this.#sql, board.id, [id]))).get(id)
      : undefined;
    if (row === undefined || row.lane !== who.lane || row.worker !== who.worker)
      throw new ProblemError(
        'not_your_claim',
        `Worker ${JSON.stringify(who.worker)} of lane ${who.lane} did not claim ${runId}.`,
      );
    return holderOf(board, who, row);
  }

  /** What the worker holds now, of many the first. */
  async ofWorker(board: BoardRef, who: LaneWorker, rowsMax: number): Promise<ClaimPrincipal[]> {
    const rows = await withinDeadline(listHolds(this.#sql, board.id, who, rowsMax));
    return rows.map((row) => holderOf(board, who, row));
  }
}

function holderOf(
  board: BoardRef,
  { lane, worker }: LaneWorker,
  { id, task_id: taskId, attempt }: RunHolder,
): ClaimPrincipal {
  const task = { id: formatId('task', taskId) };
  return socketClaim(board.name, { run_id: formatId('run', id), task, lane, worker, attempt });
}
