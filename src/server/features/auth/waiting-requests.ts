/**
 * Requests that wait, by the credential they came with: when it no longer holds they end, as its sockets do, and are given nothing that
 * turns up later. Who is let in is decided elsewhere; this only looks again. Asking once more at the end of a wait would be too late: a
 * claim has been made by then.
 */
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Authenticator } from './authenticator.ts';

type Refuse = (problem: ProblemError) => void;

export class WaitingRequests {
  readonly #authenticator: Authenticator;
  readonly #onError: (error: unknown) => void;
  /** As many as requests wait, and those have a bound of their own. */
  readonly #waiting = new Map<string | undefined, Set<Refuse>>();

  constructor(authenticator: Authenticator, onError: (error: unknown) => void) {
    this.#authenticator = authenticator;
    this.#onError = onError;
  }

  /** @param refuse Called at most once. Returns the way to leave. */
  enter(authorization: string | undefined, refuse: Refuse): () => void {
    const group = this.#waiting.get(authorization) ?? new Set();
    this.#waiting.set(authorization, group.add(refuse));
    return () => {
      group.delete(refuse);
      if (group.size === 0 && this.#waiting.get(authorization) === group) this.#waiting.delete(authorization);
    };
  }

  /** Each credential is looked at once, and all that are due in one statement. */
  async refuseRevoked(): Promise<void> {
    if (this.#waiting.size === 0) return;
    await this.#authenticator.refresh([...this.#waiting.keys()]);
    await Promise.all(
      [...this.#waiting].map(([authorization, group]) => this.#recheck(authorization, group)),
    );
  }

  async #recheck(authorization: string | undefined, group: Set<Refuse>): Promise<void> {
    try {
      await this.#authenticator.verify(authorization);
    } catch (error) {
      const isRefused =
        error instanceof ProblemError && (error.code === 'unauthenticated' || error.code === 'token_expired');
      // The database is away: nothing is known, so nothing ends.
      if (!isRefused) this.#onError(error);
      else for (const refuse of [...group]) refuse(error);
    }
  }
}
