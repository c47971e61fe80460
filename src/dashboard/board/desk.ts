/**
 * What a person is doing on the board: what is selected, where the keyboard is, what is dragged, what an action on a card came to. A store of
 * its own, so that a card that is not touched by it is not drawn again. Knows nothing of the server.
 */
import type { Card, TaskStatus } from '../live/card.ts';
import { follow, type Place, rangeOf, type ShownColumn } from './places.ts';

export interface Note {
  readonly kind: 'pending' | 'refused';
  readonly text: string;
  /** Of the card when the action was asked for: a later one answers what is pending. What was refused stays: the card has mostly changed. */
  readonly version: number;
}

export interface Dragged {
  readonly id: string;
  readonly status: TaskStatus;
}

export interface DeskState {
  readonly selected: ReadonlySet<string>;
  readonly place: Place | null;
  /** Rises when the place is to have the focus of the page: see `isFocusWaiting`. */
  readonly focusRequest: number;
  readonly dragged: Dragged | null;
  readonly notes: ReadonlyMap<string, Note>;
}

const NOBODY: ReadonlySet<string> = new Set();

export class Desk {
  #state: DeskState = {
    selected: NOBODY,
    place: null,
    focusRequest: 0,
    dragged: null,
    notes: new Map(),
  };
  /** Where a range begins. */
  #anchor: string | null = null;
  readonly #listeners = new Set<() => void>();
  #focusGiven = 0;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly read = (): DeskState => this.#state;

  toggle(id: string): void {
    const selected = new Set(this.#state.selected);
    if (!selected.delete(id)) selected.add(id);
    this.#anchor = id;
    this.#change({ selected });
  }

  /** From the card that was toggled last to this one, or only this one when they are in different columns. */
  extend(cards: readonly Card[], id: string): void {
    const range = this.#anchor === null ? null : rangeOf(cards, this.#anchor, id);
    if (range === null) this.toggle(id);
    else this.add(range);
  }

  add(ids: Iterable<string>): void {
    this.#change({ selected: new Set([...this.#state.selected, ...ids]) });
  }

  unselect(ids: Iterable<string>): void {
    const selected = new Set(this.#state.selected);
    for (const id of ids) selected.delete(id);
    this.#change({ selected });
  }

  clear(): void {
    this.#anchor = null;
    this.#change({ selected: NOBODY });
  }

  /** `isMoving`: the focus of the page goes there. */
  stand(place: Place | null, isMoving: boolean): void {
    const { place: before, focusRequest } = this.#state;
    const isSame =
      place?.id === before?.id && place?.index === before?.index && place?.status === before?.status;
    if (isSame && !isMoving) return;
    this.#change({ place, focusRequest: focusRequest + Number(isMoving) });
  }

  /** The place waits for the focus of the page: whoever shows it gives it, and says so. */
  get isFocusWaiting(): boolean {
    return this.#focusGiven !== this.#state.focusRequest;
  }

  focusGiven(): void {
    this.#focusGiven = this.#state.focusRequest;
  }

  drag(dragged: Dragged | null): void {
    if (this.#state.dragged !== dragged) this.#change({ dragged });
  }

  note(id: string, note: Note | null): void {
    const notes = new Map(this.#state.notes);
    if (note === null) notes.delete(id);
    else notes.set(id, note);
    this.#change({ notes });
  }

  /** After cards have moved. `hasLostFocus`: the page's focus was on a card that is gone. */
  settle(
    columns: readonly ShownColumn[],
    cardOf: (id: string) => Card | undefined,
    hasLostFocus: () => boolean,
  ): void {
    const { place, notes, selected } = this.#state;
    const answered = [...notes].filter(([id, { kind, version }]) => {
      const card = cardOf(id);
      return card === undefined || (kind === 'pending' && card.version > version);
    });
    if (answered.length > 0) {
      const gone = new Set(answered.map(([id]) => id));
      this.#change({ notes: new Map([...notes].filter(([id]) => !gone.has(id))) });
    }
    const lost = [...selected].filter((id) => cardOf(id) === undefined);
    if (lost.length > 0) this.unselect(lost);
    if (place === null) return;
    const now = follow(columns, place);
    this.stand(now, now !== null && now.id !== place.id && hasLostFocus());
  }

  #change(change: Partial<DeskState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}
