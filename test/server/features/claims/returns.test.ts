import { expect, test } from 'vitest';
import { Returns } from '../../../../src/server/features/claims/claiming/returns.ts';
import type { Running } from '../../../../src/server/features/claims/run/running.ts';
import { ProblemError } from '../../../../src/server/kernel/problem-error.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };

/** What becomes of each release is the test's to say. */
function setup() {
  const state = { nowMs: 0, failure: null as Error | null, ended: [] as string[], errors: 0 };
  const end = async (_board: unknown, { runId }: { runId: string }) => {
    if (state.failure !== null) throw state.failure;
    state.ended.push(runId);
  };
  const returns = new Returns({
    running: { end } as unknown as Running,
    now: () => state.nowMs,
    onError: () => {
      state.errors += 1;
    },
  });
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };
  const give = (runId: string, leaseMs = 60_000): Promise<void> => {
    returns.give(
      BOARD,
      { hold: { taskId: 't' as never, runId: runId as never, attempt: 1 }, leaseMs },
      'why',
    );
    return settled();
  };
  const sweepAt = (nowMs: number): Promise<void> => {
    state.nowMs = nowMs;
    returns.sweep();
    return settled();
  };
  return { returns, state, give, sweepAt };
}

test('a release that fails because the database blinks is tried again until it is answered', async () => {
  const { returns, state, give, sweepAt } = setup();
  state.failure = new Error('the connection is gone');
  await give('run');
  await sweepAt(999);
  expect([returns.size, state.errors]).toEqual([1, 1]);
  await sweepAt(1000);
  expect([returns.size, state.errors]).toEqual([1, 2]);
  state.failure = null;
  await sweepAt(2000);
  expect([returns.size, state.ended]).toEqual([0, ['run']]);
});

test('a refusal that would come again is an answer: a claim that is lost, silently', async () => {
  const { returns, state, give } = setup();
  state.failure = new ProblemError('claim_lost', 'ended');
  await give('run');
  expect([returns.size, state.errors]).toEqual([0, 0]);
  state.failure = new ProblemError('not_found', 'no such board');
  await give('other');
  expect([returns.size, state.errors]).toEqual([0, 1]);
  state.failure = new ProblemError('rate_limited', 'too many wait');
  await give('third');
  expect(returns.size).toBe(1);
});

test('nothing is owed any more when the lease has passed', async () => {
  const { returns, state, give, sweepAt } = setup();
  state.failure = new Error('away');
  await give('run', 5000);
  state.failure = null;
  await sweepAt(5000);
  expect([returns.size, state.ended]).toEqual([0, []]);
});

test('what is owed has a bound, and is worked off in parts', async () => {
  const { returns, state, give, sweepAt } = setup();
  state.failure = new Error('away');
  for (let index = 0; index < 10_001; index += 1) await give(`run ${index}`);
  expect(returns.size).toBe(10_000);
  state.failure = null;
  await sweepAt(1000);
  expect(state.ended).toHaveLength(250);
});
