/** A page that fails takes no other one with it: navigation stays, and the person is told. React offers this to classes only. */
import { Component, type ReactNode } from 'react';
import { Button } from './button.tsx';
import { Problem } from './problem.tsx';

interface ErrorBoundaryProps {
  readonly children: ReactNode;
}

interface ErrorBoundaryState {
  readonly error: unknown;
}

export class ErrorBoundary extends Component<ErrorBoundaryProps, ErrorBoundaryState> {
  override readonly state: ErrorBoundaryState = { error: null };

  static getDerivedStateFromError(error: unknown): ErrorBoundaryState {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <section className="empty">
        <h2>This page has failed.</h2>
        <Problem error={error} />
        <Button onClick={() => location.reload()}>Load it again</Button>
      </section>
    );
  }
}
