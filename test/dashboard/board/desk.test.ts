import { expect, test } from 'vitest';
import { Desk } from '../../../src/dashboard/board/desk.ts';
import { Movement } from '../../../src/dashboard/board/movement.ts';
import { follow, type Place, rangeOf, type ShownColumn, step } from '../../../src/dashboard/board/places.ts';
import type { Card, TaskStatus } from '../../../src/dashboard/live/card.ts';
import { card, event } from '../fixtures/cards.ts';

function column(status: TaskStatus, ids: string, isClosed = false): ShownColumn {
  return { status, isClosed, cards: [...ids].map((id) => card({ id, status })) };
}

const BOARD = [
  column('todo', 'ab'),
  column('ready', ''),
  column('running', 'x', true),
  column('done', 'pqr'),
];
const at = (status: TaskStatus, index: number, id: string): Place => ({ status, index, id });

test('the keyboard walks down a column and over to the next one that shows cards', () => {
  expect(step(BOARD, null, 'down')).toEqual(at('todo', 0, 'a'));
  expect(step(BOARD, at('todo', 0, 'a'), 'down')).toEqual(at('todo', 1, 'b'));
  expect(step(BOARD, at('todo', 1, 'b'), 'down')).toEqual(at('todo', 1, 'b'));
  expect(step(BOARD, at('todo', 1, 'b'), 'right')).toEqual(at('done', 1, 'q'));
  expect(step(BOARD, at('done', 2, 'r'), 'right')).toEqual(at('done', 2, 'r'));
  expect(step(BOARD, at('done', 2, 'r'), 'left')).toEqual(at('todo', 1, 'b'));
  expect(step([column('ready', '')], null, 'down')).toBeNull();
});

test('the place stays with its card within a column, and goes to the neighbour when the card leaves', () => {
  expect(follow([column('todo', 'xab')], at('todo', 0, 'a'))).toEqual(at('todo', 1, 'a'));
  expect(follow([column('todo', 'bc')], at('todo', 0, 'a'))).toEqual(at('todo', 0, 'b'));
  expect(follow([column('todo', 'ab')], at('todo', 2, 'c'))).toEqual(at('todo', 1, 'b'));
  expect(follow([column('todo', ''), column('done', 'p')], at('todo', 0, 'a'))).toEqual(at('done', 0, 'p'));
  expect(follow([column('todo', '')], at('todo', 0, 'a'))).toBeNull();
});

test('a range reaches in both directions, and not beyond its column', () => {
  const { cards } = column('done', 'pqrs');
  expect(rangeOf(cards, 's', 'q')).toEqual(['q', 'r', 's']);
  expect(rangeOf(cards, 'a', 'q')).toBeNull();
});

test('cards are selected one by one, by range, and all at once', () => {
  const desk = new Desk();
  const { cards } = column('done', 'pqrs');
  const selected = (): string => [...desk.read().selected].join('');
  desk.toggle('q');
  desk.extend(cards, 's');
  expect(selected()).toBe('qrs');
  desk.toggle('r');
  expect(selected()).toBe('qs');
  desk.add(['p']);
  desk.unselect(['q']);
  expect(selected()).toBe('sp');
  desk.clear();
  desk.extend(cards, 'p');
  expect(selected()).toBe('p');
});

const settled = (desk: Desk, columns: readonly ShownColumn[], hasLostFocus = false): void => {
  const cards = new Map(columns.flatMap((each) => each.cards.map((one): [string, Card] => [one.id, one])));
  desk.settle(
    columns,
    (id) => cards.get(id),
    () => hasLostFocus,
  );
};

test('the focus of the page is asked for once, and only when it was on the card that left', () => {
  const desk = new Desk();
  desk.stand(at('todo', 0, 'a'), false);
  expect(desk.isFocusWaiting).toBe(false);
  settled(desk, [column('todo', 'bc')]);
  expect(desk.read().place).toEqual(at('todo', 0, 'b'));
  expect(desk.isFocusWaiting).toBe(false);
  settled(desk, [column('todo', 'c')], true);
  expect(desk.read().place).toEqual(at('todo', 0, 'c'));
  expect(desk.isFocusWaiting).toBe(true);
  desk.focusGiven();
  expect(desk.isFocusWaiting).toBe(false);
});

test('what is pending is answered by a later version of the card; what was refused stays as long as the card', () => {
  const desk = new Desk();
  desk.note('a', { kind: 'pending', text: 'Cancel …', version: 1 });
  desk.note('b', { kind: 'refused', text: 'no', version: 1 });
  const settle = (known: string, version: number): readonly string[] => {
    const cardOf = (id: string) => (known.includes(id) ? card({ id, version }) : undefined);
    desk.settle([], cardOf, () => false);
    return [...desk.read().notes.keys()];
  };
  expect(settle('ab', 1)).toEqual(['a', 'b']);
  expect(settle('ab', 2)).toEqual(['b']);
  expect(settle('a', 2)).toEqual([]);
});

test('what is gone from the board is no longer selected, and nothing is told when nothing has changed', () => {
  const desk = new Desk();
  desk.add(['a', 'z']);
  settled(desk, [column('todo', 'a')]);
  expect([...desk.read().selected]).toEqual(['a']);
  let told = 0;
  desk.subscribe(() => {
    told += 1;
  });
  settled(desk, [column('todo', 'a')]);
  expect(told).toBe(0);
});

test('a summary counts each task once, where it went last', () => {
  const movement = new Movement();
  const went = (id: string, before: string, after: string) =>
    event('task.ready', { status_before: before, status_after: after }, { task_id: id });
  movement.add([went('a', 'ready', 'running'), went('a', 'running', 'done'), went('b', 'ready', 'running')]);
  movement.add([went('c', 'ready', 'ready'), event('task.commented', {})]);
  expect(movement.take()).toBe('2 tasks moved: 1 done, 1 running');
  expect(movement.take()).toBeNull();
});
