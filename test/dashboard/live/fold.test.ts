import { describe, expect, test } from 'vitest';
import type { Event } from '../../../src/client/index.ts';
import { EVENT_KINDS } from '../../../src/contract/statuses.ts';
import type { Card } from '../../../src/dashboard/live/card.ts';
import { foldEvent } from '../../../src/dashboard/live/fold.ts';
import { AT_MS, card, claim, event } from '../fixtures/cards.ts';

function folded(before: Card | undefined, given: Event): { card: Card; needsRead: boolean } {
  const result = foldEvent(before, given);
  if (result.type !== 'card') throw new Error(`nothing is folded: ${result.type}`);
  return result;
}

const move = (before: string, after: string, more: Event['data'] = {}): Event['data'] => ({
  status_before: before,
  status_after: after,
  ...more,
});

const running = (change: Partial<Card> = {}): Card =>
  card({ status: 'running', version: 2, attempt: 1, claim: claim(), ...change });

const OF_RUN = { run_id: 'run_1', worker: 'ann', attempt: 1, task_version: 3 } as const;

describe('a card comes and goes', () => {
  test('a created task is a card with all that the event says', () => {
    const data = move('', 'ready', {
      title: 'new',
      priority: 3,
      labels: { a: 'b' },
      tenant: 't',
      max_failures: 4,
    });
    const result = folded(undefined, event('task.created', data, { lane: 'builder', task_version: 1 }));
    expect(result.needsRead).toBe(false);
    expect(result.card).toMatchObject({ title: 'new', priority: 3, labels: { a: 'b' }, tenant: 't' });
    expect(result.card).toMatchObject({ maxFailures: 4, lane: 'builder', status: 'ready' });
  });

  test.each(['todo', 'blocked'])(
    'one created as %s is read: the event does not say what it waits for',
    (status) => {
      expect(folded(undefined, event('task.created', move('', status))).needsRead).toBe(true);
    },
  );

  test('a creation that the snapshot knew changes nothing, and a deletion ends the card', () => {
    expect(foldEvent(card(), event('task.created', move('', 'ready'))).type).toBe('unchanged');
    expect(foldEvent(card(), event('task.deleted', move('ready', 'ready'))).type).toBe('gone');
    expect(foldEvent(undefined, event('task.deleted')).type).toBe('unchanged');
  });
});

describe('an event that the snapshot knew changes nothing', () => {
  test('of a lower or the same version', () => {
    const now = card({ version: 5 });
    for (const task_version of [4, 5]) {
      expect(foldEvent(now, event('task.updated', { title: 'old' }, { task_version })).type).toBe(
        'unchanged',
      );
    }
  });

  test('but what is said after an end, with its version, is heard', () => {
    const blocked = card({ status: 'blocked', version: 5, blocked: { kind: null, reason: null } });
    const gaveUp = event('task.gave_up', move('blocked', 'blocked', { reason: 'broke' }), {
      task_version: 5,
    });
    expect(folded(blocked, gaveUp).card.blocked).toEqual({ kind: 'gave_up', reason: 'broke' });
  });

  test('a remark of an attempt that has passed does not take the attempt back, nor renew the lease of another run', () => {
    const now = running({ attempt: 3, claim: claim({ runId: 'run_3' }) });
    const late = event(
      'task.heartbeat',
      { lease_expires_at: '2030-01-01T00:00:00Z' },
      { ...OF_RUN, task_version: undefined },
    );
    const after = folded(now, late).card;
    expect(after.attempt).toBe(3);
    expect(after.claim).toEqual(now.claim);
  });
});

