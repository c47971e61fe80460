import { describe, expect, test } from 'vitest';
import type { Event, State, StateName } from '../../../src/client/watch/machine.ts';
import { INITIAL, transition } from '../../../src/client/watch/machine.ts';

const REFUSAL = new Error('refused');

const EVENTS: { readonly [T in Event['type']]: Extract<Event, { type: T }> } = {
  start: { type: 'start' },
  opened: { type: 'opened' },
  subscribed: { type: 'subscribed' },
  progress: { type: 'progress' },
  gap: { type: 'gap' },
  refused: { type: 'refused', error: REFUSAL },
  closed: { type: 'closed', code: 1006 },
  drain: { type: 'drain', reconnectAfterMs: 700 },
  silent: { type: 'silent' },
  queue_full: { type: 'queue_full' },
  queue_empty: { type: 'queue_empty' },
  timer: { type: 'timer' },
  probed: { type: 'probed', error: null },
  abort: { type: 'abort' },
};

/** "target: effects", for every state and event; '-' is no change and no effect. */
const TABLE: { readonly [S in StateName]: { readonly [T in Event['type']]: string } } = {
  idle: row({ start: 'connecting: open', abort: 'ended: end' }),
  connecting: row({
    opened: 'subscribing: subscribe',
    refused: 'ended: close end',
    closed: 'probing: probe',
    silent: 'probing: close probe',
    abort: 'ended: close end',
  }),
  subscribing: row({
    subscribed: 'live:',
    refused: 'ended: close end',
    closed: 'backing_off: schedule',
    drain: 'backing_off: close schedule',
    silent: 'backing_off: close schedule',
    queue_full: 'paused: close',
    abort: 'ended: close end',
  }),
  live: row({
    gap: 'backing_off: close schedule',
    refused: 'ended: close end',
    closed: 'backing_off: schedule',
    drain: 'backing_off: close schedule',
    silent: 'backing_off: close schedule',
    queue_full: 'paused: close',
    abort: 'ended: close end',
  }),
  probing: row({ probed: 'backing_off: schedule', abort: 'ended: end' }),
  backing_off: row({ timer: 'connecting: open', abort: 'ended: cancel_timer end' }),
  paused: row({ queue_empty: 'connecting: open', abort: 'ended: end' }),
  ended: row({}),
};

function row(cells: { readonly [T in Event['type']]?: string }): { readonly [T in Event['type']]: string } {
  const names = Object.keys(EVENTS) as Event['type'][];
  return Object.fromEntries(names.map((name) => [name, cells[name] ?? '-'])) as {
    [T in Event['type']]: string;
  };
}

function cell(name: StateName, event: Event): string {
  const before: State = { ...INITIAL, name };
  const { state, effects } = transition(before, event);
  if (state.name === name && effects.length === 0) return '-';
  return `${state.name}: ${effects.map((effect) => effect.type).join(' ')}`.trimEnd();
}

describe('the life of a watch', () => {
  for (const name of Object.keys(TABLE) as StateName[]) {
    test(`in state ${name}, every event leads where the table says`, () => {
      for (const type of Object.keys(EVENTS) as Event['type'][]) {
        expect(`${type} → ${cell(name, EVENTS[type])}`).toBe(`${type} → ${TABLE[name][type]}`);
      }
    });
  }

  test('close codes that trying again does not mend end it, the others lead to another attempt', () => {
    const live: State = { ...INITIAL, name: 'live' };
    for (const code of [1008, 1009, 4400, 4401, 4403, 4409]) {
      expect(transition(live, { type: 'closed', code }).effects).toEqual([
        { type: 'end', ending: { kind: 'close_code', code } },
      ]);
    }
    for (const code of [1000, 1001, 1006, 1011, 1012, 1013, 4408]) {
      expect(transition(live, { type: 'closed', code }).state.name, String(code)).toBe('backing_off');
    }
  });

  test('a close that is excused leads to another attempt, whatever its code', () => {
    const closed: Event = { type: 'closed', code: 4409, isExcused: true };
    for (const name of ['subscribing', 'live'] as const)
      expect(transition({ ...INITIAL, name }, closed).state.name).toBe('backing_off');
  });

  test('a verdict of the probe ends it', () => {
    const { effects } = transition({ ...INITIAL, name: 'probing' }, { type: 'probed', error: REFUSAL });
    expect(effects).toEqual([{ type: 'end', ending: { kind: 'refused', error: REFUSAL } }]);
  });

  test('the backoff grows with each attempt and starts anew once events flow', () => {
    let state: State = { ...INITIAL, name: 'live' };
    const attempts: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      const step = transition(state, { type: 'closed', code: 1006 });
      attempts.push(step.effects[0]);
      state = { ...step.state, name: 'live' };
    }
    expect(attempts).toMatchObject([{ attempts: 1 }, { attempts: 2 }, { attempts: 3 }]);
    const after = transition(state, { type: 'progress' }).state;
    expect(transition(after, { type: 'closed', code: 1006 }).effects).toMatchObject([{ attempts: 1 }]);
  });

  test('a drain waits as long as the server asks', () => {
    const { effects } = transition({ ...INITIAL, name: 'live', attempts: 5 }, EVENTS.drain);
    expect(effects[1]).toEqual({ type: 'schedule', attempts: 1, atLeastMs: 700 });
  });

  test('a second gap without progress in between ends it', () => {
    const once = transition({ ...INITIAL, name: 'live' }, { type: 'gap' }).state;
    const twice = transition({ ...once, name: 'live' }, { type: 'gap' });
    expect(twice.effects).toEqual([{ type: 'close' }, { type: 'end', ending: { kind: 'gap' } }]);
    const mended = transition({ ...once, name: 'live' }, { type: 'progress' }).state;
    expect(transition(mended, { type: 'gap' }).state.name).toBe('backing_off');
  });
});
