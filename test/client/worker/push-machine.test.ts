import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { PushEvent, PushState, PushStateName } from '../../../src/client/worker/push-machine.ts';
import { PUSH_INITIAL, pushTransition } from '../../../src/client/worker/push-machine.ts';

const REFUSAL = new Error('refused');

const EVENTS: { readonly [T in PushEvent['type']]: Extract<PushEvent, { type: T }> } = {
  start: { type: 'start' },
  opened: { type: 'opened' },
  greeted: { type: 'greeted' },
  steady: { type: 'steady' },
  refused: { type: 'refused', error: REFUSAL },
  closed: { type: 'closed', code: 1006 },
  drain: { type: 'drain', reconnectAfterMs: 700 },
  silent: { type: 'silent' },
  timer: { type: 'timer' },
  probed: { type: 'probed', error: null },
  abort: { type: 'abort' },
};

type Cells = { readonly [T in PushEvent['type']]: string };

/** "target: effects", for every state and event; '-' is no change and no effect. */
const TABLE: { readonly [S in PushStateName]: Cells } = {
  idle: row({ start: 'connecting: open', abort: 'ended: end' }),
  connecting: row({
    opened: 'greeting: greet',
    refused: 'ended: close end',
    closed: 'probing: probe',
    silent: 'probing: close probe',
    abort: 'ended: close end',
  }),
  greeting: row({
    greeted: 'live: resume',
    refused: 'ended: close end',
    closed: 'backing_off: schedule',
    drain: 'backing_off: close schedule',
    silent: 'backing_off: close schedule',
    abort: 'ended: close end',
  }),
  live: row({
    refused: 'ended: close strand end',
    closed: 'backing_off: strand schedule',
    drain: 'backing_off: close strand schedule',
    silent: 'backing_off: close strand schedule',
    abort: 'ended: close strand end',
  }),
  probing: row({ probed: 'backing_off: schedule', abort: 'ended: end' }),
  backing_off: row({ timer: 'connecting: open', abort: 'ended: cancel_timer end' }),
  ended: row({}),
};

const STATES = Object.keys(TABLE) as PushStateName[];
const TYPES = Object.keys(EVENTS) as PushEvent['type'][];

function row(cells: Partial<Cells>): Cells {
  const names = Object.keys(EVENTS) as PushEvent['type'][];
  return Object.fromEntries(names.map((name) => [name, cells[name] ?? '-'])) as unknown as Cells;
}

function cell(name: PushStateName, event: PushEvent): string {
  const before: PushState = { ...PUSH_INITIAL, name };
  const { state, effects } = pushTransition(before, event);
  if (state.name === name && effects.length === 0) return '-';
  return `${state.name}: ${effects.map((effect) => effect.type).join(' ')}`.trimEnd();
}

describe("the life of a worker's socket", () => {
  for (const name of STATES) {
    test(`in state ${name}, every event leads where the table says`, () => {
      for (const type of TYPES)
        expect(`${type} → ${cell(name, EVENTS[type])}`).toBe(`${type} → ${TABLE[name][type]}`);
    });
  }

  test('is what the protocol document shows', async () => {
    const text = await readFile(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
    const section = text.slice(text.indexOf("### The worker's socket"));
    for (const name of STATES) {
      const line = section.split('\n').find((each) => each.startsWith(`| \`${name}\` |`)) ?? '';
      const shown = [...line.matchAll(/`(\w+)` → (\w+)/g)].map(([, type, target]) => `${type} → ${target}`);
      const moves = TYPES.filter((type) => TABLE[name][type] !== '-');
      expect(`${name}: ${shown.join(', ')}`).toBe(
        `${name}: ${moves.map((type) => `${type} → ${TABLE[name][type].split(':')[0]}`).join(', ')}`,
      );
    }
  });

  test('close codes that trying again does not mend end it, the others lead to another attempt', () => {
    const live: PushState = { ...PUSH_INITIAL, name: 'live' };
    for (const code of [1008, 1009, 4400, 4401, 4403, 4409])
      expect(pushTransition(live, { type: 'closed', code }).effects).toEqual([
        { type: 'strand' },
        { type: 'end', ending: { kind: 'close_code', code } },
      ]);
    for (const code of [1000, 1001, 1006, 1011, 1012, 1013, 4408])
      expect(pushTransition(live, { type: 'closed', code }).state.name, String(code)).toBe('backing_off');
  });

  test('a close that is excused leads to another attempt, whatever its code', () => {
    const closed: PushEvent = { type: 'closed', code: 4409, isExcused: true };
    for (const name of ['greeting', 'live'] as const)
      expect(pushTransition({ ...PUSH_INITIAL, name }, closed).state.name).toBe('backing_off');
  });

  test('a verdict of the probe ends it', () => {
    const { effects } = pushTransition(
      { ...PUSH_INITIAL, name: 'probing' },
      { type: 'probed', error: REFUSAL },
    );
    expect(effects).toEqual([{ type: 'end', ending: { kind: 'refused', error: REFUSAL } }]);
  });

  test('the backoff grows with each attempt and starts anew once a socket was steady', () => {
    let state: PushState = { ...PUSH_INITIAL, name: 'live' };
    const waits: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      const step = pushTransition(state, EVENTS.closed);
      waits.push(step.effects[1]);
      state = { ...step.state, name: 'live' };
    }
    expect(waits).toMatchObject([{ attempts: 1 }, { attempts: 2 }, { attempts: 3 }]);
    const steady = pushTransition(state, EVENTS.steady).state;
    expect(pushTransition(steady, EVENTS.closed).effects[1]).toMatchObject({ attempts: 1 });
  });

  test('a drain waits as long as the server asks, and counts as no failure', () => {
    const { effects } = pushTransition({ name: 'live', attempts: 5 }, EVENTS.drain);
    expect(effects.at(-1)).toEqual({ type: 'schedule', attempts: 1, atLeastMs: 700 });
  });
});
