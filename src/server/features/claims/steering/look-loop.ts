/**
 * Looks at the database for who waits for news: one look at a time, and any number of calls meanwhile are one more. A look that fails is
 * reported, and not repeated by itself.
 */

export class LookLoop {
  readonly #look: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  #isLooking = false;
  /** Something may have come since the look that is under way began. */
  #isDue = false;
  #isStopped = false;

  constructor(look: () => Promise<void>, onError: (error: unknown) => void) {
    this.#look = look;
    this.#onError = onError;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  look(): void {
    this.#isDue = true;
    if (!this.#isLooking) void this.#lookWhileDue();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #lookWhileDue(): Promise<void> {
    this.#isLooking = true;
    try {
      while (this.#isDue && !this.#isStopped) {
        this.#isDue = false;
        await this.#look();
      }
    } catch (error) {
      this.#onError(error); // The next nudge or poll looks again.
    } finally {
      this.#isLooking = false;
    }
  }
}
