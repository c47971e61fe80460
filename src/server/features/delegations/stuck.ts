/**
 * Delegations whose last open child waits in vain, and of which nobody has told them. Whoever cancels a task looks at what waits behind it,
 * and whoever puts a task behind others looks at those; but two who do both in the same moment do not see each other, and neither finds
 * anything. So each running delegation is looked at again in its turn: a few in a sweep, so that it costs next to nothing however many run.
 * The alternative, one lock of the board around both, stands in the way of every cancel.
 */
import type { Sql } from '../../db/client.ts';
import { appendEvents } from '../../db/event-log.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { type DelegationPlace, listRunningFrom, settleDelegations } from '../tasks/service.ts';

interface StuckParts {
  readonly sql: Sql;
  readonly wake: Wake;
}

/** Of a hundred children each some 10 ms; mostly they have a few, and it is 1 ms. Of a thousand that run each has its turn within 20 sweeps. */
const LOOKED_AT_PER_SWEEP_MAX = 50;
/** Somebody is at it: then it is decided, or looked at again in the next round. */
const PATIENCE_MS = 200;

export class StuckDelegations {
  readonly #parts: StuckParts;
  /** Null: from the first on. */
  #after: DelegationPlace | null = null;

  constructor(parts: StuckParts) {
    this.#parts = parts;
  }

  /** What fails ends only its own turn; the first such error is thrown when all have had theirs. */
  async sweep(signal: AbortSignal): Promise<void> {
    const listed = listRunningFrom(this.#parts.sql, this.#after, LOOKED_AT_PER_SWEEP_MAX);
    const running = await withinDeadline(listed);
    const last = running.at(-1);
    // Before anything is decided: it may fail.
    this.#after =
      last !== undefined && running.length === LOOKED_AT_PER_SWEEP_MAX
        ? { board_id: last.board_id, id: last.id }
        : null;
    const errors: unknown[] = [];
    for (const place of running) {
      if (signal.aborted) return;
      if (!place.is_stuck) continue;
      try {
        await this.#settle(place);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  async #settle({ board_id: boardId, id }: DelegationPlace): Promise<void> {
    const { sql, wake } = this.#parts;
    const isDecided = await impatientTransaction(sql, PATIENCE_MS, async (tx) => {
      const events = await settleDelegations(tx, boardId, [id]);
      if (events.length > 0) await appendEvents(tx, boardId, { events });
      return events.length > 0;
    });
    if (isDecided) wake.ring(boardId);
  }
}
