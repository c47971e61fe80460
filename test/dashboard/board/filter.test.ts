import { describe, expect, test } from 'vitest';
import { filterOf } from '../../../src/dashboard/board/filter/filter.ts';
import { accept, suggest, valuesOf } from '../../../src/dashboard/board/filter/suggestions.ts';
import { quoted, termsOf, withoutTerm } from '../../../src/dashboard/board/filter/terms.ts';
import type { Card } from '../../../src/dashboard/live/card.ts';
import { AT_MS, card, claim } from '../fixtures/cards.ts';

const MINUTE_MS = 60_000;
const around = { nowMs: AT_MS + 30 * MINUTE_MS, isLaneOnline: (lane: string) => lane === 'builder' };
const lets = (text: string, change: Partial<Card> = {}): boolean =>
  filterOf(text).matches(card(change), around);

test('words are read with their qualifier, minus and quotes', () => {
  const read = termsOf('lane:a  -label:"x=y z" "two words" plain -status:ready').map(
    ({ qualifier, value, isNegated }) => [isNegated, qualifier, value],
  );
  expect(read).toEqual([
    [false, 'lane', 'a'],
    [true, 'label', 'x=y z'],
    [false, null, 'two words'],
    [false, null, 'plain'],
    [true, 'status', 'ready'],
  ]);
});

test('what is still being typed is read too, and nothing makes it run for ever', () => {
  expect(termsOf('lane:').map(({ value }) => value)).toEqual(['']);
  expect(termsOf('label:"a b').map(({ value }) => value)).toEqual(['a b']);
  expect(termsOf('- : "" "').length).toBeGreaterThan(0);
  expect(filterOf('"" -').problems).toEqual([]);
});

test('a term is taken out without a trace', () => {
  const text = 'lane:a  status:ready  b';
  const [, second] = termsOf(text);
  expect(second && withoutTerm(text, second)).toBe('lane:a b');
  expect(quoted('a b')).toBe('"a b"');
});

test.each<[string, Partial<Card>, Partial<Card>]>([
  ['lane:builder', {}, { lane: 'other' }],
  ['lane:-', { lane: null }, {}],
  ['-lane:builder', { lane: null }, {}],
  ['lane:a,builder', {}, { lane: 'c' }],
  ['lane:a lane:builder', {}, { lane: 'c' }],
  ['status:ready status:blocked', { status: 'blocked' }, { status: 'done' }],
  ['label:team', { labels: { team: 'web' } }, {}],
  ['label:team=web', { labels: { team: 'web' } }, { labels: { team: 'api' } }],
  ['label:team=web label:env=prod', { labels: { team: 'web', env: 'prod' } }, { labels: { team: 'web' } }],
  ['label:"team=the web"', { labels: { team: 'the web' } }, { labels: { team: 'the' } }],
  ['tenant:acme', { tenant: 'acme' }, {}],
  ['worker:AN', { claim: claim() }, { claim: claim({ worker: 'bob' }) }],
  ['delegation:deleg_1', { delegationId: 'deleg_1' }, {}],
  ['reviewer:check', { reviewer: 'check' }, {}],
  ['attempt:>1', { attempt: 2 }, { attempt: 1 }],
  ['attempt:>1 attempt:<4', { attempt: 3 }, { attempt: 4 }],
  ['failures:>=1', { consecutiveFailures: 1 }, {}],
  ['priority:5', { priority: 5 }, { priority: 6 }],
  ['priority:<0', { priority: -1 }, {}],
  ['age:>10m', {}, { statusSinceMs: AT_MS + 25 * MINUTE_MS }],
  ['age:10m', {}, { statusSinceMs: AT_MS + 25 * MINUTE_MS }],
  ['age:<1h', {}, { statusSinceMs: AT_MS - 60 * MINUTE_MS }],
  ['age:>1d', { statusSinceMs: 0 }, {}],
  ['is:held', { claim: claim() }, {}],
  ['-is:held', {}, { claim: claim() }],
  ['is:stranded', { lane: 'dead' }, {}],
  ['is:stranded', { lane: null }, { lane: 'dead', status: 'blocked' }],
  ['is:cancelling', { claim: claim({ isCancelRequested: true }) }, { claim: claim() }],
  ['is:lapsed', { claim: claim() }, { claim: claim({ leaseExpiresAtMs: AT_MS + 31 * MINUTE_MS }) }],
  ['is:delegated', { delegationId: 'x' }, {}],
  ['is:waiting', { status: 'todo' }, {}],
  ['is:failing', { consecutiveFailures: 2 }, {}],
  ['FIX the', { title: 'fix the gate' }, { title: 'fix a gate' }],
  ['"fix the"', { title: 'Fix the gate' }, { title: 'the fix' }],
  ['task_1', {}, { id: 'task_2' }],
  ['JIRA-7', { externalRef: 'jira-7' }, {}],
  ['-gate', { title: 'a door' }, { title: 'a gate' }],
])('%s', (text, through, not) => {
  expect(filterOf(text).problems).toEqual([]);
  expect(lets(text, through)).toBe(true);
  expect(lets(text, not)).toBe(false);
});

