/**
 * The cards of each status in the order in which they are looked at. What has changed since a column was looked at last is taken out of the
 * old order and merged into it again, so that an event among thousands of cards costs one pass over two columns, once a frame: sorting
 * five thousand cards anew a hundred times a second would take the frames away from scrolling.
 */
import type { Card, TaskStatus } from './card.ts';

type Order = (left: Card, right: Card) => number;

const byId: Order = (left, right) => (left.id < right.id ? -1 : Number(left.id > right.id));
/** As they will be claimed. */
const byTurn: Order = (left, right) => right.priority - left.priority || byId(left, right);
/** What has stood longest asks for attention first. */
const byAge: Order = (left, right) => left.statusSinceMs - right.statusSinceMs || byId(left, right);
const newestFirst: Order = (left, right) => right.statusSinceMs - left.statusSinceMs || byId(left, right);
const byStart: Order = (left, right) =>
  (left.runAtMs ?? Number.POSITIVE_INFINITY) - (right.runAtMs ?? Number.POSITIVE_INFINITY) ||
  byTurn(left, right);

const ORDERS: Readonly<Record<TaskStatus, Order>> = {
  triage: byAge,
  todo: byTurn,
  scheduled: byStart,
  ready: byTurn,
  running: byAge,
  blocked: byAge,
  review: byAge,
  done: newestFirst,
  cancelled: newestFirst,
  archived: newestFirst,
};

const NONE: readonly Card[] = [];

class Column {
  readonly cards = new Map<string, Card>();
  readonly #order: Order;
  /** Since `#sorted` was made. */
  readonly #changed = new Set<string>();
  #sorted: readonly Card[] = NONE;

  constructor(order: Order) {
    this.#order = order;
  }

  put(card: Card): void {
    this.cards.set(card.id, card);
    this.#changed.add(card.id);
  }

  take(id: string): void {
    if (this.cards.delete(id)) this.#changed.add(id);
  }

  /** The same array until one of its cards changes. */
  sorted(): readonly Card[] {
    if (this.#changed.size === 0) return this.#sorted;
    const kept = this.#sorted.filter(({ id }) => !this.#changed.has(id));
    const moved: Card[] = [];
    for (const id of this.#changed) {
      const card = this.cards.get(id);
      if (card !== undefined) moved.push(card);
    }
    this.#changed.clear();
    const merged = merge(kept, moved.sort(this.#order), this.#order);
    this.#sorted = merged.length === 0 ? NONE : merged;
    return this.#sorted;
  }
}

function merge(left: readonly Card[], right: readonly Card[], order: Order): readonly Card[] {
  if (right.length === 0) return left;
  const merged: Card[] = [];
  let at = 0;
  for (const card of right) {
    for (let next = left[at]; next !== undefined && order(next, card) <= 0; next = left[at]) {
      merged.push(next);
      at += 1;
    }
    merged.push(card);
  }
  return merged.concat(left.slice(at));
}

export class Columns {
  readonly #columns = new Map<TaskStatus, Column>();

  /** Takes a card from where it stood and puts it where it belongs now. */
  put(before: Card | undefined, after: Card | undefined): void {
    if (before !== undefined && before.status !== after?.status)
      this.#columns.get(before.status)?.take(before.id);
    if (after === undefined) return;
    let column = this.#columns.get(after.status);
    if (column === undefined) {
      column = new Column(ORDERS[after.status]);
      this.#columns.set(after.status, column);
    }
    column.put(after);
  }

  of(status: TaskStatus): readonly Card[] {
    return this.#columns.get(status)?.sorted() ?? NONE;
  }

  sizeOf(status: TaskStatus): number {
    return this.#columns.get(status)?.cards.size ?? 0;
  }

  clear(): void {
    this.#columns.clear();
  }
}
