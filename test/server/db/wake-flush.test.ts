/** When notifications leave: bursts are folded into one, and a nudge does not wait for a burst to be over. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createWake, type Wake } from '../../../src/server/db/wake.ts';

/** As long as a burst is folded. */
const BURST_MS = 10;

interface Sent {
  readonly atMs: number;
  readonly grown: string;
  readonly nudged: string;
}

let sent: Sent[];
let wake: Wake;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  sent = [];
  const cold = async (
    _strings: TemplateStringsArray,
    _channel: string,
    payload: string,
  ): Promise<unknown[]> => {
    const [, grown = '', nudged = ''] = payload.split(':');
    sent.push({ atMs: performance.now(), grown, nudged });
    return [];
  };
  wake = createWake({ database: { cold } as never, mode: 'listen', onError: () => undefined });
});
afterEach(() => {
  vi.useRealTimers();
});

test('growth waits for the burst it may be part of, a nudge for nothing, and what waits goes along', () => {
  const startMs = performance.now();
  wake.ring(1);
  wake.ring(2);
  vi.advanceTimersByTime(BURST_MS - 1);
  expect(sent).toEqual([]);
  wake.nudge(3);
  vi.advanceTimersByTime(1);
  expect(sent).toEqual([{ atMs: startMs + BURST_MS - 1, grown: '1,2', nudged: '3' }]);
  vi.advanceTimersByTime(10 * BURST_MS);
  expect(sent).toHaveLength(1);
});

test('many nudges are as few notifications as much growth is', () => {
  for (let elapsedMs = 0; elapsedMs < 100; elapsedMs += 1) {
    wake.nudge(1);
    vi.advanceTimersByTime(1);
  }
  vi.advanceTimersByTime(BURST_MS);
  expect(sent.length).toBeGreaterThanOrEqual(10);
  expect(sent.length).toBeLessThanOrEqual(11);
});
