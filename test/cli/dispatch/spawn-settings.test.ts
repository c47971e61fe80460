import { describe, expect, test } from 'vitest';
import {
  environmentFor,
  filled,
  type SpawnSettings,
  servedOf,
} from '../../../src/cli/dispatch/spawn-settings.ts';
import type { Claim } from '../../../src/contract/claims.ts';
import type { Lane } from '../../../src/contract/lanes.ts';

const lane = (fields: Partial<Lane>): Lane =>
  ({
    name: 'agent',
    kind: 'spawn',
    claim_mode: 'pull-or-watch',
    allowed_status_mutations: 'own-claimed-only',
    spawn: { argv: ['run'] },
    ...fields,
  }) as Lane;
const settings = (env: Record<string, string>): SpawnSettings => ({
  argv: ['run'],
  cwd: null,
  env,
  concurrency: 1,
  timeoutSeconds: null,
});

describe('a lane', () => {
  test('of kind spawn is served as it says, one at a time and without end unless it says so', () => {
    expect(servedOf(lane({}))).toEqual({ settings: settings({}) });
    const spawn = { argv: ['a', 'b'], cwd: 'c', env: { D: 'e' }, concurrency: 3, timeout_seconds: 9 };
    expect(servedOf(lane({ spawn }))).toEqual({
      settings: { argv: ['a', 'b'], cwd: 'c', env: { D: 'e' }, concurrency: 3, timeoutSeconds: 9 },
    });
  });

  test('of another kind is let be, whatever else it says, and nothing is wrong with it', () => {
    for (const kind of ['persistent', 'human'] as const)
      expect(servedOf(lane({ kind }))).toMatchObject({ refusal: { isBroken: false } });
  });

  test('that cannot be served says what is to be mended', () => {
    expect(servedOf(lane({ spawn: null }))).toMatchObject({ refusal: { isBroken: true } });
    expect(servedOf(lane({ allowed_status_mutations: 'none' }))).toMatchObject({
      refusal: { isBroken: true },
    });
    expect(servedOf(lane({ spawn: { argv: [''] } }))).toMatchObject({ refusal: { isBroken: true } });
  });
});

test('placeholders are filled in, each as often as it is there, and other braces stay', () => {
  const claim = { lane: 'l', run_id: 'r', task: { id: 't', board: 'b' } } as Claim;
  expect(filled('{lane}/{task}-{task} {run}@{board} {x} {{lane}}', claim)).toBe('l/t-t r@b {x} {l}');
  // What is filled in is not looked at again.
  expect(filled('{lane}', { ...claim, lane: '{task}' })).toBe('{task}');
});

describe('the environment', () => {
  const own = {
    PATH: '/bin',
    HOME: '/h',
    SECRET: 's',
    AWS_KEY: 'k',
    LANEKEEPER_TOKEN: 'admin',
    LANEKEEPER_URL: 'u',
  };

  test('holds little of the dispatcher unless it is let through', () => {
    expect(environmentFor(settings({}), own, [])).toEqual({ PATH: '/bin', HOME: '/h' });
    expect(environmentFor(settings({}), own, ['AWS_*'])).toEqual({ PATH: '/bin', HOME: '/h', AWS_KEY: 'k' });
  });

  test('never holds what speaks for the dispatcher, by whatever name it is asked for', () => {
    const reference = ['$', '{LANEKEEPER_TOKEN}'].join('');
    const asked = settings({ MINE: reference, LANEKEEPER_TOKEN: 'x', LANEKEEPER_OTHER: 'y' });
    expect(environmentFor(asked, own, ['*', 'LANEKEEPER_TOKEN', 'LANEKEEPER_*'])).toEqual({
      PATH: '/bin',
      HOME: '/h',
      SECRET: 's',
      AWS_KEY: 'k',
    });
  });

  test('takes values from the lane, and variables of the dispatcher that it names', () => {
    const asked = settings({
      A: '1',
      PATH: '/mine',
      S: ['$', '{SECRET}'].join(''),
      N: ['$', '{NONE}'].join(''),
      T: '$HOME',
    });
    expect(environmentFor(asked, own, [])).toEqual({ A: '1', PATH: '/mine', HOME: '/h', S: 's', T: '$HOME' });
  });
});
