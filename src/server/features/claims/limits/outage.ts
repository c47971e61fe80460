/**
 * Keeps the pulse of all servers together, and when it has stood still, because every server or the database was away, gives live claims
 * the lost time back before anybody may judge them. One transaction finds the gap, moves the clocks and lets the pulse go on, so exactly
 * one server does it, and wholly or not at all. The reaper asks the pulse in the statement in which it judges, so it needs no word from
 * here, and a server that wakes from a pause with old timers does no harm. Clocks of servers decide nothing. A claim that somebody has
 * locked at that moment holds up nobody: what it is owed is written down with it, it is given with a later beat, and it is not judged
 * before.
 *
 * A pulse that is ahead of the clock says that the clock was put back: it begins afresh, and nothing is given. Every limit has moved away
 * from the clock together with the last beat, by at least as much as an outage at that moment could have taken; were it longer, the clock
 * would have come past the beat, and it would be found as any other.
 *
 * The alternative, that each server gives back what it noticed itself to have been away, lets a server that was paused alone extend leases
 * whose holders were heard all the time by the others, and two servers that come back together give twice.
 */
import { begin } from '../../../db/begin.ts';
import { pinPlans, type Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { type ClaimPlace, giveBack, keepPulse, lockGap, payAmnesties, resumePulse } from '../store/pulse.ts';

export interface Outage {
  /** From the last beat to the moment when somebody was there again. */
  readonly seconds: number;
  /** How many leases were extended for it. */
  readonly leases: number;
}

/** Some 30 ms each; the locks of all are held to the end, for some 2 s with 100,000 claims, and heartbeats wait for them. */
const CLAIMS_PER_STATEMENT = 2000;
/** Far above that. What takes longer is rolled back and tried again with the next beat; nothing is reaped until then. */
const GIVING_BACK_MS_MAX = 60_000;

interface OutageParts {
  /** Connections that no caller can stand before. */
  readonly sql: Sql;
  readonly onOutage: (outage: Outage) => void;
}

export class Outages {
  readonly #parts: OutageParts;

  constructor(parts: OutageParts) {
    this.#parts = parts;
  }

  /** Called twice a second. */
  async beat(signal: AbortSignal): Promise<void> {
    const beat = await withinDeadline(keepPulse(this.#parts.sql));
    if (beat?.isOwing) await withinDeadline(payAmnesties(this.#parts.sql, CLAIMS_PER_STATEMENT));
    if (beat !== null) return;
    const outage = await this.#end(signal);
    if (outage !== null) this.#parts.onOutage(outage);
  }

  /** Not within the deadline of other transactions: it may rightly take longer, and each statement has a bound of its own. */
  #end(signal: AbortSignal): Promise<Outage | null> {
    return begin(this.#parts.sql, '', async (tx) => {
      await pinPlans(tx);
      const gap = await lockGap(tx);
      if (gap === null) return null;
      if (gap.seconds < 0) {
        await resumePulse(tx);
        return null;
      }
      const deadline = performance.now() + GIVING_BACK_MS_MAX;
      let leases = 0;
      let last: ClaimPlace | null = null;
      do {
        signal.throwIfAborted();
        if (performance.now() > deadline) throw new Error('there are too many claims to extend in one go');
        const given = await giveBack(tx, gap, last, CLAIMS_PER_STATEMENT);
        leases += given.leases;
        last = given.last;
      } while (last !== null);
      await resumePulse(tx);
      return { seconds: gap.seconds, leases };
    });
  }
}
