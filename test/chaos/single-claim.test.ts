import { describe, expect, it } from 'vitest';
import { checkSingleClaims } from '../../chaos/checkers/single-claim.ts';
import {
  detailsOf,
  eventOf,
  type Forgery,
  forge,
  operationOn,
  operationsOf,
  recordDay,
  remove,
  removeFromLog,
} from './recorded-day.ts';

const FORGERIES: readonly Forgery[] = [
  [
    'a second claim in the log before the first one ended',
    'a task was claimed while it was held',
    (day) => {
      const claimed = eventOf(day, 'task.claimed', day.tasks.finished);
      day.final.events.splice(day.final.events.indexOf(claimed) + 1, 0, {
        ...claimed,
        attempt: 2,
        run_id: 'run_99',
      });
    },
  ],
  [
    'an attempt that is left out',
    'a claim is not the next attempt of its task',
    (day) => {
      eventOf(day, 'task.claimed', day.tasks.live).attempt = 3;
    },
  ],
  [
    'an attempt that is used again',
    'a claim is not the next attempt of its task',
    (day) => {
      for (const event of day.final.events) if (event.attempt === 2) event.attempt = 1;
    },
  ],
  [
    'a run that is used again',
    'a claim has no run of its own',
    (day) => {
      const { run_id: runId } = eventOf(day, 'task.claimed', day.tasks.repeated);
      if (runId !== undefined) eventOf(day, 'task.claimed', day.tasks.finished).run_id = runId;
    },
  ],
  [
    'a claim that is not in the log, but its end is',
    'a claim was ended that was not the live one',
    (day) => removeFromLog(day, eventOf(day, 'task.claimed', day.tasks.finished)),
  ],
  [
    "an end in the log that is another run's",
    'a claim was ended that was not the live one',
    (day) => {
      eventOf(day, 'task.completed', day.tasks.finished).run_id = 'run_99';
    },
  ],
  [
    'an acknowledged claim that the log does not have',
    'an acknowledged claim is not in the log',
    (day) => removeFromLog(day, eventOf(day, 'task.claimed', day.tasks.live)),
  ],
  [
    'one claim in the hands of two workers',
    'one run was given to two workers',
    (day) => {
      const claim = operationOn(day, 'claim', day.tasks.live);
      day.entries.push({ ...structuredClone(claim), process: 'worker-7.1', worker: 'worker-7.1' });
    },
  ],
  [
    'one attempt under two runs',
    'one attempt was claimed twice',
    (day) => {
      const claim = structuredClone(operationOn(day, 'claim', day.tasks.live));
      for (const given of claim.claims) given.runId = 'run_99';
      day.entries.push(claim);
    },
  ],
  [
    'an attempt that is asked for after a higher one was acknowledged',
    'an attempt was claimed after a higher one',
    (day) => {
      const first = operationOn(day, 'claim', day.tasks.crashed, 1);
      const second = operationOn(day, 'claim', day.tasks.crashed, 2);
      first.invokedAt = (second.endedAt ?? 0) + 1;
      first.endedAt = first.invokedAt + 1;
    },
  ],
  [
    'a first holder that is heard after the second one got the task',
    'two claims of a task were live at once',
    (day) => {
      const { crashed } = day.tasks;
      const second = operationOn(day, 'claim', crashed, 2);
      const end = operationOn(day, 'complete', crashed, 2);
      const beat = operationOn(day, 'heartbeat', crashed);
      beat.invokedAt = ((second.endedAt ?? 0) + end.invokedAt) / 2;
      beat.endedAt = end.endedAt ?? 0;
    },
  ],
];

describe('a task has at most one live claim, and its attempts rise', () => {
  it('holds on a good day', () => {
    const day = recordDay();
    expect(checkSingleClaims(operationsOf(day), day.final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    const day = forge(change);
    expect(detailsOf(checkSingleClaims(operationsOf(day), day.final))).toContain(detail);
  });

  it('takes a claim that was answered twice to the same worker for one', () => {
    const day = forge((day) => {
      const again = structuredClone(operationOn(day, 'claim', day.tasks.live));
      again.invokedAt = (again.endedAt ?? 0) + 1;
      again.endedAt = again.invokedAt + 1;
      day.entries.push(again);
    });
    expect(checkSingleClaims(operationsOf(day), day.final)).toEqual([]);
  });

  it('does not hold it against a pushed claim that it comes late', () => {
    const day = forge((day) => {
      for (const event of day.final.events)
        if (event.kind === 'lane.registered') event.data['claim_mode'] = 'push';
      const first = operationOn(day, 'claim', day.tasks.crashed, 1);
      remove(day.entries, operationOn(day, 'heartbeat', day.tasks.crashed));
      first.invokedAt = (operationOn(day, 'claim', day.tasks.crashed, 2).endedAt ?? 0) + 1;
      first.endedAt = first.invokedAt;
    });
    expect(checkSingleClaims(operationsOf(day), day.final)).toEqual([]);
  });

  it('does not hold it against anybody when what he asked for overlaps in time', () => {
    const day = forge((day) => {
      const first = operationOn(day, 'claim', day.tasks.crashed, 1);
      first.endedAt = (operationOn(day, 'complete', day.tasks.crashed, 2).endedAt ?? 0) + 1;
    });
    expect(checkSingleClaims(operationsOf(day), day.final)).toEqual([]);
  });
});
