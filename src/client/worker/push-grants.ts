/**
 * The talk about credits over a push link: when they are sent, what a refusal means, and when no claim can come any more. How many there
 * are, push-credits.ts knows. Says nothing by itself: the link asks at the end of each turn.
 */
import type { LanekeeperError } from '../errors.ts';
import { PushCredits } from './push-credits.ts';

interface PushGrantsParts {
  readonly lane: string;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  /** How long an answer may take. */
  readonly replyMs: number;
  /** For good: none are asked for any more. */
  readonly onEnded: (error: LanekeeperError) => void;
}

const CREDIT_ID = 'credit';

export class PushGrants {
  readonly #parts: PushGrantsParts;
  readonly #credits = new PushCredits();
  /** false: they were refused a moment ago. */
  #isDue = true;
  #isOver = false;
  /** When the credits were sent that are not answered yet; null: none. */
  #sentAtMs: number | null = null;
  /** Waits for the credits to run dry. */
  #whenDry: (() => void)[] = [];

  constructor(parts: PushGrantsParts) {
    this.#parts = parts;
  }

  setRoom(count: number): void {
    this.#credits.setRoom(count);
  }

  onClaim(): void {
    this.#credits.onClaim();
  }

  /** The frame to send now on the live socket; null: none. */
  next(): string | null {
    if (!this.#isDue || this.#isOver) return null;
    const credits = this.#credits.next();
    if (credits === null) return null;
    this.#sentAtMs = this.#parts.now();
    return JSON.stringify({ type: 'credit', id: CREDIT_ID, lane: this.#parts.lane, credits });
  }

  /** True: the reply was to credits. */
  onReply(id: string): boolean {
    if (id !== CREDIT_ID) return false;
    this.#sentAtMs = null;
    this.#credits.onAnswered();
    return true;
  }

  /**
   * True: it was about credits, which with an error of no id the server has dropped: the lane is gone, or not one to push to any more. What
   * may pass is tried again at the next look. What does not ends the claims that come, and not the socket: claims without a token have
   * nothing else to speak for them.
   */
  onError(id: string | undefined, error: LanekeeperError): boolean {
    if (id === CREDIT_ID) {
      this.#sentAtMs = null;
      this.#credits.onRefused();
    } else if (id === undefined) this.#credits.reset();
    else return false;
    this.#isDue = false;
    if (!error.retryable && !this.#isOver) {
      this.#isOver = true;
      this.#credits.reset();
      this.#parts.onEnded(error);
    }
    return true;
  }

  /** Some time has passed. */
  onLook(): void {
    this.#isDue = true;
  }

  /** The server owes an answer for longer than a live one does. */
  get isOverdue(): boolean {
    return this.#sentAtMs !== null && this.#parts.now() - this.#sentAtMs >= this.#parts.replyMs;
  }

  /** So many that came over the socket that is gone were never the worker's. */
  onForgotten(count: number): void {
    this.#credits.onForgotten(count);
  }

  /** The socket is gone, and they with it. */
  strand(): void {
    this.#sentAtMs = null;
    this.#credits.reset();
    this.tellWhenDry();
  }

  /** Resolves when no claim can come any more, unless more is asked for. */
  async dry(): Promise<void> {
    if (!this.#credits.isDry) await new Promise<void>((resolve) => this.#whenDry.push(resolve));
  }

  tellWhenDry(): void {
    if (!this.#credits.isDry) return;
    const waiting = this.#whenDry;
    this.#whenDry = [];
    for (const resolve of waiting) resolve();
  }
}
