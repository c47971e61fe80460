/** Delegations in words and figures, without a page. */
import { describe, expect, test } from 'vitest';
import { delegationOf } from '../../src/dashboard/delegations/delegate-draft.ts';
import {
  endedOf,
  hasEnded,
  joinText,
  originText,
  steeredText,
} from '../../src/dashboard/delegations/delegation-words.ts';
import type { TaskStatus } from '../../src/dashboard/live/card.ts';
import { readPages } from '../../src/dashboard/live/read-pages.ts';
import { withFields } from '../../src/dashboard/shell/address-fields.ts';

test('a blocked child has ended unless the delegation waits for it', () => {
  expect(hasEnded('blocked', 'end')).toBe(true);
  expect(hasEnded('blocked', 'wait')).toBe(false);
  expect(hasEnded('review', 'end')).toBe(false);
});

test('children that the board does not know any more finished long ago', () => {
  const statuses: Readonly<Record<string, TaskStatus>> = { a: 'done', b: 'running', c: 'blocked' };
  const tasks = ['a', 'b', 'c', 'd'];
  expect(endedOf({ tasks, on_blocked: 'end' }, (task) => statuses[task])).toBe(3);
  expect(endedOf({ tasks, on_blocked: 'wait' }, (task) => statuses[task])).toBe(2);
});

test('join, origin and what became of a message are said in words', () => {
  expect(joinText({ join: 'all', tasks: ['a'] })).toBe('one task');
  expect(joinText({ join: 'all', tasks: ['a', 'b'] })).toBe('waits for all 2');
  expect(joinText({ join: 'any', tasks: ['a', 'b'] })).toBe('the first of 2 that is done decides');
  const nothing = { user_id: null, profile: null, context: null };
  const origin = { ...nothing, platform: 'discord', chat_id: '42', thread_id: '7', session_id: 's1' };
  expect(originText(origin)).toBe('discord 42 / thread 7, session s1');
  expect(originText({ ...nothing, platform: null, chat_id: null, thread_id: null, session_id: 's1' })).toBe(
    'session s1',
  );
  expect(originText(null)).toBe('');
  expect(steeredText({ queued: 2, missed: 0 })).toBe('Queued for 2');
  expect(steeredText({ queued: 1, missed: 1 })).toBe('Queued for 1; missed by 1, which had ended');
});

test('a list reads as many pages as are shown, and asks for none that is not', async () => {
  let asked = 0;
  async function* pages() {
    for (const next of ['2', '3', null]) {
      asked += 1;
      yield { rows: [asked], next_page_token: next };
    }
  }
  expect(await readPages(pages(), ({ rows }) => rows, 2)).toEqual({ rows: [1, 2], hasMore: true });
  expect(asked).toBe(2);
  asked = 0;
  expect(await readPages(pages(), ({ rows }) => rows, 3)).toEqual({ rows: [1, 2, 3], hasMore: false });
});

test('a filter that says nothing is left out of the address, and the others stay', () => {
  const before = new URLSearchParams('status=running&session_id=s1');
  expect(withFields(before, { status: '' }).toString()).toBe('session_id=s1');
  expect(withFields(before, { status: 'failed' }).toString()).toBe('status=failed&session_id=s1');
});

describe('a delegation as it is typed', () => {
  const draft = { goal: ' ', context: '', tasks: '', join: 'all' };

  test('has a task for each line, of the lane before the first colon', () => {
    const tasks = 'factory: build: the box\n\n  qa-1:test it  ';
    expect(delegationOf({ ...draft, tasks })).toEqual({
      join: 'all',
      tasks: [
        { lane: 'factory', title: 'build: the box' },
        { lane: 'qa-1', title: 'test it' },
      ],
    });
    expect(delegationOf({ goal: 'ship', context: 'by night', tasks: 'qa: x', join: 'any' })).toEqual({
      goal: 'ship',
      context: 'by night',
      join: 'any',
      tasks: [{ lane: 'qa', title: 'x' }],
    });
  });

  test('without a task, or with one of no lane, is refused in words', () => {
    expect(() => delegationOf({ ...draft, tasks: ' \n ' })).toThrow('at least one task');
    for (const tasks of ['build it', 'No lane: x', 'qa:'])
      expect(() => delegationOf({ ...draft, tasks }), tasks).toThrow('names no lane');
  });
});
