/** How long the lease of a claim still runs. Amber in its last quarter, of long ones in the last 20 seconds; red once it has lapsed and waits for the reaper's verdict. */
import type { ReactNode } from 'react';
import { clockDuration, useSecondsUntil } from './time.tsx';

interface LeaseCountdownProps {
  readonly expiresAtMs: number;
  /** When it was taken or last renewed, as far as that is known. */
  readonly sinceMs: number;
}

const LOW_PART = 0.25;
/** A quarter of a long lease is minutes, in which a heartbeat still comes in time: at most so many are little. */
const LOW_SECONDS = 20;

export function LeaseCountdown({ expiresAtMs, sinceMs }: LeaseCountdownProps): ReactNode {
  const seconds = useSecondsUntil(expiresAtMs);
  const isLow = seconds < Math.min(LOW_SECONDS, ((expiresAtMs - sinceMs) / 1000) * LOW_PART);
  if (seconds <= 0) return <span className="lease lapsed">lease lapsed</span>;
  return (
    <span
      className={isLow ? 'lease low' : 'lease'}
      title={`Lease until ${new Date(expiresAtMs).toISOString()}`}
    >
      {isLow ? '⚠ ' : ''}
      {clockDuration(seconds)}
    </span>
  );
}
