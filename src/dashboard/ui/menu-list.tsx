/** The list of a menu, beside whatever opened it: the platform's popover, which closes by itself and gives the focus back. */
import { type KeyboardEvent, type ReactNode, type RefObject, useCallback } from 'react';

export interface MenuItem {
  readonly label: string;
  readonly onSelect: () => void;
  readonly isDestructive?: boolean;
  readonly hint?: string;
}

interface MenuListProps {
  readonly ref: RefObject<HTMLDivElement | null>;
  readonly id?: string;
  /** Said by screen readers. */
  readonly name: string;
  readonly items: readonly MenuItem[];
  /** What it stands beside. */
  readonly anchor: () => Element | null;
  readonly onClosed?: () => void;
}

/** Distance from the edge of the window. */
const MARGIN_PX = 8;

function placeBeside(element: HTMLElement, anchor: Element): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = element;
  const below = at.bottom + height + MARGIN_PX < window.innerHeight;
  const top = below ? at.bottom + 2 : at.top - height - 2;
  element.style.left = `${Math.max(MARGIN_PX, Math.min(at.right - width, window.innerWidth - width - MARGIN_PX))}px`;
  element.style.top = `${Math.max(MARGIN_PX, top)}px`;
}

/** The button that a key goes to; null: the key is not the menu's. */
function goTo(key: string, at: number, count: number): number | null {
  if (key === 'ArrowDown') return (at + 1) % count;
  if (key === 'ArrowUp') return (Math.max(at, 0) - 1 + count) % count;
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : null;
}

function onKeyDown(event: KeyboardEvent<HTMLElement>): void {
  // Keys of the page do not reach it from here.
  event.stopPropagation();
  const buttons = [...event.currentTarget.querySelectorAll('button')];
  if (event.key === 'Tab') {
    event.preventDefault();
    event.currentTarget.hidePopover();
    return;
  }
  const at = buttons.findIndex((button) => button.matches(':focus'));
  const next = goTo(event.key, at, buttons.length);
  if (next === null) return;
  event.preventDefault();
  buttons[next]?.focus();
}

export function MenuList({ ref, id, name, items, anchor, onClosed }: MenuListProps): ReactNode {
  const onToggle = useCallback(
    ({ newState }: { readonly newState: string }): void => {
      const beside = anchor();
      const element = ref.current;
      if (newState === 'closed') onClosed?.();
      else if (element !== null && beside !== null) {
        placeBeside(element, beside);
        element.querySelector('button')?.focus();
      }
    },
    [anchor, onClosed, ref],
  );
  return (
    <div
      ref={ref}
      id={id}
      role="menu"
      aria-label={name}
      popover="auto"
      className="menu"
      onToggle={onToggle}
      onKeyDown={onKeyDown}
    >
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          role="menuitem"
          className={item.isDestructive ? 'menu-item danger-text' : 'menu-item'}
          onClick={() => {
            ref.current?.hidePopover();
            item.onSelect();
          }}
        >
          <span>{item.label}</span>
          {item.hint !== undefined && <kbd>{item.hint}</kbd>}
        </button>
      ))}
    </div>
  );
}
