import { describe, expect, it } from 'vitest';
import { checkClocks } from '../../chaos/checkers/clocks.ts';
import {
  type Day,
  detailsOf,
  eventOf,
  type Forgery,
  forge,
  operationOn,
  recordDay,
  runOf,
} from './recorded-day.ts';

const HOUR_MS = 3_600_000;

const check = ({ entries, final }: Day): string[] => detailsOf(checkClocks(entries, final));
const later = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString();

/** The lease of the task that crashed, as its holder was told: that long after it was taken. Negative: before. */
function tell(day: Day, kind: 'claim' | 'heartbeat', afterMs: number): void {
  const crash = eventOf(day, 'task.crashed', day.tasks.crashed);
  crash.actor = { type: 'system', id: 'reaper' };
  const leaseExpiresAt = later(crash.at, afterMs);
  if (kind === 'heartbeat') operationOn(day, kind, day.tasks.crashed).leaseExpiresAt = leaseExpiresAt;
  else {
    const [claim] = operationOn(day, kind, day.tasks.crashed).claims;
    if (claim !== undefined) claim.leaseExpiresAt = leaseExpiresAt;
  }
}

/** Postgres dies just after the heartbeat was answered, and is back a second later. */
function killPostgres(day: Day, fault: string): void {
  const { endedAt = 0 } = operationOn(day, 'heartbeat', day.tasks.crashed);
  const at = endedAt + 1;
  day.entries.push({ entry: 'fault', at, until: at + 1000, fault, target: 'postgres' });
}

const FORGERIES: readonly Forgery[] = [
  [
    'a claim is taken before the lease that it was made with',
    'a claim was taken before its lease was over',
    (day) => tell(day, 'claim', 100),
  ],
  [
    'a claim is taken before the lease that a heartbeat was answered with',
    'a claim was taken before its lease was over',
    (day) => tell(day, 'heartbeat', 100),
  ],
  [
    'a token has expired by the clock of one server',
    'a credential was refused that was good',
    (day) =>
      Object.assign(operationOn(day, 'heartbeat', day.tasks.live), { ending: 'fail', code: 'token_expired' }),
  ],
  [
    'a token is not good yet by the clock of one server',
    'a credential was refused that was good',
    (day) =>
      Object.assign(operationOn(day, 'complete', day.tasks.finished), {
        ending: 'fail',
        code: 'unauthenticated',
      }),
  ],
  [
    'a server with a clock that is behind writes its own time into the log',
    'an event is older than those before it',
    (day) => {
      const event = eventOf(day, 'task.completed', day.tasks.finished);
      event.at = later(event.at, -HOUR_MS);
    },
  ],
  [
    'a server with a clock that is ahead writes its own time into the log',
    'an event is from after the end',
    (day) => {
      const event = eventOf(day, 'task.completed', day.tasks.finished);
      event.at = later(event.at, HOUR_MS);
    },
  ],
  [
    'a run begins by the clock of a server that is behind',
    'a run has a time that is not of this run',
    (day) => {
      const run = runOf(day, day.tasks.finished);
      run.startedAt = later(run.startedAt, -HOUR_MS);
    },
  ],
  [
    'a run ends by the clock of a server that is ahead',
    'a run has a time that is not of this run',
    (day) => {
      const run = runOf(day, day.tasks.finished);
      run.endedAt = later(run.endedAt ?? run.startedAt, HOUR_MS);
    },
  ],
];

describe('checkClocks', () => {
  it('finds nothing on a day on which one clock decided', () => {
    expect(check(recordDay())).toEqual([]);
  });

  it.each(FORGERIES)('finds that %s', (_, detail, change) => {
    expect(check(forge(change))).toContain(detail);
  });

  it.each(['claim', 'heartbeat'] as const)('lets a lease lapse that was told by a %s', (kind) => {
    expect(check(forge((day) => tell(day, kind, -1)))).toEqual([]);
  });

  it.each(['kill postgres', 'stop postgres', 'kill backend', 'failover'])(
    'holds a heartbeat against nobody that was lost with Postgres (%s)',
    (fault) => {
      const day = forge((forged) => {
        tell(forged, 'heartbeat', 100);
        killPostgres(forged, fault);
      });
      expect(check(day)).toEqual([]);
    },
  );

  it('holds a claim against Postgres whatever became of it: that was on disk', () => {
    const day = forge((forged) => {
      tell(forged, 'claim', 100);
      killPostgres(forged, 'failover');
    });
    expect(check(day)).toEqual(['a claim was taken before its lease was over']);
  });

  it('does not take another fault for a death of Postgres', () => {
    const day = forge((forged) => {
      tell(forged, 'heartbeat', 100);
      killPostgres(forged, 'cut proxy');
    });
    expect(check(day)).toEqual(['a claim was taken before its lease was over']);
  });
});
