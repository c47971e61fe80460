import { describe, expect, it } from 'vitest';
import { checkStaleWrites } from '../../chaos/checkers/stale-writes.ts';
import {
  type Day,
  detailsOf,
  type Forgery,
  forge,
  operationOn,
  operationsOf,
  recordDay,
  runOf,
} from './recorded-day.ts';

type WriteKind = 'heartbeat' | 'output' | 'ack' | 'complete' | 'fail' | 'release' | 'block';

/** A write of that kind under the first run of the task, accepted at that time. */
function accept(day: Day, kind: WriteKind, taskId: string, invokedAt: number): void {
  const { runId, attempt, process } = operationOn(day, 'complete', taskId);
  const times = { invokedAt, endedAt: invokedAt + 1 };
  day.entries.push({ entry: 'operation', kind, taskId, runId, attempt, process, ...times, ending: 'ok' });
}

const endOf = (day: Day, taskId: string, nth = 1): number =>
  operationOn(day, 'complete', taskId, nth).endedAt ?? Number.NaN;

const FORGERIES: readonly Forgery[] = [
  [
    'a heartbeat that was refused, as if it had been accepted',
    'a write of a superseded attempt was accepted',
    (day) => {
      operationOn(day, 'heartbeat', day.tasks.crashed, 2).ending = 'ok';
    },
  ],
  [
    'a completion that was refused, as if it had been accepted',
    'a write of a superseded attempt was accepted',
    (day) => {
      operationOn(day, 'complete', day.tasks.crashed, 1).ending = 'ok';
    },
  ],
  [
    'a completion that was accepted too late, though it was refused in time',
    'a write of a superseded attempt was accepted',
    (day) => {
      const late = operationOn(day, 'complete', day.tasks.crashed, 1);
      const invokedAt = operationOn(day, 'claim', day.tasks.crashed, 1).endedAt ?? 0;
      day.entries.push({ ...structuredClone(late), invokedAt, endedAt: invokedAt + 1 });
      late.ending = 'ok';
    },
  ],
  [
    'a heartbeat after the end of its run',
    'a write was accepted after the end of its run',
    (day) => accept(day, 'heartbeat', day.tasks.finished, endOf(day, day.tasks.finished) + 1),
  ],
  [
    'output after the end of its run',
    'a write was accepted after the end of its run',
    (day) => accept(day, 'output', day.tasks.finished, endOf(day, day.tasks.finished) + 1),
  ],
  [
    'an acknowledgement after the end of its run',
    'a write was accepted after the end of its run',
    (day) => accept(day, 'ack', day.tasks.finished, endOf(day, day.tasks.finished) + 1),
  ],
  [
    'another end of a run that was completed',
    'two different ends of a run were accepted',
    (day) => accept(day, 'fail', day.tasks.finished, endOf(day, day.tasks.finished) + 1),
  ],
  [
    'two different ends at the same time',
    'two different ends of a run were accepted',
    (day) => accept(day, 'release', day.tasks.finished, endOf(day, day.tasks.finished) - 1),
  ],
  [
    'a write long after the reaper had taken the claim, though nobody claimed it again',
    'a write was accepted of a run that had been ended',
    (day) => {
      const { crashed } = day.tasks;
      day.entries = day.entries.filter(
        (entry) => entry.entry !== 'operation' || entry.kind !== 'claim' || entry.process !== 'worker-2.1',
      );
      accept(day, 'heartbeat', crashed, day.final.readAtMs + 60_000);
    },
  ],
  [
    'a write under a run that the tables do not have',
    'a write was accepted under a run that is not in the tables',
    (day) => {
      runOf(day, day.tasks.finished).id = 'run_99';
    },
  ],
  [
    'a write under the attempt of another run',
    'a write was accepted under a run that is not in the tables',
    (day) => {
      operationOn(day, 'complete', day.tasks.finished).attempt = 2;
    },
  ],
];

describe('nothing is accepted from an attempt that is over', () => {
  it('holds on a good day', () => {
    const day = recordDay();
    expect(checkStaleWrites(operationsOf(day), day.final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    const day = forge(change);
    expect(detailsOf(checkStaleWrites(operationsOf(day), day.final))).toContain(detail);
  });

  it('lets an end be answered again, however late', () => {
    const day = forge((day) => accept(day, 'complete', day.tasks.finished, day.final.readAtMs + 60_000));
    expect(checkStaleWrites(operationsOf(day), day.final)).toEqual([]);
  });

  it('lets an end be answered again whose first answer was lost, though the task went on meanwhile', () => {
    const day = forge((day) => {
      const claim = operationOn(day, 'claim', day.tasks.crashed, 1);
      const { crashed: taskId } = day.tasks;
      const { id: runId } = runOf(day, taskId);
      const { process } = claim;
      const common = { entry: 'operation', kind: 'fail', taskId, runId, attempt: 1, process } as const;
      const claimedAt = claim.endedAt ?? 0;
      day.entries.push({ ...common, invokedAt: claimedAt + 1, ending: 'unknown' });
      day.entries.push({ ...common, invokedAt: claimedAt + 300, endedAt: claimedAt + 301, ending: 'ok' });
    });
    expect(checkStaleWrites(operationsOf(day), day.final)).toEqual([]);
  });

  it('gives the benefit of the doubt to a write that overlaps with the claim that superseded it', () => {
    const day = forge((day) => {
      const beat = operationOn(day, 'heartbeat', day.tasks.crashed, 2);
      beat.ending = 'ok';
      beat.invokedAt = operationOn(day, 'claim', day.tasks.crashed, 2).invokedAt;
    });
    expect(checkStaleWrites(operationsOf(day), day.final)).toEqual([]);
  });
});
