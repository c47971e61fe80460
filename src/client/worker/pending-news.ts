/** What one run has to say with its next heartbeat, and who waits for it to be heard. Values that come later win over earlier ones. */
import type { HeartbeatBody } from './run-line.ts';

export type News = Pick<HeartbeatBody, 'progress' | 'note' | 'checkpoint' | 'metadata'>;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Bundle {
  readonly news: News;
  readonly waiters: readonly Waiter[];
}

const NOTHING: Bundle = { news: {}, waiters: [] };

export class PendingNews {
  #next = NOTHING;
  /** With the heartbeat that is under way. */
  #sent = NOTHING;

  get isWaiting(): boolean {
    return this.#next.waiters.length > 0;
  }

  /** Somebody waits to know that it was heard. */
  get isAwaited(): boolean {
    return this.isWaiting || this.#sent.waiters.length > 0;
  }

  /** Resolves when it has been heard. */
  add(news: News): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#next = joined(this.#next, { news, waiters: [{ resolve, reject }] });
    });
  }

  /** To be sent now, until it is settled, refused or put back. */
  take(): News {
    this.#sent = joined(this.#sent, this.#next);
    this.#next = NOTHING;
    return this.#sent.news;
  }

  settle(): void {
    for (const { resolve } of this.#takeSent().waiters) resolve();
  }

  /** It will not be heard. false: the heartbeat brought nothing that could be refused. */
  refuse(error: unknown): boolean {
    const { waiters } = this.#takeSent();
    for (const { reject } of waiters) reject(error);
    return waiters.length > 0;
  }

  /** To be sent again, with what came meanwhile. */
  putBack(): void {
    this.#next = joined(this.#takeSent(), this.#next);
  }

  /** Nothing will be heard any more. */
  fail(error: unknown): void {
    this.putBack();
    const { waiters } = this.#next;
    this.#next = NOTHING;
    for (const { reject } of waiters) reject(error);
  }

  #takeSent(): Bundle {
    const sent = this.#sent;
    this.#sent = NOTHING;
    return sent;
  }
}

function joined(earlier: Bundle, later: Bundle): Bundle {
  if (later.waiters.length === 0) return earlier;
  if (earlier.waiters.length === 0) return later;
  const metadata = { ...earlier.news.metadata, ...later.news.metadata };
  const hasMetadata = Object.keys(metadata).length > 0;
  return {
    news: { ...earlier.news, ...later.news, ...(hasMetadata ? { metadata } : {}) },
    waiters: [...earlier.waiters, ...later.waiters],
  };
}
