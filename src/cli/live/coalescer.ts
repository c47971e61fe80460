/**
 * Turns many rings into few runs of one piece of work: one at a time, none lost, and a pause after each. A ring during a run makes one
 * more run, however many there were.
 */
import { setTimeout as pause } from 'node:timers/promises';

export class Coalescer {
  readonly #work: () => Promise<void>;
  readonly #pauseMs: number;
  #isRung = false;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  readonly #onFailure: () => void;

  /** @param onFailure Once, when the work has thrown: nothing is run after that. */
  constructor(work: () => Promise<void>, pauseMs: number, onFailure: () => void) {
    this.#work = work;
    this.#pauseMs = pauseMs;
    this.#onFailure = onFailure;
  }

  ring(): void {
    this.#isRung = true;
    this.#running ??= this.#run();
  }

  /** When what was rung for is done. @throws what the work has thrown. */
  async settled(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #run(): Promise<void> {
    try {
      while (this.#isRung && this.#failure === undefined) {
        this.#isRung = false;
        await this.#work();
        // Unreferenced: a command that is over does not wait for it.
        if (this.#pauseMs > 0) await pause(this.#pauseMs, undefined, { ref: false });
      }
    } catch (error) {
      this.#failure = { error };
      this.#onFailure();
    }
    this.#running = undefined;
  }
}
