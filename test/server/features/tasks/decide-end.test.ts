import { describe, expect, test } from 'vitest';
import { FAIL_KINDS, OUTCOMES } from '../../../../src/contract/statuses.ts';
import { mayMove } from '../../../../src/server/features/tasks/state/transitions.ts';
import { decideEnd, type End, type Held } from '../../../../src/server/features/tasks/state/verdict.ts';
import { TASK_BACKOFF } from '../../../../src/server/kernel/backoff.ts';

const HELD: Held = {
  claimedFrom: 'ready',
  consecutiveFailures: 0,
  protocolViolations: 0,
  maxFailures: 2,
  backoff: TASK_BACKOFF,
  isCancelRequested: false,
  unmetParents: 0,
  parentCount: 0,
  streak: { length: 0, kind: null },
};
const fail = (parts: Partial<Extract<End, { verb: 'fail' }>> = {}): End => ({
  verb: 'fail',
  kind: 'error',
  error: 'it broke',
  retryAfterSeconds: null,
  isPermanent: false,
  ...parts,
});
/** One of every way to end a claim; the Record makes a new verb fail to compile. */
const ENDS: Readonly<Record<End['verb'], End>> = {
  complete: { verb: 'complete' },
  block: { verb: 'block', kind: 'needs_input', reason: 'which one?' },
  request_changes: { verb: 'request_changes', reason: 'not yet' },
  reclaim: { verb: 'reclaim', reason: null },
  release: { verb: 'release', delaySeconds: null },
  fail: fail(),
  crash: { verb: 'crash', reason: 'lease' },
  time_out: { verb: 'time_out', reason: 'max_runtime' },
  cancel: { verb: 'cancel' },
};
const half = () => 0.5;

