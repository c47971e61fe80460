/**
 * Whether a worker's socket still lives, judged from what was heard of it and when: one look now and then, instead of a timer for each bound.
 * Decides alone; what follows from it is the link's. No clock of its own.
 */
import type { PushStateName } from './push-machine.ts';
import type { PushLimits } from './push-options.ts';

type PulseLimits = Pick<PushLimits, 'connectMs' | 'quietMs' | 'silenceMs' | 'steadyMs' | 'lookMs'>;

/** ask: for a sign of life. silent: it is as good as gone. steady: it has lasted. */
type Verdict = 'ask' | 'silent' | 'steady' | null;

/** A look that is later than this many of its intervals was held up by a handler, or by a machine that slept. */
const LATE_LOOKS = 5;

export class PushPulse {
  readonly #limits: PulseLimits;
  readonly #now: () => number;
  #heardAtMs = 0;
  /** When the link came to be in its state. */
  #sinceMs = 0;
  #lookedAtMs: number;
  #isAsked = false;

  constructor(limits: PulseLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#lookedAtMs = now();
  }

  hear(): void {
    this.#heardAtMs = this.#now();
    this.#isAsked = false;
  }

  onState(): void {
    this.#sinceMs = this.#now();
  }

  /** @param isOverdue A reply is owed for too long. */
  look(state: PushStateName, isOverdue: boolean): Verdict {
    const { connectMs, quietMs, silenceMs, steadyMs, lookMs } = this.#limits;
    const nowMs = this.#now();
    const sinceLookMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    // This process itself stood still: what has come meanwhile is read before anybody is said to be silent.
    if (sinceLookMs > lookMs * LATE_LOOKS) return null;
    const inStateMs = nowMs - this.#sinceMs;
    if (state === 'connecting' || state === 'greeting') return inStateMs >= connectMs ? 'silent' : null;
    if (state !== 'live') return null;
    const quietForMs = nowMs - this.#heardAtMs;
    if (isOverdue || quietForMs >= silenceMs) return 'silent';
    if (quietForMs >= quietMs && !this.#isAsked) {
      this.#isAsked = true;
      return 'ask';
    }
    return inStateMs >= steadyMs ? 'steady' : null;
  }
}
