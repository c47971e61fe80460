/** The desk of the page and what can be done from a card; the same object for as long as the page is there, so that cards stay as they are. */
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Card, TaskStatus } from '../live/card.ts';
import type { TaskAction } from '../task/actions.ts';
import type { Desk, DeskState } from './desk.ts';

export interface CardHandlers {
  readonly desk: Desk;
  readonly act: (action: TaskAction, card: Card) => void;
  /** On the card, or on all that are selected when it is one of them. */
  readonly drop: (card: Card, target: TaskStatus) => void;
  readonly openMenu: (card: Card, anchor: HTMLElement) => void;
  /** The cards of a column as they are shown. */
  readonly cardsOf: (status: TaskStatus) => readonly Card[];
}

const CardHandlersContext = createContext<CardHandlers | null>(null);

export const CardHandlersProvider = CardHandlersContext.Provider;

export function useCardHandlers(): CardHandlers {
  const handlers = useContext(CardHandlersContext);
  if (handlers === null) throw new Error('A card is used outside of a board');
  return handlers;
}

export function useDesk(): DeskState {
  const { desk } = useCardHandlers();
  return useSyncExternalStore(desk.subscribe, desk.read);
}
