/**
 * The time of tokens and ids: this machine's monotonic clock plus an offset measured against the database, so that a server
 * whose wall clock is an hour wrong agrees with the others. It never decides about a lease: that is the database's own
 * clock_timestamp().
 */
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Milliseconds since 1970 by the database's clock, as far as it is known. */
  now(): number;
}

export class DatabaseClock implements Clock {
  /** Database time minus this process's monotonic time. Starts from the wall clock until the first measurement. */
  #offsetMs = Date.now() - performance.now();

  now(): number {
    return Math.round(performance.now() + this.#offsetMs);
  }

  /**
   * Takes one reading of the database's clock. The answer lies between sending and receiving; the middle is off by at most
   * half the round trip, which is far below what any token or id depends on (seconds).
   */
  async measure(readDatabaseMs: () => Promise<number>): Promise<void> {
    const sentAt = performance.now();
    const databaseMs = await readDatabaseMs();
    const receivedAt = performance.now();
    this.#offsetMs = databaseMs - (sentAt + receivedAt) / 2;
  }
}