describe('what is not understood', () => {
  test.each([
    ['foo:bar', /no qualifier “foo”/],
    ['age:ten', /takes in its status/],
    ['priority:>5m', /takes >5/],
    ['is:toString', /takes stranded/],
    ['lane:', /what\?/],
  ])('%s is said and lets everything through', (text, reason) => {
    const filter = filterOf(`${text} a`);
    expect(filter.problems.map(({ term }) => term.source)).toEqual([text]);
    expect(filter.problems[0]?.reason).toMatch(reason);
    expect(filter.matches(card({ title: 'a' }), around)).toBe(true);
    expect(filter.matches(card({ id: 'x', title: 'b' }), around)).toBe(false);
  });

  test('in quotes it is text', () => {
    expect(lets('"http://x"', { title: 'see http://x' })).toBe(true);
    expect(filterOf('"http://x"').problems).toEqual([]);
  });
});

test('only what depends on the time is looked at again as it passes', () => {
  expect(filterOf('age:>1m').dependsOnTime).toBe(true);
  expect(filterOf('lane:a').dependsOnTime).toBe(false);
  expect(filterOf('').isEmpty).toBe(true);
  expect(filterOf('foo:bar').isEmpty).toBe(true);
});

describe('suggestions', () => {
  const values = valuesOf(
    [
      card({ lane: 'web', labels: { team: 'the web' } }),
      card({ lane: 'web' }),
      card({ lane: 'api', claim: claim() }),
    ],
    ['builder'],
  );
  const texts = (text: string): string[] => suggest(text, text.length, values).map((each) => each.text);

  test('are qualifiers first, then values that are there, the most frequent first', () => {
    expect(texts('la')).toEqual(['lane:', 'label:']);
    expect(texts('-la')).toEqual(['-lane:', '-label:']);
    expect(texts('lane:')).toEqual(['lane:web', 'lane:builder', 'lane:api']);
    expect(texts('lane:ap')).toEqual(['lane:api']);
    expect(texts('lane:api')).toEqual([]);
    expect(texts('status:re')).toEqual(['status:ready', 'status:review']);
    expect(texts('label:')).toEqual(['label:"team=the web"']);
    expect(texts('worker:')).toEqual(['worker:ann']);
  });

  test('take the place of what was begun, and leave the rest', () => {
    const [first] = suggest('lane:w status:ready', 6, values);
    expect(first && accept('lane:w status:ready', 6, first)).toEqual(['lane:web status:ready', 9]);
    const [open] = suggest('la', 2, values);
    expect(open && accept('la', 2, open)).toEqual(['lane:', 5]);
  });
});

test('a label is one that the task has, not what every object has', () => {
  expect(lets('label:constructor', { labels: { team: 'web' } })).toBe(false);
  expect(lets('label:toString=x', { labels: {} })).toBe(false);
  expect(lets('label:constructor', { labels: { constructor: '' } })).toBe(true);
});
