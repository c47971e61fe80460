/**
 * What one run is told while it works: each message once, to whoever takes it first. A message is acknowledged when it is taken and not
 * before, so one that nobody here wanted is told to the next attempt. Holds what the server lets wait, 100 messages, and no more.
 */
import type { SteeringMessage } from './steering-message.ts';

type Listener = (message: SteeringMessage) => void;
type Reader = (result: IteratorResult<SteeringMessage, undefined>) => void;

const DONE = { done: true, value: undefined } as const;

export class Inbox implements AsyncIterable<SteeringMessage> {
  readonly #acknowledge: (ids: readonly string[]) => void;
  readonly #onTrouble: (error: unknown) => void;
  readonly #known = new Set<string>();
  readonly #taken = new Set<string>();
  readonly #waiting: SteeringMessage[] = [];
  #readers: Reader[] = [];
  #listeners: Listener[] = [];
  #toAcknowledge: string[] = [];
  #isClosed = false;

  /** @param onTrouble Hears what a listener has thrown: whoever brings messages is not to suffer for it. */
  constructor(acknowledge: (ids: readonly string[]) => void, onTrouble: (error: unknown) => void) {
    this.#acknowledge = acknowledge;
    this.#onTrouble = onTrouble;
  }

  add(messages: readonly SteeringMessage[]): void {
    for (const { id, text, at } of messages) {
      // The acknowledgement was lost, or is on its way: once more does no harm.
      if (this.#taken.has(id)) this.#noteTaken(id);
      if (this.#isClosed || this.#known.has(id)) continue;
      this.#known.add(id);
      this.#waiting.push({ id, text, at });
    }
    this.#handOut();
  }

  /** Called with each message from now on, and with those that wait already; undone by what it returns. */
  listen(listener: Listener): () => void {
    this.#listeners.push(listener);
    this.#handOut();
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  /** Nothing is told any more. What nobody has taken stays unacknowledged. */
  close(): void {
    this.#isClosed = true;
    const readers = this.#readers;
    this.#readers = [];
    for (const reader of readers) reader(DONE);
  }

  [Symbol.asyncIterator](): AsyncIterator<SteeringMessage, undefined> {
    const mine = new Set<Reader>();
    return {
      next: () => this.#next(mine),
      return: () => {
        // Whoever reads no more must take no message from others.
        this.#readers = this.#readers.filter((reader) => !mine.has(reader));
        for (const reader of mine) reader(DONE);
        return Promise.resolve(DONE);
      },
    };
  }

  /** @param mine The readers of one iterator that wait. */
  #next(mine: Set<Reader>): Promise<IteratorResult<SteeringMessage, undefined>> {
    if (this.#isClosed) return Promise.resolve(DONE);
    return new Promise((resolve) => {
      const reader: Reader = (result) => {
        mine.delete(reader);
        resolve(result);
      };
      mine.add(reader);
      this.#readers.push(reader);
      this.#handOut();
    });
  }

  #handOut(): void {
    while (this.#waiting.length > 0 && (this.#readers.length > 0 || this.#listeners.length > 0)) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#taken.add(message.id);
      this.#noteTaken(message.id);
      const reader = this.#readers.shift();
      if (reader !== undefined) reader({ done: false, value: message });
      else for (const listener of this.#listeners) this.#call(listener, message);
    }
  }

  #call(listener: Listener, message: SteeringMessage): void {
    try {
      listener(message);
    } catch (error) {
      this.#onTrouble(error);
    }
  }

  /** Those of one turn go together. */
  #noteTaken(id: string): void {
    if (this.#toAcknowledge.push(id) > 1) return;
    queueMicrotask(() => {
      const ids = this.#toAcknowledge;
      this.#toAcknowledge = [];
      this.#acknowledge(ids);
    });
  }
}
