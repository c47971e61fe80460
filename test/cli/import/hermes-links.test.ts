/** Parents come first, whatever the links say. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Findings } from '../../../src/cli/import/findings.ts';
import { orderByParents } from '../../../src/cli/import/hermes-links.ts';

const members = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `t${index}`, isSatisfied: index % 2 === 0 }));

function ordered(count: number, links: readonly (readonly [string, string])[]) {
  const findings = new Findings();
  const found = orderByParents(
    members(count),
    links.map(([parent, child]) => ({ parent, child })),
    findings,
  );
  const counts = Object.fromEntries(findings.list().map(({ code, count: times }) => [code, times]));
  return { ids: found.order.map(({ id }) => id), parentsOf: found.parentsOf, counts };
}

test('a task comes after all it waits for, and otherwise in the order of age', () => {
  const { ids, counts } = ordered(5, [
    ['t4', 't1'],
    ['t3', 't4'],
  ]);
  expect(ids).toEqual(['t0', 't3', 't4', 't1', 't2']);
  expect(counts).toEqual({});
});

test('a circle is opened at one link, and links that hang loose or close on themselves are left out', () => {
  const { ids, parentsOf, counts } = ordered(3, [
    ['t0', 't1'],
    ['t1', 't2'],
    ['t2', 't0'],
    ['t1', 't1'],
    ['gone', 't1'],
    ['t1', 'gone'],
  ]);
  expect(ids).toHaveLength(3);
  expect([...parentsOf.values()].flat()).toHaveLength(2);
  expect(counts).toEqual({ link_cycle: 1, link_to_itself: 1, link_dangling: 2 });
});

test('whatever the links: every task once, parents before children, no link lost without being told', () => {
  const id = fc.integer({ min: 0, max: 12 }).map((number) => `t${number}`);
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(id, id), { selector: (pair) => pair.join() }), (links) => {
      const { ids, parentsOf, counts } = ordered(12, links);
      expect([...ids].sort()).toEqual(
        members(12)
          .map((member) => member.id)
          .sort(),
      );
      const place = new Map(ids.map((name, index) => [name, index]));
      for (const [child, parents] of parentsOf)
        for (const parent of parents) expect(place.get(parent)).toBeLessThan(place.get(child) ?? -1);
      const kept = [...parentsOf.values()].flat().length;
      const told = Object.values(counts).reduce((sum, count) => sum + count, 0);
      expect(kept + told).toBe(links.length);
    }),
  );
});

test('a chain as long as a board is no trouble', () => {
  const links = Array.from({ length: 19_999 }, (_, index) => [`t${index + 1}`, `t${index}`] as const);
  expect(ordered(20_000, links).ids[0]).toBe('t19999');
});

test('of more parents than one task may have, those that are still waited for are kept', () => {
  const links = Array.from({ length: 150 }, (_, index) => [`t${index}`, 't150'] as const);
  const { parentsOf, counts } = ordered(151, links);
  const kept = parentsOf.get('t150') ?? [];
  expect(kept).toHaveLength(100);
  expect(kept.filter((parent) => Number(parent.slice(1)) % 2 === 1)).toHaveLength(75);
  expect(counts).toEqual({ link_excess: 50 });
});
