/** Title of a page with its actions. Its h1 is where screen readers and the keyboard arrive. */
import type { ReactNode } from 'react';

interface PageHeaderProps {
  readonly title: ReactNode;
  readonly children?: ReactNode;
}

export function PageHeader({ title, children }: PageHeaderProps): ReactNode {
  return (
    <header className="page-header">
      <h1>{title}</h1>
      <div className="page-actions">{children}</div>
    </header>
  );
}
