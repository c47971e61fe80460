import { describe, expect, it } from 'vitest';
import { checkLostAcknowledgements } from '../../chaos/checkers/lost-acknowledgements.ts';
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
  runOf,
  taskOf,
} from './recorded-day.ts';

const FORGERIES: readonly Forgery[] = [
  [
    'an acknowledged verdict that the log does not know',
    "an acknowledged change of a task's links or status is not in the log",
    (day) => {
      const event = eventOf(day, 'task.completed', taskByKey(day, 'by hand'));
      removeFromLog(day, event);
    },
  ],
  [
    'an acknowledged task that is gone',
    'an acknowledged task is not there',
    (day) => remove(day.final.tasks, taskOf(day, day.tasks.waiting)),
  ],
  [
    'a task that is there twice',
    'a task is there more than once',
    (day) => {
      day.final.tasks.push(structuredClone(taskOf(day, day.tasks.waiting)));
    },
  ],
  [
    'a task that was acknowledged under another key',
    'a task was acknowledged that has another key',
    (day) => {
      taskOf(day, day.tasks.waiting).idempotencyKey = 'another';
    },
  ],
  [
    'a task that the log does not create',
    'a task was not created by exactly one event',
    (day) => removeFromLog(day, eventOf(day, 'task.created', day.tasks.waiting)),
  ],
  [
    'a task that the log creates twice',
    'a task was not created by exactly one event',
    (day) => {
      day.final.events.push(structuredClone(eventOf(day, 'task.created', day.tasks.waiting)));
    },
  ],
  [
    'an acknowledged completion whose run is gone',
    'an acknowledged end has not one run',
    (day) => remove(day.final.runs, runOf(day, day.tasks.finished)),
  ],
  [
    'an acknowledged completion whose run is still open',
    'an acknowledged end is not what became of its run',
    (day) => {
      runOf(day, day.tasks.finished).outcome = null;
    },
  ],
  [
    'an acknowledged completion whose run crashed',
    'an acknowledged end is not what became of its run',
    (day) => {
      runOf(day, day.tasks.finished).outcome = 'crashed';
    },
  ],
  [
    'a completion that was cancelled all the same',
    'an acknowledged end is not what became of its run',
    (day) => {
      runOf(day, day.tasks.finished).outcome = 'cancelled';
      delete operationOn(day, 'complete', day.tasks.finished).outcome;
    },
  ],
  [
    'an answer that does not say what became of the run',
    'an acknowledged end is not what became of its run',
    (day) => {
      operationOn(day, 'fail', day.tasks.stopped).outcome = 'failed';
    },
  ],
  [
    'an acknowledged end that the log does not have',
    'an acknowledged end is not exactly one event of the log',
    (day) => removeFromLog(day, eventOf(day, 'task.completed', day.tasks.finished)),
  ],
  [
    'an acknowledged end that the log has twice',
    'an acknowledged end is not exactly one event of the log',
    (day) => {
      day.final.events.push(structuredClone(eventOf(day, 'task.completed', day.tasks.finished)));
    },
  ],
  [
    'a cancel of a waiting task that left no trace',
    'an acknowledged cancel left no trace in the log',
    (day) => removeFromLog(day, eventOf(day, 'task.cancelled', day.tasks.dropped)),
  ],
  [
    'a cancel of a running task that left no trace',
    'an acknowledged cancel left no trace in the log',
    (day) => removeFromLog(day, eventOf(day, 'task.cancel_requested', day.tasks.stopped)),
  ],
  [
    'a claim that was asked to stop, failed, and is to be tried again',
    'a cancel of a running task was lost',
    (day) => {
      runOf(day, day.tasks.stopped).outcome = 'failed';
    },
  ],
  [
    'a cancelled run that nobody had asked to stop',
    'a run was cancelled that was not asked to stop',
    (day) => removeFromLog(day, eventOf(day, 'task.cancel_requested', day.tasks.stopped)),
  ],
];

describe('nothing that was acknowledged is lost', () => {
  it('holds on a good day', () => {
    const day = recordDay();
    expect(checkLostAcknowledgements(operationsOf(day), day.final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    const day = forge(change);
    expect(detailsOf(checkLostAcknowledgements(operationsOf(day), day.final))).toContain(detail);
  });

  it('misses nothing of which nobody was told', () => {
    const day = forge((day) => {
      for (const operation of operationsOf(day)) {
        operation.ending = 'unknown';
        delete operation.endedAt;
      }
      day.final.tasks = [];
      day.final.runs = [];
      day.final.events = [];
    });
    expect(checkLostAcknowledgements(operationsOf(day), day.final)).toEqual([]);
  });
});

function taskByKey({ final }: ReturnType<typeof recordDay>, key: string): string {
  return final.tasks.find(({ idempotencyKey }) => idempotencyKey === key)?.id ?? '';
}
