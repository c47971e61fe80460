/**
 * What the server may still claim for this worker: pure bookkeeping of one socket's credits. A credit frame says how many more, and claims
 * that are on their way when it arrives come on top; so more is asked for only when everything granted has come, and never beyond the
 * room there is. The alternative, topping up by a share of the room as a load generator does, hands a worker more than it can hold.
 */
import { LIMITS } from '../../contract/constants.ts';

export class PushCredits {
  /** Claims that the worker would take now. Below nothing: so many came that it would not, and which it may have to do without again. */
  #room = 0;
  /** Of them, those that the server may still send. */
  #granted = 0;
  /** In the frame that is not answered yet. One at a time. */
  #asked: number | null = null;

  /** No claim can come any more, unless more is asked for. */
  get isDry(): boolean {
    return this.#granted === 0 && this.#asked === null;
  }

  setRoom(count: number): void {
    this.#room = Math.floor(count);
  }

  onClaim(): void {
    this.#room -= 1;
    this.#granted = Math.max(0, this.#granted - 1);
  }

  /** So many that came were never the worker's: there is room for others in their place. */
  onForgotten(count: number): void {
    this.#room += count;
  }

  /** The credits to send now; null: none. */
  next(): number | null {
    if (this.#asked !== null) return null;
    if (this.#granted > Math.max(0, this.#room)) {
      // Less than was granted: only the answer to 0 says how much of it has come meanwhile.
      this.#asked = 0;
    } else if (this.#granted === 0 && this.#room > 0) {
      this.#asked = Math.min(this.#room, LIMITS.creditsMax);
      this.#granted = this.#asked;
    }
    return this.#asked;
  }

  /** The frame was answered; every claim on earlier credits has come. */
  onAnswered(): void {
    if (this.#asked === 0) this.#granted = 0;
    this.#asked = null;
  }

  /** The frame counted for nothing: what was granted before it still is. */
  onRefused(): void {
    if (this.#asked !== 0) this.#granted = 0;
    this.#asked = null;
  }

  /** The socket is gone, or the server has dropped them. The room stays. */
  reset(): void {
    this.#granted = 0;
    this.#asked = null;
  }
}
