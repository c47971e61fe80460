/**
 * Collects who was seen and writes it in one statement every few seconds: a sighting is a hint for people, so it must never cost
 * the claim path a write of its own. What a crash loses is at most one interval of sightings.
 */
import type { Sql } from '../../db/client.ts';
import { recordSightings, type Sighting } from './store/presence.ts';

/** Workers remembered between two writes; more than this and the rest is seen at their next sign of life. */
const PENDING_MAX = 20_000;

export class PresenceTracker {
  readonly #sql: Sql;
  #pending = new Map<string, Sighting>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  see(sighting: Sighting): void {
    const key = `${sighting.boardId} ${sighting.lane} ${sighting.worker}`;
    const known = this.#pending.get(key);
    if (known === undefined && this.#pending.size >= PENDING_MAX) return;
    this.#pending.set(key, { ...sighting, version: sighting.version ?? known?.version ?? null });
  }

  async flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    const sightings = [...this.#pending.values()];
    this.#pending = new Map();
    await recordSightings(this.#sql, sightings);
  }
}
