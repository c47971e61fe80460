/** What the page of lanes says, and what it sends, without a page. */
import { describe, expect, test } from 'vitest';
import { type ServerEntry, snippetFor } from '../../src/cli/mcp/client-config.ts';
import type { Lane } from '../../src/client/index.ts';
import { labelsText, laneChange, parseLabels } from '../../src/dashboard/lanes/lane-form.ts';
import {
  IDLE,
  isMatching,
  type Load,
  loadsOf,
  orderOf,
  problemsOf,
  sortLanes,
  stateOf,
  unknownLanes,
} from '../../src/dashboard/lanes/lane-state.ts';
import {
  curlSnippet,
  mcpHttpSnippet,
  mcpStdioSnippet,
  SECRET_PLACEHOLDER,
} from '../../src/dashboard/lanes/snippets.ts';
import type { Card } from '../../src/dashboard/live/card.ts';
import { sparklinePoints } from '../../src/dashboard/ui/sparkline-points.ts';

const NOW_MS = Date.parse('2026-11-21T12:00:00Z');

const LANE: Lane = {
  board: 'default',
  name: 'factory',
  kind: 'persistent',
  claim_mode: 'pull-or-watch',
  allowed_status_mutations: 'own-claimed-only',
  max_concurrent_claims: 2,
  lease_seconds: 900,
  no_progress_seconds: null,
  max_runtime_seconds: null,
  paused: false,
  draining: false,
  epoch: 1,
  labels: { team: 'build' },
  description: null,
  spawn: null,
  version: 1,
  created_at: '2026-11-21T11:00:00Z',
  updated_at: '2026-11-21T11:00:00Z',
  presence: { online: true, workers: [] },
  backlog: { ready: 0, running: 0, oldest_ready_at: null },
};
const OFFLINE: Partial<Lane> = { presence: { online: false, workers: [] } };

const lane = (change: Partial<Lane> = {}): Lane => ({ ...LANE, ...change });
const load = (change: Partial<Load> = {}): Load => ({ ...IDLE, ...change });
const card = (of: string | null, statusSinceMs = NOW_MS): Card => ({ lane: of, statusSinceMs }) as Card;

describe('a lane', () => {
  test.each([
    ['online', {}, {}],
    ['busy', {}, { running: 1 }],
    ['at_capacity', {}, { running: 2 }],
    ['busy', { max_concurrent_claims: null }, { running: 500 }],
    ['offline', OFFLINE, { running: 2 }],
    ['paused', { ...OFFLINE, paused: true }, {}],
    ['draining', { draining: true }, { running: 2 }],
    ['people', { ...OFFLINE, kind: 'human' }, {}],
  ] as const)('is %s', (state, change, loaded) => {
    expect(stateOf(lane(change), load(loaded))).toBe(state);
  });

  test('is silent while it is healthy, however busy it is', () => {
    const busy = load({ running: 2, ready: 400, oldestReadyMs: NOW_MS - 299_000 });
    expect(problemsOf(lane(), busy, NOW_MS)).toEqual([]);
    expect(problemsOf(lane(OFFLINE), IDLE, NOW_MS)).toEqual([]);
    expect(problemsOf(lane({ ...OFFLINE, kind: 'human' }), load({ ready: 9 }), NOW_MS)).toEqual([]);
  });

  test('is loud where work waits and nobody takes it', () => {
    const waiting = load({ ready: 3, oldestReadyMs: NOW_MS });
    const tones = (change: Partial<Lane>, loaded: Load): string[] =>
      problemsOf(lane(change), loaded, NOW_MS).map(({ tone }) => tone);
    expect(tones(OFFLINE, waiting)).toEqual(['danger']);
    expect(tones({ paused: true }, waiting)).toEqual(['warn']);
    expect(tones({ draining: true }, waiting)).toEqual(['warn']);
    expect(tones({}, load({ ready: 1, oldestReadyMs: NOW_MS - 301_000 }))).toEqual(['warn']);
    expect(tones(OFFLINE, load({ running: 1 }))).toEqual(['warn']);
  });
});

