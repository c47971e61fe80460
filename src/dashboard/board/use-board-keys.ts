/** The board's keys. They act on what is shown at that moment, and say so to the help. */
import type { RefObject } from 'react';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import type { Card } from '../live/card.ts';
import { useLiveBoard } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import type { Desk } from './desk.ts';
import { type ShownColumn, step } from './places.ts';

interface BoardKeys {
  readonly desk: Desk;
  readonly columns: RefObject<readonly ShownColumn[]>;
  readonly openTask: (id: string) => void;
  readonly openMenu: (card: Card, anchor: HTMLElement) => void;
  readonly openNewTask: () => void;
}

type Direction = Parameters<typeof step>[2];

const MOVES: readonly (readonly [keys: string, label: string, direction: Direction])[] = [
  ['j', 'Next card', 'down'],
  ['k', 'Card before', 'up'],
  ['h', 'Column to the left', 'left'],
  ['l', 'Column to the right', 'right'],
  ['ArrowDown', 'Next card', 'down'],
  ['ArrowUp', 'Card before', 'up'],
  ['ArrowLeft', 'Column to the left', 'left'],
  ['ArrowRight', 'Column to the right', 'right'],
];

/** The list is fixed, so the hooks are always the same. */
function useMove(index: number, go: (direction: Direction) => void): void {
  const [keys, label, direction] = MOVES[index] ?? ['', '', 'down'];
  useShortcut({ keys, label, group: 'Board', act: () => go(direction) });
}

export function useBoardKeys({ desk, columns, openTask, openMenu, openNewTask }: BoardKeys): void {
  const { may } = useSession();
  const board = useLiveBoard();
  const go = (direction: Direction): void =>
    desk.stand(step(columns.current, desk.read().place, direction), true);
  useMove(0, go);
  useMove(1, go);
  useMove(2, go);
  useMove(3, go);
  useMove(4, go);
  useMove(5, go);
  useMove(6, go);
  useMove(7, go);
  const onCard = (act: (card: Card, element: Element) => void): void => {
    const { place } = desk.read();
    const card = place === null ? undefined : board.card(place.id);
    const element = card && document.querySelector(`[data-card="${CSS.escape(card.id)}"]`);
    if (card !== undefined && element != null) act(card, element);
  };
  useShortcut({
    keys: 'Enter',
    label: 'Open the task',
    group: 'Board',
    act: () => onCard(({ id }) => openTask(id)),
  });
  useShortcut(
    {
      keys: 'x',
      label: 'Select or unselect',
      group: 'Board',
      act: () => onCard(({ id }) => desk.toggle(id)),
    },
    may.operate,
  );
  useShortcut(
    {
      keys: 'e',
      label: 'Actions of the card',
      group: 'Board',
      act: () =>
        onCard((card, element) => {
          const link = element.querySelector('a');
          if (link !== null) openMenu(card, link);
        }),
    },
    may.operate,
  );
  useShortcut({ keys: 'n', label: 'New task', group: 'Board', act: openNewTask }, may.operate);
  useShortcut({ keys: '+', label: 'New task', group: 'Board', act: openNewTask }, may.operate);
  useShortcut({ keys: 'Escape', label: 'Clear the selection', group: 'Board', act: () => desk.clear() });
}
