/**
 * A part of a board's log as it was read, and the frames it becomes. The JSON of an event is made once, and what is sent of it once for all
 * watches that share filter and position: with a thousand watchers this is most of what an event costs. Ids and filters are the clients' choice, so
 * nothing is kept for each of them: frames share all but their heads, and of the filters only the first few are remembered.
 *
 * A frame ends where a change ends. A transaction that is larger than a frame is cut all the same, and each frame that ends inside it says
 * so (`partial`), because one that had to come whole could be of any size.
 */
import type { Event } from '../../../contract/events.ts';
import { type PreparedFrame, SharedTail } from '../../ws/prepared-frame.ts';
import type { BoardRef } from '../boards/service.ts';
import type { LogRead, LogRow } from './store.ts';
import { cursorAt, type EventFilter, eventOf, passes } from './view.ts';

/** What is sent at once of the events that pass one filter. */
export class EventsPortion {
  readonly events: readonly Event[];
  /** The position after it. */
  readonly seq: number;
  /** It ends inside a transaction. */
  readonly isPartial: boolean;
  readonly cursor: string;
  readonly #texts: readonly string[];
  /** Of the frames: all but the id, which a watch has given itself. */
  #tail: SharedTail | undefined;

  constructor(board: BoardRef, content: Content, seq: number, isPartial: boolean) {
    this.events = content.events;
    this.#texts = content.texts;
    this.seq = seq;
    this.isPartial = isPartial;
    this.cursor = cursorAt(board, seq);
  }

  frameFor(id: string): PreparedFrame {
    const ending = this.isPartial ? ',"partial":true}' : '}';
    this.#tail ??= new SharedTail(`"events":[${this.#texts.join(',')}],"cursor":"${this.cursor}"${ending}`);
    return this.#tail.frameAfter(`{"type":"events","id":${JSON.stringify(id)},`);
  }
}

interface Content {
  readonly events: readonly Event[];
  /** Their JSON. */
  readonly texts: readonly string[];
}

/** What is sent of one transaction. */
interface Change extends Content {
  readonly endSeq: number;
  /** False: it goes on beyond this batch. */
  readonly isWhole: boolean;
}

/** Half of what may lie unsent on a socket: one frame on its way, and the next one ready. Text, in bytes at most three times as much. */
const FRAME_CHARACTERS_MAX = 128 * 1024;
/** Filters whose portions are kept, at up to some megabytes each; with more in use at once the others share less. */
const PORTIONS_KEPT_MAX = 32;
/** Of every filter that lets nothing of a batch through. */
const NOTHING: readonly EventsPortion[] = [];

export class EventBatch {
  readonly board: BoardRef;
  readonly afterSeq: number;
  /** The position after the last event. */
  readonly seq: number;
  readonly events: readonly Event[];
  /** Nothing lay beyond it when it was read. */
  readonly isAtEnd: boolean;
  readonly #rows: readonly LogRow[];
  readonly #texts: string[] = [];
  readonly #portions = new Map<EventFilter, readonly EventsPortion[]>();
  #portionsKept = 0;

  /** What is read of a transaction whose end is not in it is left for the next read, unless there is nothing else. */
  constructor(board: BoardRef, afterSeq: number, { rows, isAtEnd }: LogRead) {
    const wholeRows = rows.slice(0, rows.findLastIndex((row) => row.is_change_end) + 1);
    this.board = board;
    this.afterSeq = afterSeq;
    this.#rows = wholeRows.length > 0 ? wholeRows : rows;
    this.seq = this.#rows.at(-1)?.seq ?? afterSeq;
    this.events = this.#rows.map((row) => eventOf(board, row));
    this.isAtEnd = isAtEnd && this.#rows.length === rows.length;
  }

  /** False: it ends inside a transaction that is larger than one read. */
  get isWhole(): boolean {
    return this.#rows.at(-1)?.is_change_end ?? true;
  }

  /** @param filter The same object for all that share it; it is what they are kept by. */
  portionsFor(filter: EventFilter, afterSeq: number): readonly EventsPortion[] {
    // Who joined within it is alone with that.
    if (afterSeq > this.afterSeq) return this.#pack(filter, afterSeq);
    const known = this.#portions.get(filter);
    if (known !== undefined) return known;
    const portions = this.#pack(filter, afterSeq);
    if (portions.length === 0) this.#portions.set(filter, NOTHING);
    else if (this.#portionsKept < PORTIONS_KEPT_MAX) {
      this.#portionsKept += 1;
      this.#portions.set(filter, portions);
    }
    return portions;
  }

  #pack(filter: EventFilter, afterSeq: number): readonly EventsPortion[] {
    const packer = new Packer(this.board);
    for (const change of this.#changesFor(filter, afterSeq)) packer.add(change);
    return packer.finish(this.seq);
  }

  *#changesFor(filter: EventFilter, afterSeq: number): Generator<Change> {
    let events: Event[] = [];
    let texts: string[] = [];
    for (const [index, event] of this.events.entries()) {
      if (event.seq > afterSeq && passes(filter, event)) {
        events.push(event);
        texts.push(this.#textOf(index, event));
      }
      const isWhole = this.#rows[index]?.is_change_end === true;
      if (events.length === 0 || (!isWhole && index < this.events.length - 1)) continue;
      yield { events, texts, endSeq: event.seq, isWhole };
      events = [];
      texts = [];
    }
  }

  #textOf(index: number, event: Event): string {
    const known = this.#texts[index];
    if (known !== undefined) return known;
    const text = JSON.stringify(event);
    this.#texts[index] = text;
    return text;
  }
}

/** Fills portions with whole changes. */
class Packer {
  readonly #board: BoardRef;
  readonly #portions: EventsPortion[] = [];
  #events: Event[] = [];
  #texts: string[] = [];
  #characters = 0;
  /** The position after what is in the open portion. */
  #seq = 0;

  constructor(board: BoardRef) {
    this.#board = board;
  }

  add({ events, texts, endSeq, isWhole }: Change): void {
    const characters = texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#characters + characters > FRAME_CHARACTERS_MAX) this.#close(false);
    for (const [index, event] of events.entries()) {
      const text = texts[index] ?? '';
      if (this.#characters + text.length > FRAME_CHARACTERS_MAX) this.#close(true);
      this.#events.push(event);
      this.#texts.push(text);
      this.#characters += text.length;
      this.#seq = event.seq;
    }
    if (isWhole) this.#seq = endSeq;
    else this.#close(true);
  }

  /** @param seq The position after the batch: what lies between the last portion's events and it let nothing through. */
  finish(seq: number): readonly EventsPortion[] {
    this.#seq = seq;
    this.#close(false);
    return this.#portions;
  }

  #close(isPartial: boolean): void {
    if (this.#events.length === 0) return;
    const content = { events: this.#events, texts: this.#texts };
    this.#portions.push(new EventsPortion(this.#board, content, this.#seq, isPartial));
    this.#events = [];
    this.#texts = [];
    this.#characters = 0;
  }
}
