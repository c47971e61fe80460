/** Events between the socket and the consumer, in order. The watch bounds it: it stops reading when this is full. */
export class EventQueue<E> {
  #items: E[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(events: readonly E[]): void {
    for (const event of events) this.#items.push(event);
  }

  shift(): E | undefined {
    const event = this.#items[this.#head];
    if (event === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      // Array.shift would move everything behind it each time.
      this.#items = [];
      this.#head = 0;
    }
    return event;
  }
}
