/** A finished task is kept for its time, also where nobody heard of its end; and what was only told late is not held against the pruner. */
import { describe, expect, it } from 'vitest';
import { checkRetention } from '../../chaos/checkers/retention.ts';
import { PrunedBoard, type PrunedDay } from './pruned-board.ts';
import { detailsOf } from './recorded-day.ts';

const WATCHER = 'steady-watcher.1';
const STALL_MS = 4000;

const check = ({ entries, final }: PrunedDay) => detailsOf(checkRetention(entries, final));

/** As if it had gone so long after it was claimed. */
function pruneAfter(day: PrunedDay, taskId: string, afterMs: number): PrunedDay {
  const received = day.entries.flatMap((entry) => (entry.entry === 'received' ? [entry.event] : []));
  const own = [...received, ...day.final.events].filter((event) => event.task_id === taskId);
  const claimed = own.find(({ kind }) => kind === 'task.claimed');
  const deleted = own.filter(({ kind }) => kind === 'task.deleted');
  if (claimed === undefined || deleted.length === 0) throw new Error('the day has it');
  for (const event of deleted) event.at = new Date(Date.parse(claimed.at) + afterMs).toISOString();
  return day;
}

describe('a task whose end nobody heard of', () => {
  function recordLostEnd(): readonly [PrunedDay, string] {
    const board = new PrunedBoard();
    const id = board.create();
    board.complete(id, { isLost: true });
    board.resume(WATCHER);
    board.pass(4000);
    board.prune();
    return [board.end(), id];
  }

  it('is kept for its time after it was claimed', () => {
    expect(check(recordLostEnd()[0])).toEqual([]);
    expect(check(pruneAfter(...recordLostEnd(), 3100))).toEqual([]);
    expect(check(pruneAfter(...recordLostEnd(), 2900))).toEqual(['a task was pruned before its time']);
  });

  it('is kept for it behind a hole in the log, too', () => {
    const board = new PrunedBoard();
    const id = board.create();
    board.claim(id);
    board.resume(WATCHER);
    board.complete(id, { isLost: true });
    board.pass(2000);
    board.prune();
    board.pass(3500);
    board.prune();
    const day = board.end();
    expect(check(day)).toEqual([]);
    expect(check(pruneAfter(day, id, 2900))).toContain('a task was pruned before its time');
  });
});

describe('a task whose end was told seconds later', () => {
  it('may go at once', () => {
    const board = new PrunedBoard();
    board.resume(WATCHER);
    for (const isLost of [false, true]) board.complete(board.create(), { isLost, stallMs: STALL_MS });
    board.prune();
    board.resume(WATCHER);
    const day = board.end();
    expect(day.final.tasks).toHaveLength(1);
    expect(check(day)).toEqual([]);
  });

  it('may so where its child is done meanwhile', () => {
    const board = new PrunedBoard();
    const parent = board.create();
    const child = board.create('ready', [parent]);
    board.resume(WATCHER);
    board.complete(parent, { stallMs: STALL_MS });
    board.complete(child);
    board.prune();
    board.resume(WATCHER);
    const day = board.end();
    expect(day.final.tasks.map(({ id }) => id)).not.toContain(parent);
    expect(check(day)).toEqual([]);
  });
});
