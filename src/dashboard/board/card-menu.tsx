/**
 * What can be done with a card, as a list: one for the whole board, opened beside the card that it is for. It offers what the card allows now:
 * the card may move while the list is open.
 */
import { type ReactNode, useCallback, useEffect, useLayoutEffect, useRef } from 'react';
import { useCard } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { actionsFor } from '../task/actions.ts';
import { MenuList } from '../ui/menu-list.tsx';
import { useCardHandlers } from './desk-context.tsx';

export interface OpenMenu {
  /** Of the card. */
  readonly id: string;
  readonly anchor: HTMLElement;
}

interface CardMenuProps {
  readonly open: OpenMenu;
  readonly onClose: () => void;
}

export function CardMenu({ open: { id, anchor }, onClose }: CardMenuProps): ReactNode {
  const list = useRef<HTMLDivElement>(null);
  const { may } = useSession();
  const { act, desk } = useCardHandlers();
  const card = useCard(id);
  const isGone = card === undefined;
  useLayoutEffect(() => {
    const element = list.current;
    element?.showPopover();
    // Closed before it is taken out of the page: only then does the focus go back to where it was.
    return () => element?.hidePopover();
  }, []);
  useEffect(() => {
    if (isGone) onClose();
  }, [isGone, onClose]);
  const read = useCallback(() => anchor, [anchor]);
  if (isGone) return null;
  const items = actionsFor(card.status, may).map((action) => ({
    label: action.label,
    isDestructive: action.isDestructive === true,
    onSelect: () => act(action, card),
  }));
  const select = { label: 'Select or unselect', hint: 'x', onSelect: () => desk.toggle(id) };
  return (
    <MenuList
      ref={list}
      name={`Actions for ${card.title}`}
      items={[...items, select]}
      anchor={read}
      onClosed={onClose}
    />
  );
}
