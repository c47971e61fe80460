/** How many calls of each key wait. Says no more than that there are too many: whom a wait is for, and when it ends, is for waiting.ts. */
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';

/** Of one key: what three bridges may have under way at once (cli/mcp/bridge.ts). Each costs a follower of the log, and reads. */
const WAITS_PER_KEY_MAX = 100;

/** How many calls wait, by key. Those of claim tokens are bounded as their requests are (http/request-turns.ts). */
export class Waits {
  /** Only of keys that have some. */
  readonly #counts = new Map<string, number>();

  async during<T>(caller: Principal, wait: () => Promise<T>): Promise<T> {
    if (caller.kind === 'claim') return wait();
    const { keyId } = caller;
    const count = this.#counts.get(keyId) ?? 0;
    if (count >= WAITS_PER_KEY_MAX) throw tooMany();
    this.#counts.set(keyId, count + 1);
    try {
      return await wait();
    } finally {
      const left = (this.#counts.get(keyId) ?? 0) - 1;
      if (left > 0) this.#counts.set(keyId, left);
      else this.#counts.delete(keyId);
    }
  }
}

function tooMany(): ProblemError {
  const detail = `${WAITS_PER_KEY_MAX} calls of this key are waiting, as many as may; retry when one has been answered.`;
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}
