import { describe, expect, test } from 'vitest';
import type { EmptyClaimReason } from '../../../../src/contract/statuses.ts';
import type { ClaimedTasks } from '../../../../src/server/features/claims/claiming/slot-plan.ts';
import { type Offer, PushLane } from '../../../../src/server/features/claims/push/push-lane.ts';
import { ProblemError } from '../../../../src/server/kernel/problem-error.ts';

interface Question {
  readonly offer: TestOffer;
  readonly max: number;
  /** Answers with so many claims; the reason is only for none. */
  answer(claims: number, reason?: EmptyClaimReason): Promise<void>;
  /** With so many claims, of a lane that was not looked at from its start. */
  answerPassedOver(claims: number): Promise<void>;
  fail(error: unknown): Promise<void>;
}

class TestOffer implements Offer {
  readonly lane = 'work';
  readonly keyId = 'key';
  readonly worker: string;
  credits: number;
  asked = 0;
  restUntil = 0;
  standing = 0;
  answers = 0;
  isAble = true;
  taken = 0;
  returned = 0;
  refusal: string | null = null;

  constructor(worker: string, credits: number) {
    this.worker = worker;
    this.credits = credits;
  }

  canTake(): boolean {
    return this.isAble;
  }
  take(rows: readonly unknown[]): void {
    this.taken += rows.length;
  }
  giveBack(rows: readonly unknown[]): void {
    this.returned += rows.length;
  }
  onAnswered(): void {
    this.answers += 1;
  }
  refuse(problem: ProblemError): void {
    this.refusal = problem.code;
  }
}

function setup() {
  const state = { nowMs: 0, hungers: 0, errors: [] as unknown[] };
  const asked: Question[] = [];
  const lane = new PushLane({
    ask: (offer, max) =>
      new Promise<ClaimedTasks>((resolve, reject) => {
        const settled = async (): Promise<void> => {
          for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
        };
        const rowsOf = (claims: number): ClaimedTasks['rows'] =>
          Array.from({ length: claims }, () => ({})) as unknown as ClaimedTasks['rows'];
        asked.push({
          offer: offer as TestOffer,
          max,
          answer: (claims, reason = 'none_ready') => {
            resolve({ rows: rowsOf(claims), reason: claims > 0 ? null : reason });
            return settled();
          },
          answerPassedOver: (claims) => {
            resolve({ rows: rowsOf(claims), reason: null, isPassedOver: true });
            return settled();
          },
          fail: (error) => {
            reject(error);
            return settled();
          },
        });
      }),
    now: () => state.nowMs,
    onHungry: () => {
      state.hungers += 1;
    },
    onError: (error) => state.errors.push(error),
  });
  const offer = (worker: string, credits: number): TestOffer => {
    const made = new TestOffer(worker, credits);
    lane.update(made);
    return made;
  };
  /** The next question, which must be there. */
  const question = (): Question => {
    const next = asked.shift();
    if (next === undefined) throw new Error('nothing was asked');
    return next;
  };
  return { lane, offer, asked, question, state };
}

/** Has looked once and found nothing: from here on only events tell of work. */
async function hungry(...credits: number[]) {
  const parts = setup();
  const offers = credits.map((count, index) => parts.offer(`w${index}`, count));
  for (const _ of offers) await parts.question().answer(0);
  expect(parts.asked).toEqual([]);
  expect(parts.lane.isHungry).toBe(true);
  return { ...parts, offers };
}

