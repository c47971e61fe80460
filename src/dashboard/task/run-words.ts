/** A run in words. Pure. */
import type { Run } from '../../client/index.ts';

type Outcome = NonNullable<Run['outcome']>;

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  completed: 'Completed',
  changes_requested: 'Changes requested',
  blocked: 'Blocked',
  released: 'Released',
  failed: 'Failed',
  crashed: 'Crashed',
  timed_out: 'Timed out',
  reclaimed: 'Taken back',
  cancelled: 'Cancelled',
};

export function outcomeLabel(outcome: Run['outcome']): string {
  return outcome === null ? 'Running' : OUTCOMES[outcome];
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** "0.4 s", "12 s", "3 min 20 s", "2 h 5 min". */
export function runDuration(
  { started_at: startedAt, ended_at: endedAt }: Pick<Run, 'started_at' | 'ended_at'>,
  nowMs: number,
): string {
  const seconds = Math.max(
    0,
    ((endedAt === null ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt)) / 1000,
  );
  // Below ten seconds tenths matter, but not of something that still runs.
  if (seconds < 10 && endedAt !== null) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`;
}

/** The attempt that says how a finished task came out: the last one that has ended. `newestFirst`: the runs. */
export function finalRunOf<Ended extends Pick<Run, 'outcome'>>(
  newestFirst: readonly Ended[],
): Ended | undefined {
  return newestFirst.find(({ outcome }) => outcome !== null);
}
