/**
 * Visits every member once an interval, a share of them at each tick, with one timer for all. Timers of their own cost each member more than
 * most of what else it holds, and go off together when the members came together.
 */

interface RoundsOptions<T> {
  readonly intervalMs: number;
  /** Must not throw. */
  readonly visit: (member: T) => void;
}

/** Of one interval: what one tick has to do stays short, and a member is visited at most a twentieth late. */
const TICKS = 20;

export class Rounds<T> {
  readonly #options: RoundsOptions<T>;
  readonly #shares = Array.from({ length: TICKS }, () => new Set<T>());
  #tick = 0;
  #size = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RoundsOptions<T>) {
    this.#options = options;
  }

  /** Its first visit is about a whole interval away. */
  add(member: T): void {
    this.#shares[this.#tick]?.add(member);
    this.#size += 1;
    this.#timer ??= setInterval(() => this.#visitShare(), this.#options.intervalMs / TICKS);
  }

  remove(member: T): void {
    for (const share of this.#shares) {
      if (!share.delete(member)) continue;
      this.#size -= 1;
      break;
    }
    if (this.#size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #visitShare(): void {
    this.#tick = (this.#tick + 1) % TICKS;
    for (const member of this.#shares[this.#tick] ?? []) this.#options.visit(member);
  }
}
