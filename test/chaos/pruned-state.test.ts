/** The final state of a board that goes on was read between two moments: what is told before the first must agree with it, what comes after need not. */
import { describe, expect, it } from 'vitest';
import { checkRetention } from '../../chaos/checkers/retention.ts';
import { PrunedBoard, type PrunedDay } from './pruned-board.ts';
import { detailsOf } from './recorded-day.ts';

/** All of its events are old enough to go, and none is gone. The machine stands still for so long while it is looked at the clocks. */
function recordDay(stallMs: number): PrunedDay {
  const board = new PrunedBoard();
  board.create('triage');
  board.create('triage');
  board.pass(8000);
  const day = board.end();
  day.final.readAtMs += stallMs;
  day.final.readAt = new Date(Date.parse(day.final.readAt) + stallMs).toISOString();
  return day;
}

/** Somebody who has the first event is told, so long after the reading began, that the second one is gone. */
function tellAfter(day: PrunedDay, afterMs: number): PrunedDay {
  const [event] = day.final.events;
  if (event === undefined) throw new Error('the day has it');
  const common = { process: 'late-watcher.1', connection: 1 };
  const at = day.final.readFromMs + afterMs;
  day.entries.push(
    { entry: 'resume', ...common, at: 0, from: 'start', after: 'start' },
    { entry: 'received', ...common, at: 0, event },
    { entry: 'resume', ...common, at, from: 'cursor', after: event.cursor },
    { entry: 'expired', ...common, at },
  );
  return day;
}

/** A task that the tables do not have was acknowledged so long after the reading began. */
function createAfter(day: PrunedDay, afterMs: number): PrunedDay {
  const at = day.final.readFromMs + afterMs;
  const times = { invokedAt: at - 1, endedAt: at, ending: 'ok' } as const;
  const operation = { kind: 'create', process: 'churn.1', lane: 'work', idempotencyKey: 'late' } as const;
  day.entries.push({ entry: 'operation', ...operation, ...times, taskId: 'task_late', isReplay: false });
  return day;
}

const check = ({ entries, final }: PrunedDay) => detailsOf(checkRetention(entries, final));

describe('what is told while the final state is read', () => {
  it('may be of what came after it', () => {
    expect(check(tellAfter(recordDay(3000), 500))).toEqual([]);
    expect(check(createAfter(recordDay(3000), 500))).toEqual([]);
  });

  it('is held against it where it was told before, however shortly', () => {
    expect(check(tellAfter(recordDay(0), -1))).toEqual(['what was told to be gone was there later']);
    expect(check(createAfter(recordDay(0), -1))).toEqual([
      'an acknowledged task is gone that nobody finished',
    ]);
  });
});
