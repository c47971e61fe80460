/**
 * Follows the log of a board from an instant at which everything was read: reads everything, watches from there, and does so again, more and
 * more seldom, when the log cannot be followed any further. It says how the connection is; what events mean is its owner's.
 */
import { type Client, type Event, LanekeeperError, type StateName } from '../../client/index.ts';

export type Connection = 'connecting' | 'live' | 'catching_up' | 'offline' | 'paused' | 'refused';

export interface Followed {
  /** Reads everything; the cursor from which the log goes on. */
  readonly readAll: (signal: AbortSignal) => Promise<string>;
  readonly onEvent: (event: Event) => void;
  /** `problem` is there when it is refused for good. */
  readonly onConnection: (connection: Connection, problem?: Error) => void;
}

/** Somebody looks at the page: of a server that is back they hear within seconds; while it is away, that is some 24 tries a minute. */
const BACKOFF_CAP_MS = 5000;

/** An event older than this when it arrives is history that is being caught up with. */
const STALE_MS = 3000;
/** No more events for so long: all that there were have come. */
const QUIET_MS = 300;
const RESYNC_DELAYS_MS = [250, 1000, 3000, 10_000];
/** Live for so long, the longest pause, it has worked: one that is live for a moment and breaks again must not be read anew at once, ever. */
const STEADY_MS = 10_000;

export class LogFollower {
  readonly #client: Client;
  readonly #serverNow: () => number;
  readonly #followed: Followed;
  #following: AbortController | null = null;
  #watching: AbortController | null = null;
  #caughtUp: ReturnType<typeof setTimeout> | undefined;
  #hasRead = false;
  #liveSinceMs: number | null = null;

  constructor(client: Client, serverNow: () => number, followed: Followed) {
    this.#client = client;
    this.#serverNow = serverNow;
    this.#followed = followed;
  }

  /** Until `stop`. */
  start(): void {
    if (this.#following !== null) return;
    this.#following = new AbortController();
    void this.#follow(this.#following.signal);
  }

  stop(): void {
    this.#following?.abort();
    this.#following = null;
    this.#watching?.abort();
    clearTimeout(this.#caughtUp);
  }

  /** Everything is to be read anew, after the pause that repeated failures have. */
  resync(): void {
    this.#watching?.abort();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; failures += 1) {
      this.#followed.onConnection(this.#hasRead ? 'catching_up' : 'connecting');
      this.#liveSinceMs = null;
      try {
        const cursor = await this.#followed.readAll(signal);
        this.#hasRead = true;
        if (signal.aborted) return;
        await this.#watch(cursor);
        if (signal.aborted) return;
        this.#followed.onConnection('catching_up');
      } catch (error) {
        if (signal.aborted) return;
        if (isFinal(error)) {
          this.#followed.onConnection('refused', error);
          return;
        }
        this.#followed.onConnection('offline');
      }
      if (this.#wasSteady()) failures = 0;
      await pause(RESYNC_DELAYS_MS[Math.min(failures, RESYNC_DELAYS_MS.length - 1)] ?? 0, signal);
    }
  }

  #wasSteady(): boolean {
    return this.#liveSinceMs !== null && performance.now() - this.#liveSinceMs >= STEADY_MS;
  }

  /** Until the log ends, or everything is to be read anew. */
  async #watch(after: string): Promise<void> {
    const watching = new AbortController();
    this.#watching = watching;
    const { signal } = watching;
    try {
      const onState = (state: StateName): void => {
        if (!signal.aborted) this.#onState(state);
      };
      const limits = { backoffCapMs: BACKOFF_CAP_MS };
      for await (const event of this.#client.watch({ after, onState, limits }, signal)) {
        if (signal.aborted) return;
        this.#onEvent(event);
      }
    } finally {
      // One that was begun since has a timer of its own.
      if (this.#watching === watching) clearTimeout(this.#caughtUp);
    }
  }

  #onState(state: StateName): void {
    if (state === 'live') {
      this.#liveSinceMs ??= performance.now();
      this.#followed.onConnection('live');
    } else if (state === 'backing_off' || state === 'probing') {
      // The events that were awaited do not come: nothing has been caught up with.
      clearTimeout(this.#caughtUp);
      this.#liveSinceMs = null;
      this.#followed.onConnection('offline');
    } else if (state === 'subscribing') this.#followed.onConnection('catching_up');
  }

  #onEvent(event: Event): void {
    const isStale = this.#serverNow() - Date.parse(event.at) > STALE_MS;
    this.#followed.onConnection(isStale ? 'catching_up' : 'live');
    clearTimeout(this.#caughtUp);
    // Behind the last old event there may be nothing for a long time.
    if (isStale) this.#caughtUp = setTimeout(() => this.#followed.onConnection('live'), QUIET_MS);
    this.#followed.onEvent(event);
  }
}

/** The key is no good any more, or the board is not there for it: asking again does not help. */
function isFinal(error: unknown): error is LanekeeperError {
  return error instanceof LanekeeperError && [401, 403, 404].includes(error.status);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
