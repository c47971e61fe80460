import { describe, expect, it } from 'vitest';
import { checkWatchers } from '../../chaos/checkers/watchers.ts';
import { type Day, detailsOf, type Forgery, forge, recordDay } from './recorded-day.ts';

const WATCHER = 'watcher-1.1';

/** Where the nth event of the watcher stands among the entries, from 1. */
function placeOf(day: Day, nth: number): number {
  const places = [...day.entries.keys()].filter((place) => {
    const entry = day.entries[place];
    return entry?.entry === 'watched' && entry.process === WATCHER;
  });
  return places[nth - 1] ?? Number.NaN;
}

function swap(day: Day, left: number, right: number): void {
  const [one, other] = [day.entries[left], day.entries[right]];
  if (one === undefined || other === undefined) throw new Error('the day has both');
  day.entries[left] = other;
  day.entries[right] = one;
}

const FORGERIES: readonly Forgery[] = [
  [
    'an event that comes twice',
    'an event came again or out of order',
    (day) => {
      const place = placeOf(day, 6);
      day.entries.splice(place, 0, ...day.entries.slice(place, place + 1));
    },
  ],
  [
    'an event that comes again after a reconnect',
    'an event came again or out of order',
    (day) => {
      const [first] = day.entries.slice(placeOf(day, 1), placeOf(day, 1) + 1);
      if (first !== undefined) day.entries.splice(placeOf(day, 9), 0, first);
    },
  ],
  [
    'two events in the wrong order',
    'events are missing',
    (day) => swap(day, placeOf(day, 5), placeOf(day, 6)),
  ],
  [
    'an event that never came',
    'events are missing',
    (day) => {
      day.entries.splice(placeOf(day, 7), 1);
    },
  ],
  [
    'an event under the number of another',
    'an event is not the one of the log',
    (day) => {
      Object.assign(day.entries[placeOf(day, 7)] ?? {}, { kind: 'task.stranded' });
    },
  ],
  [
    'an event with the cursor of another',
    'an event is not the one of the log',
    (day) => {
      Object.assign(day.entries[placeOf(day, 7)] ?? {}, { cursor: 'cursor 1' });
    },
  ],
  [
    'an event that the log does not have',
    'an event was received that is not in the log',
    (day) => {
      day.final.events.splice(6, 1);
    },
  ],
  [
    'a bookmark before the event that it speaks of',
    'a bookmark came before events that lie at or before it',
    (day) => {
      const place = day.entries.findIndex(
        (entry) => entry.entry === 'bookmark' && entry.process === WATCHER && entry.seq > 0,
      );
      swap(day, place - 1, place);
    },
  ],
  [
    'an event after a bookmark that lies behind it, with which a watch began',
    'an event came again or out of order',
    (day) => {
      day.entries.push({
        entry: 'bookmark',
        process: 'new',
        at: 0,
        connection: 1,
        seq: 0,
        cursor: 'cursor 5',
      });
      day.entries.push({
        entry: 'watched',
        process: 'new',
        at: 0,
        connection: 1,
        seq: 5,
        kind: day.final.events[4]?.kind ?? '',
        cursor: 'cursor 5',
      });
    },
  ],
  [
    'a bookmark that goes back',
    'a bookmark lies before an event that was received',
    (day) => {
      const last = day.entries.findLast((entry) => entry.entry === 'bookmark' && entry.process === WATCHER);
      Object.assign(last ?? {}, { cursor: 'cursor 2' });
    },
  ],
  [
    'a bookmark of another log',
    'a bookmark is not of this log',
    (day) => {
      const last = day.entries.findLast((entry) => entry.entry === 'bookmark' && entry.process === WATCHER);
      Object.assign(last ?? {}, { cursor: 'cursor 2 of another' });
    },
  ],
  [
    'a watcher that was there and did not get to the end',
    'a watcher did not get to the end of the log',
    (day) => {
      const last = day.final.events.at(-1);
      if (last !== undefined)
        day.final.events.push({ ...last, seq: last.seq + 1, cursor: 'cursor of the end' });
      day.final.seq += 1;
    },
  ],
];

describe('every watcher sees every event once and in order', () => {
  it('holds on a good day', () => {
    const day = recordDay();
    expect(checkWatchers(day.entries, day.final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    const day = forge(change);
    expect(detailsOf(checkWatchers(day.entries, day.final))).toContain(detail);
  });

  it('tells one fault once', () => {
    const day = forge((day) => {
      const [first] = day.entries.slice(placeOf(day, 1), placeOf(day, 1) + 1);
      if (first !== undefined) day.entries.splice(placeOf(day, 9), 0, first);
    });
    expect(checkWatchers(day.entries, day.final)).toHaveLength(1);
  });

  it('asks nothing of what comes after the final state', () => {
    const day = forge((day) => {
      const seq = day.final.seq + 1;
      const end = day.entries.findIndex(({ entry }) => entry === 'watch_end');
      const common = { process: WATCHER, at: 0, connection: 3, seq, cursor: 'cursor of a later one' };
      day.entries.splice(end, 0, { entry: 'watched', kind: 'lane.offline', ...common });
      day.entries.splice(end + 1, 0, { entry: 'bookmark', ...common });
    });
    expect(checkWatchers(day.entries, day.final)).toEqual([]);
  });

  it('lets a watch begin anywhere', () => {
    const day = forge((day) => {
      day.entries = day.entries.slice(placeOf(day, 4));
    });
    expect(checkWatchers(day.entries, day.final)).toEqual([]);
  });
});
