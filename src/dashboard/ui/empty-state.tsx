/** A page with nothing on it teaches what would put something there. */
import type { ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';

interface EmptyStateProps {
  readonly title: string;
  readonly children?: ReactNode;
  /** Commands to type, each on a line of its own. */
  readonly commands?: readonly string[];
}

export function EmptyState({ title, children, commands = [] }: EmptyStateProps): ReactNode {
  return (
    <section className="empty">
      <h2>{title}</h2>
      {children}
      {commands.length > 0 && (
        <div className="snippet">
          <pre className="wrap">{commands.join('\n')}</pre>
          <CopyButton text={commands.join('\n')} />
        </div>
      )}
    </section>
  );
}
