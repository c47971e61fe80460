import { expect, test } from 'vitest';
import { countRetentionWindows } from '../../chaos/retention-windows.ts';
import { PrunedBoard } from './pruned-board.ts';

const WATCHER = 'pausing-watcher.1';

function count(board: PrunedBoard) {
  const { entries, final } = board.end();
  return countRetentionWindows(entries, final);
}

/** A task, and so an event, at the beginning of the day, and one who has seen it. */
function openBoard(): PrunedBoard {
  const board = new PrunedBoard();
  board.create();
  board.resume(WATCHER);
  board.create();
  return board;
}

test('nothing is counted of a watcher that is there all the time', () => {
  const board = openBoard();
  board.pass(4000);
  board.resume(WATCHER);
  expect(count(board)).toEqual({
    toldExpired: 0,
    resumedAtEdge: 0,
    parentsOutlivingTheirTime: 0,
    prunedTasks: 0,
    comparedTasks: 3,
  });
});

test('a watcher counts that comes back when what follows is old enough, and there', () => {
  const board = openBoard();
  board.pass(6000);
  board.resume(WATCHER);
  expect(count(board)).toMatchObject({ toldExpired: 0, resumedAtEdge: 1 });
});

test('one that comes back when it is gone counts as told, and where it begins anew is no resumption', () => {
  const board = openBoard();
  board.pass(6000);
  board.prune();
  board.resume(WATCHER);
  expect(count(board)).toMatchObject({ toldExpired: 1, resumedAtEdge: 0 });
});

test('a parent counts once it has been done for longer than that, as long as its child waits', () => {
  const board = openBoard();
  const [parent, open] = [board.create(), board.create('triage')];
  board.create('ready', [parent, open]);
  board.complete(parent);
  board.pass(2000);
  expect(count(board)).toMatchObject({ parentsOutlivingTheirTime: 0 });
  board.pass(2000);
  board.prune();
  expect(count(board)).toMatchObject({ parentsOutlivingTheirTime: 1 });
});

test('no task counts as pruned where only events were, and a parent is kept for its child', () => {
  const board = openBoard();
  const parent = board.create();
  board.create('ready', [parent, board.create('triage')]);
  board.complete(parent);
  board.pass(6000);
  board.prune();
  expect(count(board)).toMatchObject({ parentsOutlivingTheirTime: 1, prunedTasks: 0 });
});

test('a task that was pruned counts once, whoever heard of it', () => {
  const board = openBoard();
  board.complete(board.create());
  board.pass(4000);
  board.prune();
  board.resume('steady-watcher.1');
  board.resume(WATCHER);
  expect(count(board)).toMatchObject({ prunedTasks: 1 });
});
