/**
 * Claims with a request id whose answer did not reach the client. It will ask again, and gets the same claim; but one that never does must not
 * hold the task for a whole lease and be counted as a crash then. So they are given back after a while, unless they were heard of: every
 * call of a holder is a heartbeat, the repeated claim_task as well. Kept in memory only: a server that stops leaves them to their leases.
 */
import type { Claim } from '../../../contract/claims.ts';
import { present } from '../../kernel/assert.ts';
import { parseId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import type { Returns } from '../claims/service.ts';

/** After a call is given up, at 60 s by the usual clients, their model decides to repeat it within some seconds. */
const GRACE_MS = 60_000;
/** Far more than clients that vanish within a minute; what comes on top is left to its lease. */
const LOST_MAX = 1000;

export class LostAnswers {
  readonly #returns: Pick<Returns, 'give'>;
  #count = 0;

  constructor(returns: Pick<Returns, 'give'>) {
    this.#returns = returns;
  }

  giveBackLater(
    board: BoardRef,
    claim: Pick<Claim, 'run_id' | 'task' | 'attempt' | 'claimed_at' | 'lease_expires_at'>,
  ): void {
    if (this.#count >= LOST_MAX) return;
    this.#count += 1;
    const hold = {
      taskId: present(parseId('task', claim.task.id), 'a claim has a task'),
      runId: present(parseId('run', claim.run_id), 'a claim has a run'),
      attempt: claim.attempt,
    };
    const leaseMs = Date.parse(claim.lease_expires_at) - Date.parse(claim.claimed_at);
    const timer = setTimeout(() => {
      this.#count -= 1;
      this.#returns.give(
        board,
        { hold, leaseMs },
        'The claim could not be delivered, and nobody asked for it again.',
      );
    }, GRACE_MS);
    timer.unref();
  }
}
