/** The end of a list that goes on. */
import type { ReactNode } from 'react';
import type { LivePages } from '../live/live-pages.ts';
import { Button } from './button.tsx';

interface ShowMoreProps {
  readonly pages: LivePages<unknown>;
  /** Said where no more is shown. */
  readonly atBound: string;
}

export function ShowMore({ pages, atBound }: ShowMoreProps): ReactNode {
  if (!pages.hasMore) return null;
  return (
    <p className="show-more muted">
      {pages.isAtBound ? (
        atBound
      ) : (
        <Button disabled={pages.isReading} onClick={pages.showMore}>
          Show more
        </Button>
      )}
    </p>
  );
}
