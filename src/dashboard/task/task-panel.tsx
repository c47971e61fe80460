/** A part of the page with a heading; one that is folded builds its content when it is first opened. */
import { type ReactNode, useId, useState } from 'react';

interface TaskPanelProps {
  readonly title: string;
  /** Beside the heading. */
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}

export function TaskPanel({ title, aside, children }: TaskPanelProps): ReactNode {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id}>
      <div className="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

export function FoldedPanel({ title, children }: Omit<TaskPanelProps, 'aside'>): ReactNode {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="panel task-folded" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>{title}</h2>
      </summary>
      {isOpen && children}
    </details>
  );
}