describe('a push lane', () => {
  test('asks at once for the credits of a new offer, up to a hundred, and goes on while the answers are full', async () => {
    const { offer, asked, question, lane } = setup();
    const worker = offer('w', 250);
    for (const [max, got] of [
      [100, 100],
      [100, 100],
      [50, 49],
    ] as const) {
      const next = question();
      expect([next.max, asked.length]).toEqual([max, 0]);
      await next.answer(got);
    }
    expect([worker.credits, worker.taken]).toEqual([1, 249]);
    expect([lane.isHungry, asked.length]).toEqual([true, 0]);
  });

  test('goes on after an answer that is short only because its lane was not looked at from its start', async () => {
    const { lane, asked, question, offers } = await hungry(10);
    lane.onWork(4, 0);
    const first = question();
    expect(first.max).toBe(4);
    await first.answerPassedOver(1);
    const second = question();
    expect(second.max).toBe(9);
    await second.answer(3);
    expect([offers[0]?.taken, lane.isHungry, asked.length]).toEqual([4, true, 0]);
  });

  test('asks for no more than there is said to be, and shares it out between those who wait', async () => {
    const { lane, asked } = await hungry(10, 10, 10);
    lane.onWork(2, 0);
    expect(asked.map((question) => [question.offer.worker, question.max])).toEqual([
      ['w0', 1],
      ['w1', 1],
    ]);
    lane.onWork(1, 0);
    expect(asked.at(-1)?.offer.worker).toBe('w2');
  });

  test('gives a share of one gathered claim to each of many offers', () => {
    const { offer, asked } = setup();
    for (let index = 0; index < 30; index += 1) offer(`w${index}`, 1000);
    expect(asked[0]?.max).toBe(100);
    expect(asked[29]?.max).toBe(10);
  });

  test('does not overlook work that was heard of while an answer was on its way', async () => {
    const { lane, asked, question, offers } = await hungry(5);
    lane.onWork(1, 0);
    const first = question();
    lane.onWork(2, 0);
    await first.answer(0);
    expect(asked.map((next) => next.max)).toEqual([2]);
    await question().answer(2);
    expect([offers[0]?.credits, asked.length]).toEqual([3, 0]);
  });

  test('takes what a claim leaves unfilled for all there was, whatever it had been told', async () => {
    const { lane, asked, question } = await hungry(5);
    lane.onWork(5, 0);
    await question().answer(2);
    expect([asked.length, lane.isHungry]).toEqual([0, true]);
  });

  test('takes the end of a claim for work only where the lane may be full', async () => {
    const { lane, asked, question } = await hungry(5);
    lane.onWork(0, 3);
    expect(asked).toEqual([]);
    lane.onWork(1, 0);
    const full = question();
    lane.onWork(0, 1);
    await full.answer(0, 'at_capacity');
    expect(asked.map((next) => next.max)).toEqual([1]);
    await question().answer(1);
    lane.onWork(0, 2);
    expect(asked.map((next) => next.max)).toEqual([2]);
  });

  test.each(['lane_paused', 'lane_draining', 'board_paused'] as const)(
    'that is closed (%s) asks for nothing, whatever becomes ready, until its gate may have opened',
    async (reason) => {
      const { lane, asked, question, offers } = await hungry(5);
      lane.onWork(1, 0);
      await question().answer(0, reason);
      lane.onWork(3, 3);
      expect([asked.length, lane.isHungry]).toEqual([0, true]);
      lane.look();
      expect(asked.map((next) => next.max)).toEqual([5]);
      expect(offers[0]?.credits).toBe(5);
    },
  );

  test('does not believe a closed gate that was asked before it may have opened', async () => {
    const { lane, asked, question } = await hungry(5);
    lane.onWork(1, 0);
    const closed = question();
    lane.look();
    await closed.answer(0, 'lane_paused');
    expect(asked.map((next) => next.max)).toEqual([5]);
  });

  test('never asks twice at once for an offer, nor for one that cannot take', async () => {
    const { lane, offer, asked, question } = setup();
    const worker = offer('w', 10);
    const first = question();
    worker.credits = 300;
    lane.update(worker);
    expect(asked).toEqual([]);
    worker.isAble = false;
    await first.answer(10);
    expect([asked.length, worker.credits, lane.isHungry]).toEqual([0, 290, false]);
    worker.isAble = true;
    lane.update(worker);
    expect(asked).toHaveLength(1);
  });

  test('gives back what was claimed on credits that are gone, and takes the rest', async () => {
    const { lane, offer, question } = setup();
    const worker = offer('w', 10);
    const first = question();
    worker.credits = 3;
    lane.update(worker);
    await first.answer(10);
    expect([worker.taken, worker.returned, worker.credits]).toEqual([3, 7, 0]);
    const gone = offer('gone', 5);
    const last = question();
    lane.remove(gone);
    await last.answer(5);
    expect([gone.taken, gone.returned, lane.isEmpty]).toEqual([0, 5, true]);
  });

  test('rests an offer whose surplus was given back, so that credits that come and go cannot claim without end', async () => {
    const { lane, offer, asked, question, state } = setup();
    const worker = offer('w', 10);
    const flap = question();
    worker.credits = 0;
    lane.update(worker);
    await flap.answer(10);
    worker.credits = 10;
    lane.update(worker);
    lane.onWork(10, 0);
    state.nowMs = 999;
    lane.sweep();
    expect([asked.length, worker.returned]).toEqual([0, 10]);
    // Another worker of the lane is none the worse for it.
    offer('other', 1);
    expect(question().offer.worker).toBe('other');
    state.nowMs = 1000;
    lane.sweep();
    expect(question().offer.worker).toBe('w');
  });

  test('does not rest an offer that takes more than it gives back: its credits cross with its claims now and then', async () => {
    const { lane, offer, asked, question } = setup();
    const worker = offer('w', 10);
    const full = question();
    await full.answer(10);
    worker.credits = 10;
    lane.update(worker);
    const crossing = question();
    worker.credits = 4;
    lane.update(worker);
    await crossing.answer(10);
    expect(worker.returned).toBe(6);
    worker.credits = 10;
    lane.update(worker);
    expect(asked.map((entry) => entry.offer.worker)).toEqual(['w']);
  });

  test('asks again, after a rest, for an offer that has its credits back because a claim could not be handed over', async () => {
    const { lane, offer, asked, question, state } = setup();
    const worker = offer('w', 5);
    await question().answer(5);
    worker.credits = 5;
    lane.retryLater(worker);
    lane.sweep();
    expect(asked).toEqual([]);
    state.nowMs = 1000;
    lane.sweep();
    expect(question().max).toBe(5);
  });

  test('counts for an offer what is asked for, and tells it of every answer', async () => {
    const { offer, question } = setup();
    const worker = offer('w', 250);
    expect(worker.asked).toBe(100);
    await question().answer(0);
    expect([worker.asked, worker.answers]).toEqual([0, 1]);
    const other = setup();
    const failing = other.offer('failing', 5);
    await other.question().fail(new Error('away'));
    expect([failing.asked, failing.answers]).toEqual([0, 1]);
  });

  test('refuses an offer for which nothing can come, and no other', async () => {
    const { offer, question, lane, asked } = setup();
    const worker = offer('w', 5);
    offer('other', 5);
    await question().fail(new ProblemError('claim_mode_mismatch', 'not pushed to'));
    expect([worker.refusal, worker.credits]).toEqual(['claim_mode_mismatch', 0]);
    lane.look();
    expect(asked.map((next) => next.offer.worker)).toEqual(['other']);
  });

  test('rests after a failure, reports it, and then asks again', async () => {
    const { offer, question, lane, asked, state } = setup();
    const worker = offer('w', 5);
    await question().fail(new Error('away'));
    lane.onWork(1, 0);
    lane.sweep();
    expect([asked.length, state.errors.length, worker.credits]).toEqual([0, 1, 5]);
    state.nowMs = 1000;
    lane.sweep();
    expect(asked).toHaveLength(1);
  });

  test('looks by itself every five seconds for one task, and for all when there is one', async () => {
    const { lane, asked, question, state } = await hungry(5);
    state.nowMs = 4999;
    lane.sweep();
    expect(asked).toEqual([]);
    state.nowMs = 5000;
    lane.sweep();
    const look = question();
    expect(look.max).toBe(1);
    await look.answer(1);
    expect(asked.map((next) => next.max)).toEqual([4]);
    await question().answer(0);
    lane.sweep();
    expect(asked).toEqual([]);
  });

  test('says that it is hungry exactly while it has credits and knows of no work', async () => {
    const { lane, offers, state, question } = await hungry(1);
    const before = state.hungers;
    expect(before).toBeGreaterThan(0);
    lane.onWork(1, 0);
    expect(lane.isHungry).toBe(false);
    await question().answer(1);
    // All credits are used: there is nobody to find work for.
    expect([offers[0]?.credits, lane.isHungry, lane.isEmpty]).toEqual([0, false, true]);
  });
});
