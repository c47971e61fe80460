/** A text of any length in a box of its own: what does not fit is scrolled, by keyboard, too. */
import type { ReactNode } from 'react';

interface LongTextProps {
  /** Said by screen readers. */
  readonly label: string;
  readonly text: string;
}

export function LongText({ label, text }: LongTextProps): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for the fields of a form
    <pre className="wrap long-text" tabIndex={0} role="group" aria-label={label}>
      {text}
    </pre>
  );
}
