import { describe, expect, it } from 'vitest';
import { checkWaitingChildren } from '../../chaos/checkers/waiting-children.ts';
import { detailsOf } from './recorded-day.ts';
import { SmallBoard } from './small-board.ts';
import type { Recording, Task } from './small-board-words.ts';

/** A family in which all is as it should be: of two parents one is done, and the other one as the test wants it. */
interface Family extends Recording {
  readonly one: Task;
  readonly other: Task;
  readonly child: Task;
}

function recordFamily(live: (board: SmallBoard, family: Omit<Family, keyof Recording>) => void): Family {
  const board = new SmallBoard();
  const [one, other] = [board.create('one'), board.create('other')];
  const child = board.create('child', {}, [one, other]);
  live(board, { one, other, child });
  return { ...board.finish(), one, other, child };
}

const waits = (): Family => recordFamily((board, { one }) => board.completeByHand(one));

/** The child was let go and claimed, and went on when a parent of it was opened again. */
const started = (): Family =>
  recordFamily((board, { one, other }) => {
    board.completeByHand(one);
    board.completeByHand(other);
    board.claim('worker-1.1');
    board.reopen(one);
  });

const ready = (): Family =>
  recordFamily((board, { one, other }) => {
    board.completeByHand(one);
    board.archive(one);
    board.completeByHand(other);
  });

/** Let go, and held back by a parent that was opened again. */
const heldBack = (): Family =>
  recordFamily((board, { one, other }) => {
    board.completeByHand(one);
    board.completeByHand(other);
    board.reopen(other);
  });

function eventsOf(family: Family, kind: string, task: Task = family.child) {
  return family.final.events.filter((event) => event.kind === kind && event.task_id === task.id);
}

function drop(family: Family, kind: string, task: Task = family.child): void {
  const dropped = new Set(eventsOf(family, kind, task));
  family.final.events = family.final.events.filter((event) => !dropped.has(event));
}

function rowOf({ final }: Family, { id }: Task): Family['final']['tasks'][number] {
  const row = final.tasks.find((task) => task.id === id);
  if (row === undefined) throw new Error('the family has it');
  return row;
}

const STRANDED = 'a child was stranded: nothing keeps it in todo';

const FORGERIES: readonly (readonly [what: string, detail: string, Family, (family: Family) => void])[] = [
  [
    'a child that nobody let go',
    STRANDED,
    ready(),
    (family) => {
      drop(family, 'task.ready');
      rowOf(family, family.child).status = 'todo';
    },
  ],
  [
    'a child in todo that waits for nothing, whatever the log says',
    'a task is in todo, and waits for nothing',
    ready(),
    (family) => {
      rowOf(family, family.child).status = 'todo';
    },
  ],
  [
    'a child that was let go by a later transaction',
    STRANDED,
    ready(),
    (family) => {
      for (const event of eventsOf(family, 'task.ready')) event.at = family.final.readAt;
    },
  ],
  [
    'a child that was let go twice',
    'a child was promoted twice',
    ready(),
    ({ final, ...family }) => {
      final.events.push(...structuredClone(eventsOf({ final, ...family }, 'task.ready')));
    },
  ],
  [
    'a child that was let go while a parent was not done',
    'a child was promoted while a parent was not done',
    waits(),
    ({ final, child }) => {
      const data = { status_before: 'todo', status_after: 'ready' };
      const [first] = final.events.filter((event) => event.task_id === child.id);
      if (first !== undefined) final.events.push({ ...structuredClone(first), kind: 'task.ready', data });
    },
  ],
  [
    'a child that was claimed while a parent was not done',
    'a child was claimed while a parent was not done',
    started(),
    (family) => {
      const { events } = family.final;
      const [reopened] = eventsOf(family, 'task.reopened', family.one);
      const [claimed] = eventsOf(family, 'task.claimed');
      if (reopened === undefined || claimed === undefined) throw new Error('both happened');
      events.splice(events.indexOf(reopened), 1);
      events.splice(events.indexOf(claimed), 0, reopened);
    },
  ],
  [
    'a ready child that a reopened parent did not hold back',
    'a child that could be claimed was not held back',
    heldBack(),
    (family) => drop(family, 'task.todo'),
  ],
  [
    'a child that can be claimed, and a parent of it is not done',
    'a task can be claimed, and a parent is not done',
    heldBack(),
    (family) => {
      rowOf(family, family.child).status = 'ready';
    },
  ],
  [
    'a link that is not met although the parent is done',
    'a link is not met as its parent is',
    waits(),
    ({ final, one }) => {
      for (const link of final.links) if (link.parentId === one.id) link.isMet = false;
    },
  ],
  [
    'a link that is met by a parent that was put away undone',
    'a link is not met as its parent is',
    ready(),
    (family) => {
      rowOf(family, family.one).archivedFrom = 'cancelled';
    },
  ],
  [
    'unmet parents that are more than the links',
    'unmet parents are not counted right',
    waits(),
    (family) => {
      rowOf(family, family.child).unmetParents += 1;
    },
  ],
  [
    'a link that is lost',
    'a link of the log is not in the tables',
    waits(),
    ({ final }) => {
      final.links.pop();
    },
  ],
  [
    'a link that the log does not know',
    'a link is not what the log says',
    waits(),
    ({ final, one, other }) => {
      final.links.push({ childId: other.id, parentId: one.id, isMet: true });
    },
  ],
  [
    'a link without a task',
    'a link has no task',
    waits(),
    ({ final }) => {
      for (const link of final.links) link.parentId = 'task_99';
    },
  ],
];

describe('a task waits for its parents, and never for nothing', () => {
  it.each([waits, ready, started, heldBack])(
    'finds nothing in a family that keeps the rules: %o',
    (record) => {
      expect(checkWaitingChildren(record().final)).toEqual([]);
    },
  );

  it.each(FORGERIES)('finds %s', (_, detail, family, change) => {
    change(family);
    expect(detailsOf(checkWaitingChildren(family.final))).toContain(detail);
  });
});
