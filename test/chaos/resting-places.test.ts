import { describe, expect, it } from 'vitest';
import { checkRestingPlaces } from '../../chaos/checkers/resting-places.ts';
import { detailsOf, type Forgery, forge, recordDay, remove, runOf, taskOf } from './recorded-day.ts';

const LONG_AGO = '2025-01-01T00:00:00.000Z';

const FORGERIES: readonly Forgery[] = [
  [
    'a running task without a claim',
    'a running task is not held by one claim',
    (day) => {
      day.final.claims = [];
    },
  ],
  [
    'a running task with two claims',
    'a running task is not held by one claim',
    (day) => {
      day.final.claims.push(...structuredClone(day.final.claims));
    },
  ],
  [
    'a claim whose run has ended',
    'a claim does not have one open run',
    (day) => {
      runOf(day, day.tasks.live, 2).outcome = 'released';
    },
  ],
  [
    'a claim of another run',
    'a claim does not have one open run',
    (day) => {
      for (const claim of day.final.claims) claim.runId = 'run_99';
    },
  ],
  [
    'a claim of an earlier attempt',
    'a claim is not the last attempt',
    (day) => {
      taskOf(day, day.tasks.live).attempt += 1;
    },
  ],
  [
    'a lease that lapsed long ago',
    'a lapsed claim was not taken back',
    (day) => {
      for (const claim of day.final.claims) claim.leaseExpiresAt = LONG_AGO;
    },
  ],
  [
    'a claim on a finished task',
    'a claim is held on a task that does not run',
    (day) => {
      for (const claim of structuredClone(day.final.claims))
        day.final.claims.push({ ...claim, taskId: day.tasks.finished });
    },
  ],
  [
    'an open run of a finished task',
    'a run is open of a task that does not run',
    (day) => {
      runOf(day, day.tasks.finished).outcome = null;
    },
  ],
  [
    'a scheduled task whose time is long past',
    'a scheduled task was not made ready',
    (day) => {
      for (const task of day.final.tasks) if (task.status === 'scheduled') task.runAt = LONG_AGO;
    },
  ],
  [
    'a scheduled task without a time',
    'a scheduled task has no time',
    (day) => {
      for (const task of day.final.tasks) if (task.status === 'scheduled') task.runAt = null;
    },
  ],
  [
    'a blocked task without a reason',
    'a blocked task has no reason',
    (day) => {
      for (const task of day.final.tasks) Object.assign(task, { blockedKind: null, blockedReason: null });
    },
  ],
  [
    'a run without a task',
    'a claim or run has no task',
    (day) => remove(day.final.tasks, taskOf(day, day.tasks.finished)),
  ],
];

describe('at the end nothing hangs in the air', () => {
  it('holds on a good day', () => {
    expect(checkRestingPlaces(recordDay().final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    expect(detailsOf(checkRestingPlaces(forge(change).final))).toContain(detail);
  });

  it('leaves reaper and scheduler the time that their sweeps take', () => {
    const day = forge((day) => {
      const justNow = new Date(Date.parse(day.final.readAt) - 1000).toISOString();
      for (const claim of day.final.claims) claim.leaseExpiresAt = justNow;
      for (const task of day.final.tasks) if (task.status === 'scheduled') task.runAt = justNow;
    });
    expect(checkRestingPlaces(day.final)).toEqual([]);
  });
});
