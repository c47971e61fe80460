import { getEventListeners } from 'node:events';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { onAbort } from '../../src/client/abort-hub.ts';
import { callAfter, joinSignals, startDeadline, systemTiming } from '../../src/client/timing.ts';

describe('calls that share a signal', () => {
  test('share one listener, and leave nothing behind', () => {
    const { signal } = new AbortController();
    const joined = Array.from({ length: 100 }, () => joinSignals([signal]));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const each of joined) each.release();
    expect(joined.some((each) => each.signal.aborted)).toBe(false);
  });

  test('all end with its reason, but for those that were over before', () => {
    const controller = new AbortController();
    const [first, second, over] = [1, 2, 3].map(() => joinSignals([undefined, controller.signal]));
    over?.release();
    controller.abort('why');
    expect([first, second, over].map((each) => each?.signal.reason)).toEqual(['why', 'why', undefined]);
    expect(joinSignals([controller.signal]).signal.reason).toBe('why');
  });

  test('may listen again while it fires', () => {
    const controller = new AbortController();
    const heard: string[] = [];
    onAbort(controller.signal, () => {
      heard.push('first');
      onAbort(controller.signal, () => heard.push('late'));
    });
    controller.abort();
    expect(heard).toEqual(['first']);
  });
});

test('a deadline tells its own end from that of its caller', async () => {
  const late = startDeadline(1, []);
  await expect.poll(() => late.signal.aborted).toBe(true);
  expect(late.isTimedOut()).toBe(true);
  const controller = new AbortController();
  const ended = startDeadline(60_000, [controller.signal]);
  controller.abort();
  expect([ended.signal.aborted, ended.isTimedOut()]).toEqual([true, false]);
  ended.release();
});

test('a wait ends at once when its signal fires, with the reason', async () => {
  const controller = new AbortController();
  const wait = systemTiming.wait(60_000, controller.signal);
  controller.abort(new Error('enough'));
  await expect(wait).rejects.toThrow('enough');
  await expect(systemTiming.wait(60_000, controller.signal)).rejects.toThrow('enough');
  await systemTiming.wait(1, new AbortController().signal);
});

test('a timer of a month, or of Infinity, does not fire at once', () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const fired: string[] = [];
  const monthMs = 30 * 86_400_000;
  callAfter(monthMs, () => fired.push('month'));
  const stop = callAfter(Number.POSITIVE_INFINITY, () => fired.push('never'));
  vi.advanceTimersByTime(monthMs - 1);
  expect(fired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(fired).toEqual(['month']);
  stop();
  expect(vi.getTimerCount()).toBe(0);
});