describe('the end of a claim', () => {
  test('complete: done, and both streaks begin anew', () => {
    const verdict = decideEnd({ ...HELD, consecutiveFailures: 1, protocolViolations: 2 }, ENDS.complete);
    expect(verdict).toMatchObject({
      status: 'done',
      outcome: 'completed',
      consecutiveFailures: 0,
      protocolViolations: 0,
    });
  });

  test('block: blocked with its kind and reason, not a failure', () => {
    expect(decideEnd({ ...HELD, consecutiveFailures: 1 }, ENDS.block)).toMatchObject({
      status: 'blocked',
      outcome: 'blocked',
      blocked: { kind: 'needs_input', reason: 'which one?' },
      consecutiveFailures: 1,
      hasGivenUp: false,
    });
  });

  test('block for a dependency: waits for what is not done, goes on at once when all is, and is blocked without any', () => {
    const park: End = { verb: 'block', kind: 'dependency', reason: 'helpers' };
    const streak = { length: 2, kind: 'dependency' };
    expect(decideEnd({ ...HELD, unmetParents: 2, parentCount: 3, streak }, park)).toMatchObject({
      status: 'todo',
      blocked: null,
      streak,
    });
    expect(decideEnd({ ...HELD, unmetParents: 0, parentCount: 3 }, park)).toMatchObject({ status: 'ready' });
    expect(decideEnd({ ...HELD, unmetParents: 0, parentCount: 3, streak }, park).status).toBe('triage');
    expect(decideEnd(HELD, park)).toMatchObject({ status: 'blocked', blocked: { kind: 'dependency' } });
  });

  test.each(['needs_input', 'capability', 'transient', null] as const)(
    'the third block in a row with the kind %s goes to triage, whatever others were before',
    (kind) => {
      const block: End = { verb: 'block', kind, reason: 'again' };
      const name = kind ?? 'untyped';
      expect(decideEnd({ ...HELD, streak: { length: 9, kind: 'other' } }, block)).toMatchObject({
        status: 'blocked',
        streak: { length: 1, kind: name },
      });
      expect(decideEnd({ ...HELD, streak: { length: 1, kind: name } }, block)).toMatchObject({
        status: 'blocked',
        streak: { length: 2, kind: name },
      });
      expect(decideEnd({ ...HELD, streak: { length: 2, kind: name } }, block)).toMatchObject({
        status: 'triage',
        outcome: 'blocked',
        blocked: null,
        streak: { length: 3, kind: name },
      });
      expect(decideEnd({ ...HELD, streak: { length: 2, kind: name } }, ENDS.complete).streak.length).toBe(0);
    },
  );

  test('complete for review: the task waits in review', () => {
    expect(decideEnd(HELD, { verb: 'complete', isForReview: true, reviewer: 'second' })).toMatchObject({
      status: 'review',
      outcome: 'completed',
    });
  });

  test('changes requested: back to the lane that did it, or to its parents, not a failure', () => {
    const held: Held = { ...HELD, claimedFrom: 'review', consecutiveFailures: 1 };
    expect(decideEnd(held, ENDS.request_changes)).toMatchObject({
      status: 'ready',
      outcome: 'changes_requested',
      consecutiveFailures: 1,
    });
    expect(decideEnd({ ...held, unmetParents: 1 }, ENDS.request_changes).status).toBe('todo');
  });

  test('reclaim: where it came from, with its failures forgotten', () => {
    const held: Held = { ...HELD, consecutiveFailures: 1, protocolViolations: 2 };
    const forgotten = { outcome: 'reclaimed', consecutiveFailures: 0, protocolViolations: 0 };
    expect(decideEnd(held, ENDS.reclaim)).toMatchObject({ ...forgotten, status: 'ready' });
    expect(decideEnd({ ...held, unmetParents: 1 }, ENDS.reclaim).status).toBe('todo');
    expect(decideEnd({ ...held, claimedFrom: 'review' }, ENDS.reclaim).status).toBe('review');
  });

  test('release: ready at once, or scheduled with a delay, not a failure', () => {
    const held = { ...HELD, consecutiveFailures: 1 };
    expect(decideEnd(held, ENDS.release)).toMatchObject({
      status: 'ready',
      outcome: 'released',
      delaySeconds: null,
      consecutiveFailures: 1,
    });
    expect(decideEnd(held, { verb: 'release', delaySeconds: 0 })).toMatchObject({ status: 'ready' });
    expect(decideEnd(held, { verb: 'release', delaySeconds: 7 })).toMatchObject({
      status: 'scheduled',
      delaySeconds: 7,
      consecutiveFailures: 1,
    });
  });

  test.each([
    ['fail', 'failed'],
    ['crash', 'crashed'],
    ['time_out', 'timed_out'],
  ] as const)('%s: scheduled with a drawn delay and counted', (verb, outcome) => {
    expect(decideEnd(HELD, ENDS[verb], half)).toMatchObject({
      status: 'scheduled',
      outcome,
      delaySeconds: 0.5,
      consecutiveFailures: 1,
      hasGivenUp: false,
    });
  });

  test.each(['fail', 'crash', 'time_out'] as const)(
    '%s opens the breaker exactly at max_failures',
    (verb) => {
      for (const maxFailures of [1, 2, 5]) {
        for (let failures = 0; failures < maxFailures; failures += 1) {
          const verdict = decideEnd(
            { ...HELD, maxFailures, consecutiveFailures: failures },
            ENDS[verb],
            half,
          );
          const isLast = failures + 1 === maxFailures;
          expect(verdict.status).toBe(isLast ? 'blocked' : 'scheduled');
          expect(verdict.hasGivenUp).toBe(isLast);
          expect(verdict.blocked?.kind).toBe(isLast ? 'gave_up' : undefined);
          expect(verdict.consecutiveFailures).toBe(failures + 1);
        }
      }
    },
  );

  test('the delay doubles with every failure from 1 s and never exceeds 300 s', () => {
    const delayAfter = (failures: number) =>
      decideEnd({ ...HELD, maxFailures: 1000, consecutiveFailures: failures }, ENDS.crash, () => 1)
        .delaySeconds;
    expect([0, 1, 2, 3, 7, 8, 9, 50, 900].map(delayAfter)).toEqual([1, 2, 4, 8, 128, 256, 300, 300, 300]);
    expect(decideEnd(HELD, ENDS.crash, () => 0).delaySeconds).toBe(0);
  });

  test('a retry_after given with an error replaces the drawn delay', () => {
    expect(decideEnd(HELD, fail({ retryAfterSeconds: 42 }))).toMatchObject({
      delaySeconds: 42,
      consecutiveFailures: 1,
    });
  });

  test('permanent gives up at once', () => {
    for (const kind of FAIL_KINDS)
      expect(decideEnd({ ...HELD, maxFailures: 10 }, fail({ kind, isPermanent: true }))).toMatchObject({
        status: 'blocked',
        outcome: 'failed',
        blocked: { kind: 'gave_up', reason: 'it broke' },
        hasGivenUp: true,
      });
  });

  test('rate_limited waits 300 s or what it was told, and counts on no streak', () => {
    const held = { ...HELD, consecutiveFailures: 1, protocolViolations: 2 };
    const expected = {
      status: 'scheduled',
      outcome: 'failed',
      consecutiveFailures: 1,
      protocolViolations: 2,
    };
    expect(decideEnd(held, fail({ kind: 'rate_limited' }))).toMatchObject({ ...expected, delaySeconds: 300 });
    expect(decideEnd(held, fail({ kind: 'rate_limited', retryAfterSeconds: 12 }))).toMatchObject({
      ...expected,
      delaySeconds: 12,
    });
    expect(decideEnd(held, fail({ kind: 'rate_limited', retryAfterSeconds: 0 })).delaySeconds).toBe(0);
  });

  test('protocol_violation has a streak of its own: the third in a row gives up, failures are not counted', () => {
    const violation = fail({ kind: 'protocol_violation' });
    const verdictAfter = (protocolViolations: number) =>
      decideEnd({ ...HELD, consecutiveFailures: 1, protocolViolations }, violation, half);
    expect(verdictAfter(0)).toMatchObject({
      status: 'scheduled',
      protocolViolations: 1,
      consecutiveFailures: 1,
    });
    expect(verdictAfter(1)).toMatchObject({
      status: 'scheduled',
      protocolViolations: 2,
      consecutiveFailures: 1,
    });
    expect(verdictAfter(2)).toMatchObject({ status: 'blocked', hasGivenUp: true, consecutiveFailures: 1 });
    expect(decideEnd({ ...HELD, protocolViolations: 2 }, fail(), half).protocolViolations).toBe(0);
  });

  test('after a requested cancel every end but complete leaves the task cancelled', () => {
    const held = { ...HELD, isCancelRequested: true, consecutiveFailures: 1 };
    for (const [verb, end] of Object.entries(ENDS)) {
      const verdict = decideEnd(held, end);
      const expected = verb === 'complete' ? ['done', 'completed'] : ['cancelled', 'cancelled'];
      expect([verdict.status, verdict.outcome], verb).toEqual(expected);
    }
    expect(decideEnd(held, fail({ isPermanent: true }))).toMatchObject({
      status: 'cancelled',
      hasGivenUp: false,
    });
  });

  test('a task claimed from review goes back to review, not to ready', () => {
    const held: Held = { ...HELD, claimedFrom: 'review' };
    for (const end of [ENDS.release, ENDS.crash])
      expect(decideEnd(held, end), end.verb).toMatchObject({ status: 'review', delaySeconds: null });
    expect(decideEnd({ ...held, consecutiveFailures: 1 }, ENDS.crash)).toMatchObject({ status: 'blocked' });
  });

  test.each([
    ['error', fail(), 0.5],
    ['error with a pause of its own', fail({ retryAfterSeconds: 42 }), 42],
    ['rate_limited', fail({ kind: 'rate_limited' }), 300],
    ['rate_limited with a pause of its own', fail({ kind: 'rate_limited', retryAfterSeconds: 12 }), 12],
    ['protocol_violation', fail({ kind: 'protocol_violation' }), 0.5],
    ['time_out', ENDS.time_out, 0.5],
  ])(
    'a reviewer that fails by %s is not given the review again before the pause is over',
    (_, end, delay) => {
      const held: Held = { ...HELD, claimedFrom: 'review' };
      expect(decideEnd(held, end, half)).toMatchObject({ status: 'scheduled', delaySeconds: delay });
    },
  );

  test('every verdict is a transition of the table with an outcome of the contract', () => {
    const ends = [...Object.values(ENDS), { verb: 'release', delaySeconds: 5 } as const];
    for (const kind of FAIL_KINDS) ends.push(fail({ kind }), fail({ kind, isPermanent: true }));
    for (const end of ends)
      for (const claimedFrom of ['ready', 'review'] as const)
        for (const isCancelRequested of [true, false])
          for (const consecutiveFailures of [0, 1, 9]) {
            const verdict = decideEnd(
              { ...HELD, claimedFrom, isCancelRequested, consecutiveFailures, protocolViolations: 2 },
              end,
            );
            expect(mayMove('running', end.verb, verdict.status), `${end.verb} to ${verdict.status}`).toBe(
              true,
            );
            expect(OUTCOMES).toContain(verdict.outcome);
            expect(verdict.delaySeconds !== null).toBe(verdict.status === 'scheduled');
            expect(verdict.blocked !== null).toBe(verdict.status === 'blocked');
          }
  });
});
