/** A text to be copied whole: commands, configuration. */
import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';

interface SnippetProps {
  /** What it is, or the file it belongs into. */
  readonly title: string;
  readonly text: string;
}

export function Snippet({ title, text }: SnippetProps): ReactNode {
  return (
    <figure className="snippet-block">
      <figcaption>
        <span>{title}</span>
        <CopyButton text={text} name={title} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard */}
      <section aria-label={title} tabIndex={0}>
        <pre>{text}</pre>
      </section>
    </figure>
  );
}
