/** A button that opens a list of buttons below it. */
import { type ReactNode, useCallback, useId, useRef } from 'react';
import { type MenuItem, MenuList } from './menu-list.tsx';

interface MenuProps {
  readonly label: ReactNode;
  /** Said by screen readers, when the label is a picture. */
  readonly name: string;
  readonly items: readonly MenuItem[];
  readonly className?: string;
}

export function Menu({ label, name, items, className = 'button ghost small' }: MenuProps): ReactNode {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const anchor = useCallback(() => button.current, []);
  return (
    <>
      <button ref={button} type="button" className={className} aria-label={name} popoverTarget={id}>
        {label}
      </button>
      <MenuList ref={list} id={id} name={name} items={items} anchor={anchor} />
    </>
  );
}
