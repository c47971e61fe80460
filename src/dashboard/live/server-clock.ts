/** The server's time, for countdowns: the page's own clock may be an hour wrong. */
import type { Client } from '../../client/index.ts';

/** Quartz drifts by seconds a day: once in ten minutes keeps the error far below what anybody sees. */
export const MEASURE_INTERVAL_MS = 10 * 60_000;

export class ServerClock {
  #offsetMs = 0;

  /** Milliseconds since 1970, as the database counts them. */
  readonly now = (): number => Date.now() + this.#offsetMs;

  /** The answer was given between sending and receiving: the middle is off by at most half a round trip. */
  async measure(client: Client): Promise<void> {
    const sentAtMs = Date.now();
    const { at } = await client.whoami();
    this.#offsetMs = Date.parse(at) - (sentAtMs + Date.now()) / 2;
  }
}
