import { describe, expect, test } from 'vitest';
import {
  Block,
  endOfHandler,
  Fatal,
  type HandlerEnd,
  RetryAfter,
} from '../../../src/client/worker/handler-end.ts';
import type { StopReason } from '../../../src/client/worker/run-end.ts';
import { abortOf } from '../../../src/client/worker/task-aborted.ts';

const returned = (value?: unknown): HandlerEnd => ({ kind: 'returned', value });
const threw = (error: unknown): HandlerEnd => ({ kind: 'threw', error });
const CANCEL: StopReason = { kind: 'cancel_requested' };
const DRAIN: StopReason = { kind: 'draining' };
const TIMEOUT: StopReason = { kind: 'timed_out', seconds: 5 };
const EXPIRED: StopReason = { kind: 'lease_expired' };
const LOST: StopReason = { kind: 'claim_lost', detail: 'reclaimed' };
const release = (reason: string) => ({ verb: 'release', body: { reason } });

describe('a handler that returns', () => {
  test.each([
    ['nothing', undefined, {}],
    ['null', null, {}],
    ['a result', { summary: 's', result: [1] }, { summary: 's', result: [1] }],
    ['an object of its own', { parts: 3 }, { result: { parts: 3 } }],
    ['no object', [1, 2], { result: [1, 2] }],
    [
      'a summary that nobody could read',
      { summary: `\u001b[1m${'x'.repeat(20_000)}` },
      { summary: 'x'.repeat(16_000) },
    ],
    ['half a character', { summary: 'a\ud800' }, { summary: 'a\ufffd' }],
  ])('%s completes its task', (_, value, body) => {
    expect(endOfHandler(returned(value), null)).toEqual({ verb: 'complete', body });
  });

  test('something although it was told to stop has finished; nothing, and it has given up', () => {
    const done = { verb: 'complete', body: { summary: 'made it' } };
    for (const stopped of [CANCEL, DRAIN, TIMEOUT, EXPIRED])
      expect(endOfHandler(returned({ summary: 'made it' }), stopped)).toEqual(done);
    expect(endOfHandler(returned(), DRAIN)).toEqual(release('the worker is shutting down'));
    expect(endOfHandler(returned(), TIMEOUT)).toMatchObject({ verb: 'fail' });
  });
});

describe('a handler that throws', () => {
  const later = new RetryAfter(1_500, 'later');
  test.each([
    ['an error', new Error('broken'), { verb: 'fail', body: { error: 'broken' } }],
    ['an error with a name', new TypeError('odd'), { verb: 'fail', body: { error: 'TypeError: odd' } }],
    ['without a word', new Error(''), { verb: 'fail', body: { error: 'The handler failed without a word' } }],
    ['Fatal', new Fatal('no'), { verb: 'fail', body: { error: 'no', permanent: true } }],
    ['RetryAfter', later, { verb: 'release', body: { reason: 'later', delay_seconds: 2 } }],
    [
      'Block',
      new Block({ kind: 'capability', reason: 'no GPU' }),
      { verb: 'block', body: { kind: 'capability', reason: 'no GPU' } },
    ],
  ])('%s ends its run with what that says', (_, error, end) => {
    expect(endOfHandler(threw(error), null)).toEqual(end);
  });

  test('after it was told to stop is given back, but for a timeout, which is a failure', () => {
    expect(endOfHandler(threw(abortOf(DRAIN)), DRAIN)).toEqual(release('the worker is shutting down'));
    expect(endOfHandler(threw(new Error('any')), CANCEL)).toMatchObject({ verb: 'release' });
    expect(endOfHandler(threw(abortOf(EXPIRED)), EXPIRED)).toMatchObject({ verb: 'release' });
    expect(endOfHandler(threw(abortOf(TIMEOUT)), TIMEOUT)).toEqual({
      verb: 'fail',
      body: { error: 'timed out after 5 s' },
    });
    expect(endOfHandler(threw(new Error('half way')), TIMEOUT)).toEqual({
      verb: 'fail',
      body: { error: 'timed out after 5 s\nhalf way' },
    });
  });

  test('what it means to say is said all the same while the worker leaves, but not to whoever cancelled', () => {
    expect(endOfHandler(threw(later), DRAIN)).toMatchObject({ body: { delay_seconds: 2 } });
    expect(endOfHandler(threw(new Fatal('no')), TIMEOUT)).toMatchObject({ body: { permanent: true } });
    expect(endOfHandler(threw(new Fatal('no')), CANCEL)).toMatchObject({ verb: 'release' });
  });
});

test('nothing is reported of a claim that is lost, whatever its handler came to', () => {
  for (const end of [returned({ summary: 's' }), threw(new Fatal('no')), null])
    expect(endOfHandler(end, LOST)).toBeNull();
});

test('a handler that was told to stop and has not is given back, or has failed', () => {
  expect(endOfHandler(null, DRAIN)).toMatchObject({ verb: 'release' });
  expect(endOfHandler(null, TIMEOUT)).toMatchObject({ verb: 'fail' });
});

test('RetryAfter takes milliseconds or a time, and asks for no more than the API takes', () => {
  expect(new RetryAfter(new Date(Date.now() + 9_500)).delaySeconds).toBe(10);
  expect(new RetryAfter(-5).delaySeconds).toBe(0);
  expect(new RetryAfter(Number.POSITIVE_INFINITY).delaySeconds).toBe(30 * 86_400);
  expect(() => new RetryAfter(Number.NaN)).toThrow(TypeError);
});
