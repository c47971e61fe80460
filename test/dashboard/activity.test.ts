import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/client/index.ts';
import { EVENT_KINDS } from '../../src/contract/statuses.ts';
import {
  isSearching,
  KIND_GROUPS,
  passesQuery,
  queryOf,
  readFilter,
  searchOf,
  writeFilter,
} from '../../src/dashboard/activity/activity-filter.ts';
import {
  addNewer,
  addOlder,
  beginLog,
  EVENTS_KEPT,
  release,
} from '../../src/dashboard/activity/activity-log.ts';

const TASK = 'task_01arz3ndektsv4rrffq69g5fav';
const filterOf = (text: string) => readFilter(new URLSearchParams(text));

function event(seq: number, more: Partial<Event> = {}): Event {
  return {
    cursor: `c${seq}`,
    seq,
    board: 'default',
    kind: 'task.failed',
    at: '2026-01-02T03:04:05.000Z',
    actor: { type: 'claim', id: 'run_1' },
    data: {},
    ...more,
  };
}
const down = (from: number, to: number): Event[] =>
  Array.from({ length: from - to + 1 }, (_, index) => event(from - index));
const up = (from: number, to: number): Event[] => down(to, from).reverse();
const seqsOf = (log: { readonly events: readonly Event[] }): number[] => log.events.map(({ seq }) => seq);

describe('a filter', () => {
  test.each([
    '',
    'kinds=all',
    'kinds=work',
    'kinds=work%2Ctask.created%2Clife',
    'kinds=',
    `lane=build&task=${TASK}&actor=key&text=out+of+memory`,
    'at=YWJj',
  ])('is the same after it has been in the address: %s', (address) => {
    expect(writeFilter(filterOf(address)).toString()).toBe(address);
  });

  test('has every kind in exactly one group', () => {
    expect(KIND_GROUPS.flatMap(({ kinds }) => kinds).sort()).toEqual([...EVENT_KINDS].sort());
  });

  test('leaves signs of life out until somebody wants them, and shows no unknown word', () => {
    expect(filterOf('').kinds.has('task.heartbeat')).toBe(false);
    expect(filterOf('').kinds.size).toBe(EVENT_KINDS.length - 2);
    expect(filterOf('kinds=nonsense').kinds.size).toBe(0);
  });

  test('asks the server for what it can choose by, and tells what comes live by the same', () => {
    const filter = filterOf(`kinds=work&lane=build&task=${TASK}`);
    const query = queryOf(filter);
    expect(query).toMatchObject({ lanes: 'build', tasks: TASK });
    expect(query.kinds?.split(',')).toContain('task.claimed');
    expect(isSearching(filter)).toBe(false);
    expect(queryOf(filterOf('kinds=all'))).toEqual({});
    const good = event(1, { lane: 'build', task_id: TASK });
    expect(passesQuery(filter, good)).toBe(true);
    for (const other of [{ lane: 'test' }, { task_id: 'task_x' }, { kind: 'task.created' as const }])
      expect(passesQuery(filter, { ...good, ...other })).toBe(false);
  });

  test('looks for parts of ids, actors and words in what it has', () => {
    const given = event(1, { task_id: TASK, worker: 'w-7', data: { error: 'Out of memory' } });
    for (const address of ['task=q69g5', 'actor=W-7', 'actor=claim', 'text=out+of', 'text=task.failed']) {
      expect(isSearching(filterOf(address))).toBe(true);
      expect(searchOf(filterOf(address))(given), address).toBe(true);
    }
    for (const address of ['task=zzz', 'actor=w-8', 'text=disk'])
      expect(searchOf(filterOf(address))(given), address).toBe(false);
  });
});

test('the words of an event are made once, however often and by whichever text it is looked for', () => {
  let made = 0;
  const data = {
    toJSON: () => {
      made += 1;
      return { error: 'Out of memory' };
    },
  };
  const given = event(1, { data: data as unknown as Event['data'] });
  const search = searchOf(filterOf('text=memory'));
  expect([search(given), search(given)]).toEqual([true, true]);
  expect(searchOf(filterOf('text=disk'))(given)).toBe(false);
  expect(made).toBe(1);
});

describe('the log of the page', () => {
  test('has each event once, the newest first, whether it was read or told', () => {
    let log = addOlder(beginLog('now'), { events: down(10, 8), cursor: 'c7' }, 'now');
    log = addNewer(log, up(9, 12));
    log = addOlder(log, { events: down(7, 6), cursor: 'c5' }, 'c7');
    expect(seqsOf(log)).toEqual([12, 11, 10, 9, 8, 7, 6]);
    // An answer to a question that has been answered already.
    expect(addOlder(log, { events: down(7, 6), cursor: 'c5' }, 'c7')).toBe(log);
  });

  test('ends where there is nothing older', () => {
    const log = addOlder(beginLog('now'), { events: [event(1)], cursor: 'c0' }, 'now');
    expect(log.older).toBe('c0');
    expect(addOlder(log, { events: [], cursor: 'c0' }, 'c0').older).toBeNull();
    // A page that a filter left empty is no end.
    expect(addOlder(log, { events: [], cursor: 'earlier' }, 'c0').older).toBe('earlier');
  });

  test('keeps so many and reads the older ones again, from where it forgot them', () => {
    const full = addNewer(beginLog('now'), up(1, EVENTS_KEPT));
    const log = addNewer(full, up(EVENTS_KEPT + 1, EVENTS_KEPT + 5));
    expect(log.events).toHaveLength(EVENTS_KEPT);
    expect(log.events.at(-1)?.seq).toBe(6);
    expect(log.older).toBe('c5');
  });

  test('stands still while somebody reads: what comes waits beside it and nothing is cut', () => {
    const full = addNewer(beginLog('now'), up(1, EVENTS_KEPT));
    const held = addNewer(full, up(EVENTS_KEPT + 1, EVENTS_KEPT + 5), true);
    expect(held.events).toBe(full.events);
    expect(held.waiting.map(({ seq }) => seq)).toEqual(
      seqsOf({ events: down(EVENTS_KEPT + 5, EVENTS_KEPT + 1) }),
    );
    expect(addNewer(held, up(EVENTS_KEPT + 4, EVENTS_KEPT + 5), true)).toBe(held);
    const released = release(held);
    expect(released.events).toHaveLength(EVENTS_KEPT);
    expect([released.events[0]?.seq, released.older, released.waiting]).toEqual([EVENTS_KEPT + 5, 'c5', []]);
  });

  test('begins with what has waited where too much of it came to follow what was read', () => {
    const held = addNewer(addNewer(beginLog('now'), up(1, 9)), up(10, 10 + EVENTS_KEPT), true);
    expect(seqsOf(held)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(held.waiting).toHaveLength(EVENTS_KEPT);
    const log = release(addNewer(held, up(11 + EVENTS_KEPT, 12 + EVENTS_KEPT), true));
    expect(log.events).toHaveLength(EVENTS_KEPT);
    expect([log.events.at(-1)?.seq, log.older]).toEqual([13, 'c12']);
  });
});