describe('lanes', () => {
  test('are loaded with the cards of the board, the oldest of them first to wait', () => {
    const loads = loadsOf([card('a', 20), card('a', 10), card(null), card('b', 5)], [card('a'), card(null)]);
    expect([...loads]).toEqual([
      ['a', { ready: 2, running: 1, oldestReadyMs: 10 }],
      ['b', { ready: 1, running: 0, oldestReadyMs: 5 }],
    ]);
  });

  test('stand by name, by backlog or by age, and by name where these are alike', () => {
    const lanes = [
      { lane: lane({ name: 'b' }), load: load({ ready: 1, oldestReadyMs: 50 }) },
      { lane: lane({ name: 'c' }), load: load({ ready: 9, oldestReadyMs: 90 }) },
      { lane: lane({ name: 'a' }), load: IDLE },
      { lane: lane({ name: '0' }), load: IDLE },
    ];
    const names = (order: string | null): string =>
      sortLanes(lanes, orderOf(order))
        .map((each) => each.lane.name)
        .join('');
    expect([names(null), names('backlog'), names('age'), names('nonsense')]).toEqual([
      '0abc',
      'cb0a',
      'bc0a',
      '0abc',
    ]);
  });

  test('are found by each word of a filter: name, label, state, worker', () => {
    const worker = { worker: 'press-1', last_seen_at: '', in_flight: 0, online: true };
    const found = {
      lane: lane({ presence: { online: true, workers: [worker] } }),
      load: load({ running: 2 }),
    };
    for (const filter of ['', 'FACT', 'team:build', 'at capacity', 'press-1 factory'])
      expect(isMatching(found, filter), filter).toBe(true);
    expect(isMatching(found, 'factory offline')).toBe(false);
  });

  test('that tasks name and nobody has registered are told, with how many tasks do', () => {
    const unknown = unknownLanes(
      [
        [card('a'), card('x')],
        [card('x'), card(null)],
      ],
      new Set(['a']),
    );
    expect([...unknown]).toEqual([['x', 2]]);
  });
});

describe('the form of a lane', () => {
  const untouched = {
    claim_mode: 'pull-or-watch',
    allowed_status_mutations: 'own-claimed-only',
    max_concurrent_claims: '2',
    lease_seconds: '900',
    no_progress_seconds: '',
    max_runtime_seconds: '',
    description: '',
    labels: labelsText(LANE.labels),
  };

  test('sends what was changed and nothing else; an emptied field goes back', () => {
    expect(laneChange(untouched, LANE)).toEqual({});
    const changed = {
      ...untouched,
      max_concurrent_claims: '',
      lease_seconds: '60',
      labels: 'team: build\na: b:c',
    };
    expect(laneChange(changed, LANE)).toEqual({
      max_concurrent_claims: null,
      lease_seconds: 60,
      labels: { team: 'build', a: 'b:c' },
    });
  });

  test('sends nothing of what was left empty in a new lane', () => {
    expect(laneChange({ claim_mode: 'pull', description: ' builds ', lease_seconds: '' }, undefined)).toEqual(
      {
        claim_mode: 'pull',
        description: 'builds',
      },
    );
  });

  test('says which line is no label', () => {
    expect(() => parseLabels('a: b\nnonsense')).toThrow('nonsense');
  });
});

describe('snippets', () => {
  const subject = {
    url: 'https://lanes.example.org',
    board: 'default',
    lane: 'factory',
    secret: undefined,
    leaseSeconds: 60,
  };

  test('for MCP are what the command line prints', () => {
    const entry: ServerEntry = { url: subject.url, isStdio: false, profile: undefined, secret: undefined };
    expect(mcpHttpSnippet(subject)).toBe(snippetFor('claude', entry).text);
    expect(mcpStdioSnippet(subject)).toBe(snippetFor('claude', { ...entry, isStdio: true }).text);
  });

  test('have a placeholder where no key was issued, and the heartbeats of the lane', () => {
    expect(curlSnippet(subject)).toContain(SECRET_PLACEHOLDER);
    expect(curlSnippet({ ...subject, secret: 'lk_lane_x' })).not.toContain(SECRET_PLACEHOLDER);
    expect(curlSnippet(subject)).toContain('every 20 s');
  });
});

test('a sparkline ends at its highest, and is a line along the bottom where nothing happened', () => {
  expect(sparklinePoints([0, 1, 2])).toBe('0,22.5 60,12 120,1.5');
  expect(sparklinePoints([])).toBe('0,22.5 120,22.5');
  expect(sparklinePoints([0, 0])).toBe('0,22.5 120,22.5');
});
