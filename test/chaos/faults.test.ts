import { expect, test } from 'vitest';
import { FAULT_KINDS, type PlannedFault, planFaults } from '../../chaos/faults.ts';
import { Random } from '../../chaos/random.ts';

const plan = (seed: number, seconds = 90) => planFaults(new Random(seed).of('faults'), seconds, FAULT_KINDS);

test('the same seed gives the same plan of faults, another seed another one', () => {
  expect(plan(1)).toEqual(plan(1));
  expect(plan(1)).not.toEqual(plan(2));
});

test('every kind of fault comes in a run of 90 s, whatever the seed', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    expect(new Set(plan(seed).map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
  }
});

test('those that seldom meet their moment come twice at least', () => {
  for (let seed = 0; seed < 200; seed += 1)
    for (const kind of ['kill-gateway', 'kill-server', 'kill-postgres', 'jump-worker-clock'])
      expect(plan(seed).filter((fault) => fault.kind === kind).length).toBeGreaterThanOrEqual(2);
});

test('only the kinds that were asked for are planned', () => {
  const kinds = planFaults(new Random(1), 90, ['kill-worker', 'cut-proxy']).map(({ kind }) => kind);

  expect(new Set(kinds)).toEqual(new Set(['kill-worker', 'cut-proxy']));
});

test('a run begins in peace, so that waits can be judged before anything was broken', () => {
  expect(Math.min(...plan(1).map(({ atMs }) => atMs))).toBeGreaterThanOrEqual(10_000);
});

test('what takes long begins only where the storm lasts long enough, so that the calms are calm', () => {
  // Of a calm of 18 s at least half is left.
  const endsLate = ({ kind, atMs, durationMs }: PlannedFault): boolean => {
    const calmFrom = atMs - ((atMs - 12_000) % 48_000) + 30_000;
    return atMs + durationMs > calmFrom + (kind === 'half-open-proxy' ? 4000 : 9000);
  };
  for (let seed = 0; seed < 200; seed += 1) expect(plan(seed, 600).filter(endsLate)).toEqual([]);
});
