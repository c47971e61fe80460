import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/client/index.ts';
import { EVENT_KINDS } from '../../src/contract/statuses.ts';
import { Grown } from '../../src/dashboard/task/grown.ts';
import {
  addNewer,
  addOlder,
  cutCount,
  EMPTY_LOG,
  EVENTS_KEPT,
  EVENTS_KEPT_MAX,
  mergeEvents,
  PIECE_EVENTS,
} from '../../src/dashboard/task/timeline-log.ts';
import { phasesAfter } from '../../src/dashboard/task/timeline-phases.ts';
import {
  beatsSentence,
  type Folding,
  rowsAfter,
  seqOfHash,
  seqOfRow,
  type TimelineRow,
  unfold,
} from '../../src/dashboard/task/timeline-rows.ts';
import { KINDS, sentenceOf } from '../../src/dashboard/task/timeline-sentence.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

const at = (seconds: number): string => new Date(START_MS + seconds * 1000).toISOString();

function event(kind: Event['kind'], more: Partial<Event> = {}): Event {
  const seq = more.seq ?? 1;
  return {
    cursor: `c${seq}`,
    seq,
    board: 'default',
    kind,
    at: at(seq),
    actor: { type: 'key', id: 'key_1' },
    data: {},
    ...more,
  };
}

