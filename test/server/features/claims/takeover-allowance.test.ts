import { expect, test } from 'vitest';
import { TakeoverAllowance } from '../../../../src/server/features/claims/takeover/takeover-allowance.ts';

function allowed(allowance: TakeoverAllowance, lane: string, tries: number): number {
  return Array.from({ length: tries }, () => allowance.take(1, lane)).filter(Boolean).length;
}

test('a lane key takes its lane over a few times at once, and then once a second; each lane has its own allowance', () => {
  let nowMs = 0;
  const allowance = new TakeoverAllowance(() => nowMs);
  expect(allowed(allowance, 'work', 100)).toBe(10);
  expect(allowed(allowance, 'other', 100)).toBe(10);
  nowMs += 2500;
  expect(allowed(allowance, 'work', 100)).toBe(2);
  nowMs += 500;
  expect(allowed(allowance, 'work', 100)).toBe(1);
  nowMs += 3_600_000;
  expect(allowed(allowance, 'work', 100)).toBe(10);
});
