/** Where nobody watched, a log that is pruned has a hole. What was known before it and lasts is asked for behind it, and how much was asked is told. */
import { expect, test } from 'vitest';
import { KnownLog } from '../../chaos/checkers/known-log.ts';
import { measureReach } from '../../chaos/checkers/pruned-tasks.ts';
import { checkRetention } from '../../chaos/checkers/retention.ts';
import { PrunedBoard, type PrunedDay } from './pruned-board.ts';
import { detailsOf } from './recorded-day.ts';

const WATCHER = 'steady-watcher.1';

/** A task is pruned before everybody's eyes. Then nobody watches for longer than events are kept, and one more ends meanwhile. */
function recordHole(): PrunedDay & { readonly pruned: string } {
  const board = new PrunedBoard();
  const pruned = board.create();
  board.resume(WATCHER);
  board.complete(pruned);
  board.pass(4000);
  board.prune();
  board.create('triage');
  board.resume(WATCHER);
  board.complete(board.create());
  board.pass(6000);
  board.prune();
  board.pass(6000);
  board.prune();
  board.create('triage');
  board.resume(WATCHER);
  return { ...board.end(), pruned };
}

const check = ({ entries, final }: PrunedDay) => detailsOf(checkRetention(entries, final));
const reachOf = ({ entries, final }: PrunedDay) => measureReach(new KnownLog(entries, final), final);

/** As if all of the log had been pruned by the time that it was read, and nobody had received its last event. */
function loseEnd({ entries, final }: PrunedDay): void {
  final.events = [];
  final.prunedSeq = final.seq;
  const isLast = (entry: (typeof entries)[number]): boolean =>
    entry.entry === 'received' && entry.event.seq === final.seq;
  entries.splice(0, entries.length, ...entries.filter((entry) => !isLast(entry)));
}

test('all that is left is held against a log without holes', () => {
  const board = new PrunedBoard();
  board.complete(board.create());
  board.resume(WATCHER);
  const day = board.end();
  expect(reachOf(day)).toEqual({ holes: 0, comparedTasks: 2 });
});

test('behind a hole, what the log tells of since then is held against it', () => {
  const day = recordHole();
  expect(check(day)).toEqual([]);
  expect(day.final.tasks).toHaveLength(3);
  expect(reachOf(day)).toEqual({ holes: 1, comparedTasks: 2 });
});

test('a task that was pruned before a hole, and is there, is found', () => {
  const day = recordHole();
  const [row] = day.final.tasks;
  if (row === undefined) throw new Error('the day has it');
  day.final.tasks.push({ ...row, id: day.pruned });
  expect(check(day)).toContain('a task that was pruned is there');
  loseEnd(day);
  expect(check(day)).toContain('a task that was pruned is there');
});

test('a task that was pruned before a hole, and goes on or goes again, is found', () => {
  const day = recordHole();
  const last = day.final.events.at(-1);
  if (last === undefined) throw new Error('the day has it');
  const asLast = (change: Partial<typeof last>): void => {
    for (const entry of day.entries)
      if (entry.entry === 'received' && entry.event.seq === last.seq) Object.assign(entry.event, change);
    Object.assign(last, change);
  };
  asLast({ task_id: day.pruned });
  expect(check(day)).toContain('a task was pruned and went on');
  asLast({ kind: 'task.deleted', data: { status_before: 'done', pruned: true } });
  expect(check(day)).toContain('a task was pruned twice');
});

test('nothing was compared where nobody knows the end of the log, and that shows', () => {
  const day = recordHole();
  loseEnd(day);
  expect(reachOf(day)).toEqual({ holes: 2, comparedTasks: 0 });
});
