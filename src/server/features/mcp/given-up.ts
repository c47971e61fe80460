/**
 * Calls that a client gives up by a message instead of by leaving: notifications/cancelled, which is how clients of the revisions of 2025
 * say it over HTTP. Without it a person who interrupts an agent that waits for work would leave it with a task that nobody does.
 *
 * A hint and no more: it is heard by the server that it was sent to, which need not be the one that waits. Ids are each client's own, and
 * clients may share a key, so of several calls with one id none is ended. At worst a stranger's wait under the same key ends early.
 */
import type { Exchange } from '../../http/exchange.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';

type RequestId = string | number;

export class GivenUp {
  /** As many as there are calls under way. */
  readonly #calls = new Map<string, Set<AbortController>>();

  /** Does the work with the exchange as it is for a client that has gone, from the moment on when this one gives the call up. */
  async during<T>(
    caller: Principal,
    exchange: Exchange,
    id: unknown,
    work: (exchange: Exchange) => Promise<T>,
  ): Promise<T> {
    if (!isRequestId(id)) return work(exchange);
    const key = keyOf(caller, id);
    const calls = this.#calls.get(key) ?? new Set();
    const controller = new AbortController();
    // By hand: what AbortSignal.any makes outlives the request on Node 20.
    const onGone = (): void => controller.abort(exchange.signal.reason);
    exchange.signal.addEventListener('abort', onGone, { once: true });
    if (exchange.signal.aborted) onGone();
    this.#calls.set(key, calls.add(controller));
    try {
      return await work(leavable(exchange, controller.signal));
    } finally {
      exchange.signal.removeEventListener('abort', onGone);
      calls.delete(controller);
      if (calls.size === 0) this.#calls.delete(key);
    }
  }

  /** Of a notifications/cancelled. */
  giveUp(caller: Principal, requestId: unknown): void {
    const calls = isRequestId(requestId) ? this.#calls.get(keyOf(caller, requestId)) : undefined;
    const [only, ...others] = calls ?? [];
    if (others.length === 0)
      only?.abort(new ProblemError('invalid_request', 'The client did not wait for the answer.'));
  }
}

function leavable(exchange: Exchange, signal: AbortSignal): Exchange {
  return {
    ...exchange,
    signal,
    isConnected: () => !signal.aborted && exchange.isConnected(),
    onUndelivered: (callback) => {
      if (signal.aborted) callback();
      else exchange.onUndelivered(callback);
    },
  };
}

/** An id is a text or a number, which are two. */
function keyOf(caller: Principal, id: RequestId): string {
  return `${actorOf(caller).id} ${JSON.stringify(id)}`;
}

function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || typeof value === 'number';
}
