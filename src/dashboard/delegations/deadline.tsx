/** Until when it is decided at the latest. */
import type { ReactNode } from 'react';
import type { Delegation } from '../../client/index.ts';
import { clockDuration, useSecondsUntil } from '../ui/time.tsx';

/** A reply that comes a minute before the end is one that people want to know of. */
const LOW_SECONDS = 60;

export function Deadline({ delegation }: { readonly delegation: Delegation }): ReactNode {
  const { deadline_at: at, status } = delegation;
  if (at === null || status !== 'running') return null;
  return <Countdown at={at} />;
}

function Countdown({ at }: { readonly at: string }): ReactNode {
  const seconds = useSecondsUntil(Date.parse(at));
  if (seconds <= 0) return <span className="lease lapsed">deadline passed</span>;
  return (
    <span className={seconds < LOW_SECONDS ? 'lease low' : 'lease'} title={`Decided at ${at} at the latest`}>
      {clockDuration(seconds)} to its deadline
    </span>
  );
}
