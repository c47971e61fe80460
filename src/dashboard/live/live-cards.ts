/**
 * The cards of a board: each by its id, and in the column of its status. All that are unfinished, and of the finished those that finished
 * last. Must never decide what has become of a task: what is put here was read, or folded from the log.
 */
import { type Card, type TaskStatus, withTold } from './card.ts';
import { Columns } from './columns.ts';
import { isFinishedStatus } from './statuses.ts';

/** Of done, cancelled and archived tasks each those that finished last stay, so many: those that were read, and what comes while the page is open. */
const FINISHED_KEPT = 200;

export class LiveCards {
  readonly #cards = new Map<string, Card>();
  readonly #columns = new Columns();
  /** Finished cards that stay: more once a person asked for older ones. */
  readonly #kept = new Map<TaskStatus, number>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get(id: string): Card | undefined {
    return this.#cards.get(id);
  }

  /** In no order. */
  all(): IterableIterator<Card> {
    return this.#cards.values();
  }

  column(status: TaskStatus): readonly Card[] {
    return this.#columns.of(status);
  }

  sizeOf(status: TaskStatus): number {
    return this.#columns.sizeOf(status);
  }

  /** These and no others; what was told of them before stays. */
  reset(cards: readonly Card[]): void {
    const before = new Map(this.#cards);
    this.#cards.clear();
    this.#columns.clear();
    this.#kept.clear();
    for (const card of cards) this.put(undefined, withTold(before.get(card.id), card));
    this.#onChange();
  }

  /** Room for so many more that finished long ago. */
  keepOlder(status: TaskStatus, count: number): void {
    this.#kept.set(status, this.#columns.sizeOf(status) + count + FINISHED_KEPT);
  }

  putNewer(card: Card): void {
    const before = this.#cards.get(card.id);
    // What has happened since was told by events that came in the meantime.
    if (before === undefined || card.version >= before.version) this.put(before, withTold(before, card));
  }

  put(before: Card | undefined, after: Card | undefined): void {
    if (after === undefined) {
      if (before !== undefined) this.#cards.delete(before.id);
    } else this.#cards.set(after.id, after);
    this.#columns.put(before, after);
    this.#onChange();
    if (after !== undefined && isFinishedStatus(after.status)) this.#forgetOldest(after.status);
  }

  #forgetOldest(status: TaskStatus): void {
    const kept = this.#kept.get(status) ?? FINISHED_KEPT;
    // Twice the bound, so that it is seldom sorted for this.
    if (this.#columns.sizeOf(status) <= 2 * kept) return;
    for (const card of this.#columns.of(status).slice(kept)) this.put(card, undefined);
  }
}