describe('a claim', () => {
  const claimed = (run: string, worker: string, version: number): Event =>
    event('task.claimed', move('ready', 'running', { lease_expires_at: '2026-01-01T00:01:01.000Z' }), {
      run_id: run,
      worker,
      attempt: 1,
      task_version: version,
    });

  test('names its holder and lease', () => {
    const after = folded(card(), claimed('run_1', 'ann', 2)).card;
    expect(after).toMatchObject({ status: 'running', attempt: 1, statusSinceMs: AT_MS + 1000 });
    expect(after.claim).toEqual(claim({ claimedAtMs: AT_MS + 1000, leaseExpiresAtMs: AT_MS + 61_000 }));
  });

  test('of a takeover is another worker’s, without a request to stop or progress', () => {
    const held = running({ claim: claim({ isCancelRequested: true, progress: 0.5, note: 'half' }) });
    const after = folded({ ...held, status: 'ready', claim: null }, claimed('run_2', 'bob', 3)).card;
    expect(after.claim).toMatchObject({
      runId: 'run_2',
      worker: 'bob',
      isCancelRequested: false,
      progress: null,
    });
  });

  test('is renewed by heartbeats, says its progress, and that it is asked to stop', () => {
    const at = { ...OF_RUN, task_version: undefined };
    const beaten = folded(
      running(),
      event('task.heartbeat', { lease_expires_at: '2026-01-01T00:02:00.000Z' }, at),
    ).card;
    expect(beaten.claim?.leaseExpiresAtMs).toBe(AT_MS + 120_000);
    const told = folded(beaten, event('task.progress', { progress: 0.4, note: 'going' }, at)).card;
    expect(told.claim).toMatchObject({ progress: 0.4, note: 'going', leaseExpiresAtMs: AT_MS + 120_000 });
    const asked = folded(told, event('task.cancel_requested', move('running', 'running'), OF_RUN)).card;
    expect(asked).toMatchObject({ status: 'running', version: 3 });
    expect(asked.claim).toMatchObject({ isCancelRequested: true, progress: 0.4 });
  });
});

describe('an end', () => {
  test.each([
    ['task.completed', 'done'],
    ['task.cancelled', 'cancelled'],
    ['task.released', 'ready'],
    ['task.reclaimed', 'ready'],
    ['task.crashed', 'scheduled'],
    ['task.timed_out', 'ready'],
    ['task.changes_requested', 'ready'],
    ['task.review_requested', 'review'],
    ['task.blocked', 'blocked'],
    ['task.failed', 'triage'],
  ] as const)('%s leaves nobody holding it, and a new age', (kind, after) => {
    const ended = folded(running(), event(kind, move('running', after), OF_RUN)).card;
    expect(ended).toMatchObject({ status: after, claim: null, version: 3, statusSinceMs: AT_MS + 1000 });
  });

  test('counts failures, keeps the summary, and knows when the next try is', () => {
    const data = move('running', 'scheduled', { consecutive_failures: 2, delay_seconds: 30, summary: null });
    const failed = folded(running({ summary: 'before' }), event('task.failed', data, OF_RUN));
    expect(failed.card).toMatchObject({ consecutiveFailures: 2, runAtMs: AT_MS + 31_000, summary: 'before' });
    expect(failed.needsRead).toBe(false);
  });

  test('as completed forgives failures and has no reviewer, though the event says neither', () => {
    const before = running({ consecutiveFailures: 2, maxFailures: 3, reviewer: 'check' });
    const done = folded(before, event('task.completed', move('running', 'done'), OF_RUN));
    expect(done.card).toMatchObject({ consecutiveFailures: 0, reviewer: null });
    expect(done.needsRead).toBe(false);
  });

  test('with changes requested leaves nobody reviewing it, and failures as they were', () => {
    const before = running({ consecutiveFailures: 1, maxFailures: 3, reviewer: 'check' });
    const data = move('running', 'ready', { consecutive_failures: 1, lane_after: 'builder' });
    const back = folded(before, event('task.changes_requested', data, OF_RUN)).card;
    expect(back).toMatchObject({ consecutiveFailures: 1, reviewer: null });
  });

  test('says why it is blocked', () => {
    const data = move('running', 'blocked', { kind: 'needs_input', reason: 'Which?' });
    expect(folded(running(), event('task.blocked', data, OF_RUN)).card.blocked).toEqual({
      kind: 'needs_input',
      reason: 'Which?',
    });
  });

  test('for review is read: who reviews may be the board’s to say', () => {
    const data = move('running', 'review', { reviewer: 'check' });
    expect(folded(running(), event('task.review_requested', data, OF_RUN)).needsRead).toBe(true);
  });

  test('takes the lane along when it changes', () => {
    const data = move('running', 'ready', { lane_after: 'other' });
    expect(folded(running(), event('task.released', data, OF_RUN)).card.lane).toBe('other');
  });
});

