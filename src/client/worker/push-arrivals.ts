/**
 * Claims between the socket and the worker: acknowledged together, when the chunk that brought them has been read, and only then handed on,
 * so that a handler that blocks the event loop cannot cost the claim it works on, nor those that came with it.
 */
import type { PushedClaim } from '../../contract/frames.ts';

interface PushArrivalsParts {
  /** Puts them on the wire before it returns. */
  readonly acknowledge: (claims: readonly PushedClaim[]) => void;
  readonly handOn: (claim: PushedClaim) => void;
}

export class PushArrivals {
  readonly #parts: PushArrivalsParts;
  /** Not acknowledged yet. */
  #waiting: PushedClaim[] = [];
  #unknownCount = 0;

  constructor(parts: PushArrivalsParts) {
    this.#parts = parts;
  }

  /** Claims that the worker does not know of yet. */
  get unknownCount(): number {
    return this.#unknownCount;
  }

  add(claim: PushedClaim): void {
    this.#unknownCount += 1;
    if (this.#waiting.push(claim) === 1) queueMicrotask(() => this.pass());
  }

  /** The socket is gone before they were acknowledged: the server has taken them back, or is about to. Says how many. */
  forget(): number {
    const { length } = this.#waiting;
    this.#unknownCount -= length;
    this.#waiting = [];
    return length;
  }

  /** Now: something about one of them is to follow, or the chunk has been read. */
  pass(): void {
    const claims = this.#waiting;
    this.#waiting = [];
    if (claims.length > 0) this.#parts.acknowledge(claims);
    for (const claim of claims) {
      this.#unknownCount -= 1;
      this.#parts.handOn(claim);
    }
  }
}
