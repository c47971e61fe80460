/** What the holder of a claim that is over is told: what happened, when and by whom. */
import type { ClaimLostReason, Outcome } from '../../../../contract/statuses.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { RunRow } from '../store/run.ts';
import { runOf } from '../view.ts';

/** What an outcome means for the run that no longer holds the claim. */
const LOST_REASONS: Readonly<Record<Outcome, ClaimLostReason>> = {
  completed: 'ended',
  changes_requested: 'ended',
  blocked: 'ended',
  failed: 'ended',
  released: 'released',
  crashed: 'crashed',
  timed_out: 'timed_out',
  reclaimed: 'reclaimed',
  cancelled: 'cancelled',
};

/** A lane was taken over from the holder. The run may have ended by it, or later, when its lease had lapsed. */
interface TakenOver {
  readonly worker: string;
  readonly at: string;
  readonly by: { readonly type: string; readonly id: string };
}

function takenOverOf(run: RunRow | undefined): TakenOver | null {
  // Written by the takeover alone.
  const takeover = run?.evidence?.['takeover'] ?? null;
  return takeover as TakenOver | null;
}

export function claimLost(board: BoardRef, run: RunRow | undefined): ProblemError {
  const takenOver = takenOverOf(run);
  if (takenOver !== null) {
    const { worker, at, by } = takenOver;
    const detail = `Worker ${JSON.stringify(worker)} took the lane over at ${at}, and the claim with it.`;
    const extensions = { reason: 'superseded', at, by, outcome: run?.outcome ?? null };
    return new ProblemError('claim_lost', detail, { extensions });
  }
  if (run?.outcome == null) {
    return new ProblemError('claim_lost', 'This claim is over: the run or its task is no longer there.', {
      extensions: { reason: 'ended', at: null, by: null, outcome: null },
    });
  }
  const { outcome, ended_at, ended_by } = runOf(board, run);
  const by = ended_by === null ? '' : ` by ${ended_by.type} ${ended_by.id}`;
  return new ProblemError('claim_lost', `The run was ended at ${ended_at}${by}: ${outcome}.`, {
    extensions: { reason: LOST_REASONS[run.outcome], at: ended_at, by: ended_by, outcome },
  });
}
