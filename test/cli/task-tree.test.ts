import { expect, test } from 'vitest';
import { treeOf } from '../../src/cli/task-tree.ts';

const graphOf = (...pairs: string[]) => {
  const names = [...new Set(pairs.flatMap((pair) => [...pair]))].sort();
  return {
    nodes: names.map((id) => ({ id, title: id, status: 'todo' as const, lane: null })),
    edges: pairs
      .filter((pair) => pair.length === 2)
      .map((pair) => ({ parent: pair.charAt(0), child: pair.charAt(1), met: false })),
  };
};

const drawn = (...pairs: string[]): string[] =>
  treeOf(graphOf(...pairs)).map(
    ({ branch, node, isRepeated }) => `${branch}${node.id}${isRepeated ? '…' : ''}`,
  );

test('a task alone is a line', () => {
  expect(drawn('a')).toEqual(['a']);
});

test('whoever waits stands below what it waits for, and what waits for several is drawn out once', () => {
  expect(drawn('ab', 'ac', 'bd', 'cd', 'de', 'xd')).toEqual([
    'a',
    '├─ b',
    '│  └─ d',
    '│     └─ e',
    '└─ c',
    '   └─ d…',
    'x',
    '└─ d…',
  ]);
});

test('a chain as long as graphs may be is drawn, and a board of diamonds in no more lines than it has links', () => {
  const ids = Array.from({ length: 1000 }, (_, index) => String.fromCharCode(0x4e00 + index));
  const chain = ids.slice(1).map((id, index) => `${ids[index]}${id}`);
  expect(treeOf(graphOf(...chain))).toHaveLength(1000);
  const layers = ids.slice(0, 200);
  const diamonds = layers.flatMap((id, index) => {
    const next = index - (index % 2) + 2;
    return layers.slice(next, next + 2).map((below) => `${id}${below}`);
  });
  expect(treeOf(graphOf(...diamonds)).length).toBe(diamonds.length + 2);
});
