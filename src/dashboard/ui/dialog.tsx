/**
 * A dialog that a page fills itself: for what `useAsk` is too small for, such as a form that stays open when it is refused. The platform's
 * own, which keeps the focus in it and gives it back.
 */
import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';
import { onEscape } from './escape.ts';

interface DialogProps {
  readonly title: ReactNode;
  /** The person wants to leave: escape. The owner takes the dialog away. */
  readonly onClose: () => void;
  /** For code and tables. */
  readonly isWide?: boolean;
  readonly children: ReactNode;
}

export function Dialog({ title, onClose, isWide = false, children }: DialogProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Closed before it is taken out of the page: only then does the focus go back to where it was.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // The focus may be on what stands at the end of a long one, which is read from its beginning.
    if (element !== null) element.scrollTop = 0;
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={isWide ? 'dialog wide' : 'dialog'}
      aria-labelledby={titleId}
      onKeyDown={onEscape(onClose)}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  );
}
