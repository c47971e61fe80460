/**
 * Whether the newer socket that this one was closed for may be an older one of our own. A hello that was not answered may still lie in a
 * queue of its server when the client has given that socket up and said hello on another; written late, it counts as the newer of the two.
 * Whoever took that for another worker of its name would leave work that nobody else does.
 * Excuses one close for each such hello, so two processes of one name never send each other away for ever.
 */

/** A server gives up a socket that is silent for 50 s, and with it what it said; the rest is for the hello to be written. */
const LATE_MS_MAX = 60_000;

export class LostHello {
  readonly #now: () => number;
  #isAwaiting = false;
  #lostAtMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  onSaid(): void {
    this.#isAwaiting = true;
  }

  /** It has been written. */
  onAnswered(): void {
    this.#isAwaiting = false;
  }

  /** The socket is given up or closed. */
  onSocketGone(): void {
    if (this.#isAwaiting) this.#lostAtMs = this.#now();
    this.#isAwaiting = false;
  }

  /** This socket was closed for a newer one: true when that may be ours. Asked before onSocketGone: the close answers its own hello. */
  excuse(): boolean {
    this.#isAwaiting = false;
    const isOurs = this.#now() - this.#lostAtMs < LATE_MS_MAX;
    this.#lostAtMs = Number.NEGATIVE_INFINITY;
    return isOurs;
  }
}
