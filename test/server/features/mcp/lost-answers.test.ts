/** A claim whose answer was lost is given back when nobody has asked for it again for a while. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LostAnswers } from '../../../../src/server/features/mcp/lost-answers.ts';

const BOARD = { id: 1, name: 'default', incarnation: 'x' } as unknown as Parameters<
  LostAnswers['giveBackLater']
>[0];
const CLAIM = {
  run_id: 'run_01jcqk0v3te8sr3x6y9m000000',
  task: { id: 'task_01jcqk0v3te8sr3x6y9m2b4n5p' },
  attempt: 3,
  claimed_at: '2026-01-01T00:00:00.000Z',
  lease_expires_at: '2026-01-01T00:15:00.000Z',
} as Parameters<LostAnswers['giveBackLater']>[1];

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('not at once, so that its client can ask again, but long before its lease is over', () => {
  const given: { hold: { attempt: number }; leaseMs: number }[] = [];
  const lost = new LostAnswers({ give: (_board, undelivered) => void given.push(undelivered) });
  lost.giveBackLater(BOARD, CLAIM);
  vi.advanceTimersByTime(45_000);
  expect(given).toEqual([]);
  vi.advanceTimersByTime(30_000);
  expect(given).toMatchObject([{ hold: { attempt: 3 }, leaseMs: 900_000 }]);
});

test('a flood of them is bounded, and the bound is free again afterwards', () => {
  let count = 0;
  const give = (): void => {
    count += 1;
  };
  const lost = new LostAnswers({ give });
  for (let round = 1; round <= 2; round += 1) {
    for (let index = 0; index < 1500; index += 1) lost.giveBackLater(BOARD, CLAIM);
    vi.advanceTimersByTime(60_000);
    expect(count).toBe(1000 * round);
  }
});
