/**
 * Collects who was seen and writes it in one statement every second: a sighting is no decision, so it must never cost the claim path a
 * write of its own. Who comes back is written with the next flush; who is there all the time only every few seconds. A row never says
 * less than what happened: a sighting that is not written yet waits, and gets the time at which it is. What a crash loses is at most
 * that wait.
 */
import type { Sql } from '../../db/client.ts';
import { retriedStatement, withinDeadline } from '../../db/tx.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { pruneWorkers, recordSightings, type Sighting } from './store/presence.ts';

/** Workers remembered between two writes; more than this and the rest is seen at their next sign of life. */
const PENDING_MAX = 20_000;
/** A ninth of the time for which a sighting keeps a worker online. */
const SEEN_AGAIN_MS = 10_000;
/** Of one statement, so that a mass of workers that ran once each is forgotten without anybody noticing. */
const PRUNED_MAX = 5000;
/** More than a lane can make in a minute. */
const PRUNINGS_MAX = 40;

interface Written {
  readonly atMs: number;
  readonly version: string | null;
}

export class PresenceTracker {
  readonly #sql: Sql;
  readonly #pending = new Map<string, Sighting>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #written = boundedCache<string, Written>(PENDING_MAX);

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  see(sighting: Sighting): void {
    const key = keyOf(sighting);
    const known = this.#pending.get(key);
    if (known === undefined && this.#pending.size >= PENDING_MAX) return;
    this.#pending.set(key, { ...sighting, version: sighting.version ?? known?.version ?? null });
  }

  /** Everything: somebody is about to look. */
  async flush(): Promise<void> {
    const underWay = [...this.#underWay];
    await this.#write([...this.#pending.values()]);
    // Who fails is told by its own caller, and what it has not written waits again.
    await Promise.allSettled(underWay);
  }

  /** What is news, or has waited long enough. */
  async flushDue(): Promise<void> {
    const now = performance.now();
    await this.#write(
      [...this.#pending].flatMap(([key, sighting]) => {
        const written = this.#written.get(key);
        const isNews =
          written === undefined || (sighting.version !== null && sighting.version !== written.version);
        return isNews || now - written.atMs >= SEEN_AGAIN_MS ? [sighting] : [];
      }),
    );
  }

  /** Called about once a minute. */
  async forgetLongGone(): Promise<void> {
    for (let prunings = 0; prunings < PRUNINGS_MAX; prunings += 1)
      if ((await withinDeadline(pruneWorkers(this.#sql, PRUNED_MAX))) < PRUNED_MAX) return;
  }

  async #write(sightings: readonly Sighting[]): Promise<void> {
    if (sightings.length === 0) return;
    for (const sighting of sightings) this.#pending.delete(keyOf(sighting));
    const writing = retriedStatement(() => recordSightings(this.#sql, sightings));
    this.#underWay.add(writing);
    try {
      await writing;
    } catch (error) {
      for (const sighting of sightings) this.see(sighting);
      throw error;
    } finally {
      this.#underWay.delete(writing);
    }
    const atMs = performance.now();
    for (const sighting of sightings) {
      const key = keyOf(sighting);
      const version = sighting.version ?? this.#written.get(key)?.version ?? null;
      this.#written.set(key, { atMs, version });
    }
  }
}

/** Names of lanes have no spaces. */
function keyOf({ boardId, lane, worker }: Sighting): string {
  return `${boardId} ${lane} ${worker}`;
}
