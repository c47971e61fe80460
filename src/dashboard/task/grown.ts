/** Something that is made of a list of events, of which at each change only those are looked at that were added at its end. Pure. */
import type { Event } from '../../client/index.ts';

export class Grown<Result> {
  readonly #empty: Result;
  readonly #extend: (before: Result, added: readonly Event[]) => Result;
  #events: readonly Event[] = [];
  #result: Result;

  constructor(empty: Result, extend: (before: Result, added: readonly Event[]) => Result) {
    this.#empty = empty;
    this.#extend = extend;
    this.#result = empty;
  }

  /** The same for the same events: it may be asked for while a page is drawn. */
  of(events: readonly Event[]): Result {
    if (events === this.#events) return this.#result;
    const known = this.#events.length;
    // Lists are ordered and without doubles: where both ends are where they were, so is all between them.
    const isLonger =
      known > 0 && events[0] === this.#events[0] && events[known - 1] === this.#events[known - 1];
    this.#result = isLonger
      ? this.#extend(this.#result, events.slice(known))
      : this.#extend(this.#empty, events);
    this.#events = events;
    return this.#result;
  }
}
