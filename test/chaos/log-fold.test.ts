import { describe, expect, it } from 'vitest';
import { checkLogFold } from '../../chaos/checkers/log-fold.ts';
import type { Violation } from '../../chaos/history.ts';
import {
  detailsOf,
  eventOf,
  type Forgery,
  forge,
  recordDay,
  remove,
  removeFromLog,
  renumber,
  runOf,
  taskOf,
} from './recorded-day.ts';

const FORGERIES: readonly Forgery[] = [
  [
    'a number that is left out',
    'the log is not dense',
    (day) => remove(day.final.events, eventOf(day, 'task.heartbeat', day.tasks.live)),
  ],
  [
    'a number that comes twice',
    'the log is not dense',
    (day) => {
      const [first] = day.final.events;
      if (first !== undefined) day.final.events.unshift(first);
    },
  ],
  [
    'a counter that ran ahead',
    'the counter is not at the end of the log',
    (day) => {
      day.final.seq += 1;
    },
  ],
  [
    'two events of a task in the wrong order',
    'an event does not start where the task was',
    (day) => {
      const { events } = day.final;
      const claimed = eventOf(day, 'task.claimed', day.tasks.finished);
      const completed = eventOf(day, 'task.completed', day.tasks.finished);
      const places = [events.indexOf(claimed), events.indexOf(completed)] as const;
      events[places[0]] = completed;
      events[places[1]] = claimed;
      renumber(day);
    },
  ],
  [
    'a task that was never created',
    'an event is of a task that was never created',
    (day) => removeFromLog(day, eventOf(day, 'task.created', day.tasks.finished)),
  ],
  [
    'a task that is created twice',
    'a task was created twice',
    (day) => {
      day.final.events.push(structuredClone(eventOf(day, 'task.created', day.tasks.waiting)));
      renumber(day);
    },
  ],
  [
    'a change without its event',
    'an event does not have the next version of its task',
    (day) => removeFromLog(day, eventOf(day, 'task.cancel_requested', day.tasks.stopped)),
  ],
  [
    'a second claim of a held task',
    'an event does not start where the task was',
    (day) => {
      const claimed = eventOf(day, 'task.claimed', day.tasks.finished);
      day.final.events.splice(day.final.events.indexOf(claimed) + 1, 0, { ...claimed, attempt: 2 });
      renumber(day);
    },
  ],
  [
    'an attempt that is left out',
    'a claim is not the next attempt',
    (day) => {
      eventOf(day, 'task.claimed', day.tasks.finished).attempt = 2;
    },
  ],
  [
    'an end by one that does not hold the task',
    'a claim was ended that does not hold the task',
    (day) => {
      eventOf(day, 'task.completed', day.tasks.finished).run_id = 'run_99';
    },
  ],
  [
    'a claim of another lane',
    'a claim is of another lane',
    (day) => {
      eventOf(day, 'task.claimed', day.tasks.finished).lane = 'other';
    },
  ],
  [
    'a finished task that goes on',
    'a finished task was moved on',
    (day) => {
      const completed = eventOf(day, 'task.completed', day.tasks.finished);
      const data = { status_before: 'done', status_after: 'ready' };
      const version = (completed.task_version ?? 0) + 1;
      day.final.events.push({ ...completed, kind: 'task.released', task_version: version, data });
      renumber(day);
    },
  ],
  [
    'a task that runs without a claim',
    'a task runs that was not claimed',
    (day) => {
      eventOf(day, 'task.claimed', day.tasks.finished).kind = 'task.ready';
    },
  ],
  ...(
    [
      ['status', { status: 'ready' }],
      ['lane', { lane: 'other' }],
      ['attempt', { attempt: 7 }],
      ['version', { version: 99 }],
    ] as const
  ).map(
    ([column, values]): Forgery => [
      `a row with another ${column}`,
      'a task is not what the log says',
      (day) => {
        Object.assign(taskOf(day, day.tasks.finished), values);
      },
    ],
  ),
  [
    'a row that is gone',
    'a task of the log is not in the tables',
    (day) => remove(day.final.tasks, taskOf(day, day.tasks.finished)),
  ],
  [
    'a row that is there twice',
    'a task is not in the log, or there twice',
    (day) => {
      day.final.tasks.push(structuredClone(taskOf(day, day.tasks.finished)));
    },
  ],
  [
    'a run with another outcome',
    'a run is not what the log says',
    (day) => {
      runOf(day, day.tasks.crashed).outcome = 'completed';
    },
  ],
  [
    'a run with another id',
    'a run is not what the log says',
    (day) => {
      runOf(day, day.tasks.crashed).id = 'run_99';
    },
  ],
  [
    'a run that the log does not have',
    'a run is not what the log says',
    (day) => {
      day.final.runs.push({ ...structuredClone(runOf(day, day.tasks.crashed)), attempt: 3, id: 'run_99' });
    },
  ],
  [
    'a run that is gone',
    'a run of the log is not in the tables',
    (day) => remove(day.final.runs, runOf(day, day.tasks.crashed)),
  ],
  [
    'a count that is off by one',
    'a count is not exact',
    (day) => {
      day.final.counts.done = (day.final.counts.done ?? 0) + 1;
    },
  ],
];

describe('the log, folded, gives the tables', () => {
  it('holds on a good day', () => {
    expect(checkLogFold(recordDay().final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    expect(detailsOf(checkLogFold(forge(change).final))).toContain(detail);
  });

  it('takes it for no change of its own that a task was given up, once', () => {
    const giveUp = (times: number): Violation[] => {
      const day = forge((day) => {
        const place = day.final.events.findIndex(({ kind }) => kind === 'task.blocked');
        const data = { status_before: 'blocked', status_after: 'blocked', failures: 2 };
        const gaveUp = day.final.events
          .slice(place, place + 1)
          .map((event) => ({ ...event, kind: 'task.gave_up' as const, data }));
        for (let time = 1; time <= times; time += 1)
          day.final.events.splice(place + 1, 0, ...structuredClone(gaveUp));
        renumber(day);
      });
      return checkLogFold(day.final);
    };
    expect(giveUp(1)).toEqual([]);
    expect(detailsOf(giveUp(2))).toEqual(['a task gave up that did not just end']);
  });
});
