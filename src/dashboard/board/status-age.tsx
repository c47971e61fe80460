/** How long a card has been where it is: what has stood for days must not look like what has just come. */
import type { ReactNode } from 'react';
import type { TaskStatus } from '../live/card.ts';
import { isFinishedStatus } from '../live/statuses.ts';
import { useSession } from '../session/session-context.tsx';
import { useTick } from '../ui/ticker.ts';
import { shortDuration } from '../ui/time.tsx';
import { ageClass } from './age.ts';

interface StatusAgeProps {
  readonly sinceMs: number;
  readonly status: TaskStatus;
}

export function StatusAge({ sinceMs, status }: StatusAgeProps): ReactNode {
  const { clock } = useSession();
  useTick();
  const seconds = (clock.now() - sinceMs) / 1000;
  // That something was finished days ago is nothing to look at.
  const age = isFinishedStatus(status) ? 'finished' : ageClass(seconds);
  const iso = new Date(sinceMs).toISOString();
  return (
    <time className={`board-age board-age-${age}`} dateTime={iso} title={`In this status since ${iso}`}>
      {shortDuration(seconds)}
    </time>
  );
}
