/** Where the keyboard is on the board, and where it goes from there. Pure. */
import type { Card, TaskStatus } from '../live/card.ts';

export interface ShownColumn {
  readonly status: TaskStatus;
  /** In their order, filtered. */
  readonly cards: readonly Card[];
  /** Closed columns show none of them. */
  readonly isClosed: boolean;
}

export interface Place {
  readonly status: TaskStatus;
  readonly index: number;
  readonly id: string;
}

function placeAt({ status, cards }: ShownColumn, index: number): Place | null {
  const at = Math.max(0, Math.min(index, cards.length - 1));
  const card = cards[at];
  return card === undefined ? null : { status, index: at, id: card.id };
}

const isOpen = ({ isClosed, cards }: ShownColumn): boolean => !isClosed && cards.length > 0;

/** Where the keyboard arrives. */
export function firstPlace(columns: readonly ShownColumn[]): Place | null {
  const column = columns.find(isOpen);
  return column === undefined ? null : placeAt(column, 0);
}

/** One card up or down, or one column with cards to the side, as far down as before. Stays where it is at an edge. */
export function step(
  columns: readonly ShownColumn[],
  from: Place | null,
  direction: 'up' | 'down' | 'left' | 'right',
): Place | null {
  if (from === null) return firstPlace(columns);
  const at = columns.findIndex(({ status }) => status === from.status);
  const column = columns[at];
  if (column === undefined) return firstPlace(columns);
  if (direction === 'up' || direction === 'down')
    return placeAt(column, from.index + (direction === 'up' ? -1 : 1)) ?? from;
  const beside = direction === 'left' ? columns.slice(0, at).reverse() : columns.slice(at + 1);
  const next = beside.find(isOpen);
  return next === undefined ? from : placeAt(next, from.index);
}

/**
 * Where the place is after cards have moved: at the same card while it is in the same column, else at the one that took its place. null: the
 * whole board is empty.
 */
export function follow(columns: readonly ShownColumn[], place: Place): Place | null {
  const column = columns.find(({ status }) => status === place.status);
  if (column === undefined || !isOpen(column)) return firstPlace(columns);
  if (column.cards[place.index]?.id === place.id) return place;
  const index = column.cards.findIndex(({ id }) => id === place.id);
  return placeAt(column, index < 0 ? place.index : index);
}

/** The ids from one card to another of the same column, in either direction; null: they are not both there. */
export function rangeOf(cards: readonly Card[], from: string, to: string): readonly string[] | null {
  const ends = [cards.findIndex(({ id }) => id === from), cards.findIndex(({ id }) => id === to)];
  const [start = -1, end = -1] = ends.sort((left, right) => left - right);
  return start < 0 ? null : cards.slice(start, end + 1).map(({ id }) => id);
}