describe('the sentence of an event', () => {
  test('is there for every kind, and says more than its name, whatever its data', () => {
    expect([...KINDS].sort()).toEqual([...EVENT_KINDS].sort());
    for (const kind of EVENT_KINDS) {
      const sentence = sentenceOf(event(kind));
      expect(sentence, kind).toMatch(/^[A-Z][^{}]*$/);
      expect(sentence, kind).not.toMatch(/undefined|null|NaN|\[object/);
      // Data of another form than expected is left out, never shown broken.
      const odd = Object.fromEntries(
        [
          'reason',
          'error',
          'summary',
          'evidence',
          'results',
          'settings',
          'parent',
          'progress',
          'workers',
        ].map((name) => [name, { unexpected: true }]),
      );
      expect(sentenceOf(event(kind, { data: odd })), kind).not.toMatch(/undefined|NaN|\[object/);
    }
  });

  test.each<[string, Event]>([
    [
      'Claimed by builder/worker-3 (attempt 2), lease 1 min',
      event('task.claimed', {
        lane: 'builder',
        worker: 'worker-3',
        attempt: 2,
        data: { status_before: 'ready', status_after: 'running', lease_seconds: 60 },
      }),
    ],
    [
      'Crashed: lease expired; last heartbeat 1 min before; 2 failures in a row; next try in 4 s',
      event('task.crashed', {
        at: at(90),
        data: {
          status_after: 'scheduled',
          reason: 'lease',
          consecutive_failures: 2,
          delay_seconds: 4,
          evidence: { limit: 'lease', claimed_at: at(0), last_heartbeat_at: at(30) },
        },
      }),
    ],
    [
      'Crashed: the socket of its worker closed; never a heartbeat since the claim 30 s before',
      event('task.crashed', {
        at: at(30),
        data: { evidence: { limit: 'disconnect', claimed_at: at(0), last_heartbeat_at: null } },
      }),
    ],
    [
      'Timed out: no progress for 2 min',
      event('task.timed_out', { data: { evidence: { limit: 'no_progress', no_progress_seconds: 120 } } }),
    ],
    [
      'Delegation partial with 3 results: 2 completed, 1 failed',
      event('delegation.completed', {
        data: {
          status: 'partial',
          reason: null,
          results: [{ outcome: 'completed' }, { outcome: 'failed' }, { outcome: 'completed' }],
        },
      }),
    ],
    [
      'Released: w2 took the lane over',
      event('task.released', { worker: 'w1', data: { evidence: { takeover: { worker: 'w2' } } } }),
    ],
    [
      'Failed (rate limited): slow down',
      event('task.failed', { data: { kind: 'rate_limited', error: 'slow\n down' } }),
    ],
    [
      'Reported progress 40 %: half way',
      event('task.progress', { data: { progress: 0.4, note: 'half way' } }),
    ],
  ])('%s', (sentence, given) => {
    expect(sentenceOf(given)).toBe(sentence);
  });

  test('names a kind that this page does not know yet', () => {
    expect(sentenceOf(event('task.renamed_some_day' as Event['kind']))).toBe('task.renamed some day');
  });
});

const move = (seq: number, seconds: number, after: string | null): Event =>
  event('task.ready', { seq, at: at(seconds), data: after === null ? {} : { status_after: after } });

test('phases are what lies between two changes of the status, the last one open', () => {
  const phases = phasesAfter(
    [],
    [
      move(1, 0, 'ready'),
      move(2, 12, 'running'),
      move(3, 40, null),
      move(4, 60, 'running'),
      move(5, 192, 'review'),
    ],
  );
  expect(
    phases.map(({ status, fromMs, toMs }) => [status, toMs === null ? null : (toMs - fromMs) / 1000]),
  ).toEqual([
    ['ready', 12],
    ['running', 180],
    ['review', null],
  ]);
});

describe('heartbeats', () => {
  const beat = (seq: number, more: Partial<Event> = {}): Event =>
    event('task.heartbeat', {
      seq,
      run_id: 'run_a',
      at: new Date(START_MS + seq * MINUTE_MS).toISOString(),
      ...more,
    });
  const events = [
    event('task.claimed', { seq: 1 }),
    beat(2),
    beat(3),
    beat(4),
    beat(5, { data: { note: 'it says something' } }),
    beat(6),
    beat(7, { run_id: 'run_b' }),
    beat(8, { run_id: 'run_b' }),
  ];
  const shape = (shownSeq: number | null, isFolded = true): unknown[] =>
    rowsAfter([], events, { isFolded, shownSeq }).map((row) =>
      row.type === 'event' ? row.event.seq : row.events.map(({ seq }) => seq),
    );

  test('that follow each other are one row, of one run and without a word', () => {
    expect(shape(null)).toEqual([1, [2, 3, 4], 5, 6, [7, 8]]);
    expect(beatsSentence(events.slice(1, 4))).toBe('3 heartbeats in 2 min');
  });

  test('are never hidden when the address asks for one, nor when all is shown', () => {
    expect(shape(3)).toEqual([1, 2, 3, 4, 5, 6, [7, 8]]);
    expect(shape(null, false)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('make the same rows whether they come at once or one by one, and further ones leave the earlier rows alone', () => {
    for (const folding of [
      { isFolded: true, shownSeq: null },
      { isFolded: true, shownSeq: 3 },
      { isFolded: false, shownSeq: null },
    ] satisfies Folding[]) {
      let rows: readonly TimelineRow[] = [];
      for (const each of events) {
        const before = rows;
        rows = rowsAfter(before, [each], folding);
        expect(rows.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
        for (const [index, row] of before.slice(0, -1).entries()) expect(rows[index]).toBe(row);
      }
      expect(rows).toEqual(rowsAfter([], events, folding));
    }
  });

  test('stand below their fold while it is open, by themselves', () => {
    const rows = rowsAfter([], events, { isFolded: true, shownSeq: null });
    expect(unfold(rows, new Set())).toBe(rows);
    expect(unfold(rows, new Set([7])).map((row) => [row.type, seqOfRow(row)])).toEqual([
      ['event', 1],
      ['beats', 2],
      ['event', 5],
      ['event', 6],
      ['beats', 7],
      ['event', 7],
      ['event', 8],
    ]);
  });
});

test('events that are read and told are there once and in order', () => {
  const [one, two, three] = [
    event('task.ready', { seq: 1 }),
    event('task.ready', { seq: 2 }),
    event('task.ready', { seq: 3 }),
  ];
  const known = [one, three];
  expect(mergeEvents(known, [two, three])).toEqual([one, two, three]);
  expect(mergeEvents(known, [three])).toBe(known);
  expect(mergeEvents([], [one])).toEqual([one]);
});

test('an address asks for an event by its number, and by nothing else', () => {
  expect(seqOfHash('#event-42')).toBe(42);
  for (const hash of ['', '#', '#event-', '#event-4x', '#run-4']) expect(seqOfHash(hash)).toBeNull();
});

describe('the part of the log that is kept', () => {
  const upTo = (from: number, to: number): Event[] =>
    Array.from({ length: to - from + 1 }, (_, index) => event('task.ready', { seq: from + index }));

  test('is the newest; what was cut can be read again, piece by piece, and is then kept', () => {
    const full = addNewer(EMPTY_LOG, upTo(1, EVENTS_KEPT + PIECE_EVENTS - 1));
    expect(full.cut).toEqual([]);
    const log = addNewer(full, upTo(EVENTS_KEPT + PIECE_EVENTS, EVENTS_KEPT + 2 * PIECE_EVENTS));
    expect(log.events).toHaveLength(EVENTS_KEPT);
    expect(log.events[0]?.seq).toBe(2 * PIECE_EVENTS + 1);
    expect(log.cut).toEqual(['start', `c${PIECE_EVENTS}`]);
    expect(cutCount(log)).toBe(2 * PIECE_EVENTS);

    const piece = upTo(PIECE_EVENTS + 1, 2 * PIECE_EVENTS);
    const more = addOlder(log, `c${PIECE_EVENTS}`, piece);
    expect(more.events[0]?.seq).toBe(PIECE_EVENTS + 1);
    expect(more.cut).toEqual(['start']);
    expect(addOlder(more, `c${PIECE_EVENTS}`, piece)).toBe(more);
    const all = addOlder(more, 'start', upTo(1, PIECE_EVENTS));
    expect(all.events).toHaveLength(EVENTS_KEPT + 2 * PIECE_EVENTS);
    expect(all.begin).toBe('start');
    expect(addNewer(all, [event('task.ready', { seq: 99_999 })]).events[0]?.seq).toBe(1);
  });

  test('is not cut where somebody looks, but for its last bound', () => {
    const log = addNewer(EMPTY_LOG, upTo(1, EVENTS_KEPT), 700);
    const later = addNewer(log, upTo(EVENTS_KEPT + 1, EVENTS_KEPT + 3000), 700);
    expect(later.events[0]?.seq).toBe(PIECE_EVENTS + 1);
    const last = addNewer(later, upTo(EVENTS_KEPT + 3001, EVENTS_KEPT_MAX + 5000), 700);
    expect(last.events.length).toBeLessThan(EVENTS_KEPT_MAX + PIECE_EVENTS);
    expect(last.events[0]?.seq).toBeGreaterThan(700);
  });

  test('is looked at once: of a list that grows only what was added, of another one all', () => {
    const looked: number[] = [];
    const seqs = new Grown<readonly number[]>([], (before, added) => {
      looked.push(added.length);
      return [...before, ...added.map(({ seq }) => seq)];
    });
    const first = upTo(1, 4);
    seqs.of(first);
    seqs.of(first);
    const longer = [...first, event('task.ready', { seq: 5 })];
    expect(seqs.of(longer)).toEqual([1, 2, 3, 4, 5]);
    expect(seqs.of(longer.slice(2))).toEqual([3, 4, 5]);
    const [three, four] = longer.slice(2);
    if (three === undefined || four === undefined) throw new Error('there are five');
    // One between the two that were there.
    expect(seqs.of([three, event('task.ready', { seq: 3.5 }), four, ...longer.slice(4)])).toEqual([
      3, 3.5, 4, 5,
    ]);
    expect(looked).toEqual([4, 1, 3, 4]);
  });
});