describe('what people do', () => {
  test('an update changes what it names and nothing else', () => {
    const data = { title: 'other', priority: 9, labels: null, tenant: null, changed: ['body'] };
    const before = card({ labels: { a: 'b' }, tenant: 't', externalRef: 'x' });
    const after = folded(before, event('task.updated', data, { task_version: 2 })).card;
    expect(after).toEqual({ ...before, title: 'other', priority: 9, labels: {}, tenant: null, version: 2 });
  });

  test('an assignment changes the lane, to none as well', () => {
    expect(folded(card(), event('task.assigned', {}, { lane: 'other', task_version: 2 })).card.lane).toBe(
      'other',
    );
    expect(
      folded(card(), event('task.assigned', { lane_after: null }, { task_version: 2 })).card.lane,
    ).toBeNull();
  });

  test('an assignment of work under review names its next reviewer, or people', () => {
    const held = card({
      status: 'blocked',
      attempt: 2,
      reviewer: 'check',
      blocked: { kind: null, reason: 'x' },
    });
    const to = (lane: string | null): Card =>
      folded(held, event('task.assigned', { lane }, { lane: lane ?? 'builder', task_version: 2 })).card;
    expect(to('other')).toMatchObject({ lane: 'other', reviewer: 'other' });
    expect(to(null)).toMatchObject({ lane: 'builder', reviewer: null });
  });

  test.each([
    ['scheduled', 1, true],
    ['blocked', 1, true],
    ['triage', 1, true],
    // Never begun, or waiting for anybody: no work of it is under review.
    ['triage', 0, false],
    ['ready', 1, false],
  ] as const)('an assignment while %s after %i attempts is read: %s', (status, attempt, isRead) => {
    const before = card({ status, attempt, runAtMs: AT_MS, blocked: { kind: null, reason: 'x' } });
    const assigned = event('task.assigned', move(status, status), { lane: 'other', task_version: 2 });
    expect(folded(before, assigned).needsRead).toBe(isRead);
  });

  test('reopening and unblocking are read: failures are forgotten', () => {
    const done = card({ status: 'done', version: 4 });
    expect(folded(done, event('task.reopened', move('done', 'ready'), { task_version: 5 })).needsRead).toBe(
      true,
    );
    const blocked = card({ status: 'blocked', version: 4, blocked: { kind: null, reason: 'x' } });
    const freed = folded(blocked, event('task.unblocked', move('blocked', 'ready'), { task_version: 5 }));
    expect(freed.card.blocked).toBeNull();
    expect(freed.needsRead).toBe(true);
  });

  test.each(['task.linked', 'task.unlinked'] as const)(
    '%s is read: how many parents are unmet it does not say',
    (kind) => {
      expect(folded(card(), event(kind)).needsRead).toBe(true);
    },
  );
});

test.each(EVENT_KINDS.filter((kind) => kind.startsWith('task.')))(
  '%s of a task that is not known makes no card, unless it creates one',
  (kind) => {
    const result = foldEvent(undefined, event(kind, move('ready', 'ready'), { task_version: 9 }));
    expect(result.type).toBe(kind === 'task.created' ? 'card' : 'unchanged');
  },
);
