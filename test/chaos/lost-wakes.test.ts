import { describe, expect, it } from 'vitest';
import { checkLostWakes } from '../../chaos/checkers/lost-wakes.ts';
import { SmallBoard } from './small-board.ts';
import { LANE } from './small-board-words.ts';

const BOUNDS = { wakeMs: 1000, settleMs: 2000, slowMs: 200 };
/** Beyond the bound, with what else happens. */
const TOO_LONG_MS = 1100;
const SHORT_MS = 500;

/** How a worker comes to its task: it waits from the start, the task is created, and is claimed that much later. */
function waitFor(delayMs: number, meanwhile: (board: SmallBoard) => void = () => undefined): SmallBoard {
  const board = new SmallBoard();
  board.pass(10_000);
  board.create('task');
  board.pass(delayMs / 2);
  meanwhile(board);
  board.pass(delayMs / 2);
  board.claim('worker-1.1', { leadMs: delayMs + 9000 });
  return board;
}

function check(board: SmallBoard): string[] {
  const { entries, final } = board.finish();
  return checkLostWakes(entries, final, BOUNDS).map(({ detail }) => detail);
}

const LOST = ['a task could be claimed while a worker waited for it: its wake was lost'];

describe('whoever waits for work is woken when there is some', () => {
  it('finds nothing when the task is claimed soon', () => {
    expect(check(waitFor(SHORT_MS))).toEqual([]);
  });

  it('finds a claim that came long after its task was ready', () => {
    expect(check(waitFor(TOO_LONG_MS))).toEqual(LOST);
  });

  it('finds a wait that ended without the task that was ready all the while', () => {
    const board = new SmallBoard();
    const task = board.create('task');
    board.pass(TOO_LONG_MS);
    board.assign(task, 'other');
    board.claim('worker-1.1', { leadMs: TOO_LONG_MS });
    expect(check(board)).toEqual(LOST);
  });

  it('finds a task that stays behind while the waiting claim gets another', () => {
    const board = new SmallBoard();
    board.create('forgotten');
    board.pass(10_000);
    board.create('taken');
    const [forgotten] = board.tasks;
    if (forgotten === undefined) throw new Error('it was created');
    forgotten.lane = 'kept aside';
    board.claim('worker-1.1', { leadMs: TOO_LONG_MS });
    forgotten.lane = 'press';
    expect(check(board)).toEqual(LOST);
  });

  it.each([
    ['finds work under review that another worker waited for', 'worker-2.1', LANE, LOST],
    ['asks nothing of who would review his own work', 'worker-1.1', LANE, []],
    ['asks nothing of work that waits for people', 'worker-2.1', null, []],
  ])('%s', (_, waiting, reviewer, found) => {
    const board = new SmallBoard();
    const held = board.claimNew('worker-1.1', 'work');
    if (held !== null) board.handOver(held, reviewer);
    board.pass(TOO_LONG_MS);
    for (const task of board.tasks) board.decide(task, 'accept');
    board.claim(waiting, { leadMs: TOO_LONG_MS });
    expect(check(board)).toEqual(found);
  });

  it('asks nothing of a task that waits for its parent', () => {
    const board = new SmallBoard();
    const parent = board.create('parent');
    board.cancel(parent);
    board.create('child', {}, [parent]);
    board.pass(TOO_LONG_MS);
    board.claim('worker-1.1', { leadMs: TOO_LONG_MS });
    expect(check(board)).toEqual([]);
  });

  it('asks nothing when nobody waited', () => {
    const board = new SmallBoard();
    board.create('task');
    board.pass(10 * TOO_LONG_MS);
    board.claim('worker-1.1');
    expect(check(board)).toEqual([]);
  });

  it('asks nothing of a lane that is paused, or was for a part of it', () => {
    const paused = waitFor(TOO_LONG_MS, (board) => {
      board.changeLane('lane.paused', { paused: true, draining: false });
      board.pass(SHORT_MS);
      board.changeLane('lane.resumed', { paused: false, draining: false });
    });
    expect(check(paused)).toEqual([]);
  });

  it('asks nothing while the board is paused', () => {
    const board = new SmallBoard();
    board.pauseBoard();
    board.create('task');
    board.pass(TOO_LONG_MS);
    board.claim('worker-1.1', { leadMs: TOO_LONG_MS });
    expect(check(board)).toEqual([]);
  });

  it('asks nothing of a lane that has a cap', () => {
    const board = new SmallBoard();
    board.changeLane('lane.updated', { max_concurrent_claims: 1 });
    board.create('task');
    board.pass(TOO_LONG_MS);
    board.claim('worker-1.1', { leadMs: TOO_LONG_MS });
    expect(check(board)).toEqual([]);
  });

  it('asks nothing while something is broken, and for a while after it', () => {
    expect(check(waitFor(TOO_LONG_MS, (board) => board.fault('kill postgres', 'postgres')))).toEqual([]);
    const settling = new SmallBoard();
    settling.fault('stop server', 'server-1', SHORT_MS);
    settling.create('task');
    settling.pass(TOO_LONG_MS);
    settling.claim('worker-1.1', { leadMs: TOO_LONG_MS });
    expect(check(settling)).toEqual([]);
  });

  it('asks nothing of a machine that is too busy to answer what waits for nothing', () => {
    const busy = waitFor(TOO_LONG_MS, (board) => board.create('another', { lagMs: BOUNDS.slowMs }));
    expect(check(busy)).toEqual([]);
  });

  it('asks again once a fault is over and all has settled', () => {
    const board = new SmallBoard();
    board.fault('kill server', 'server-1');
    board.create('task');
    board.pass(BOUNDS.settleMs + TOO_LONG_MS);
    board.claim('worker-1.1', { leadMs: BOUNDS.settleMs + TOO_LONG_MS });
    expect(check(board)).toEqual(LOST);
  });

  it("holds a fault of a client against that client's waits alone", () => {
    expect(check(waitFor(TOO_LONG_MS, (board) => board.fault('stop worker', 'worker-1')))).toEqual([]);
    const others = waitFor(TOO_LONG_MS, (board) => {
      board.claim('worker-2.1', { isLost: true });
      board.fault('kill worker', 'worker-2');
    });
    const [claimed] = others.runs;
    expect(claimed?.worker).toBe('worker-2.1');
    const alone = waitFor(TOO_LONG_MS, (board) => board.fault('kill watcher', 'watcher-1'));
    alone.history.watch('watcher-1.1', 1);
    expect(check(alone)).toEqual(LOST);
  });
});
