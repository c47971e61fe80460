/** When notifications leave: bursts are folded into one, and a nudge does not wait for a burst to be over. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createWake, type Wake } from '../../../src/server/db/wake.ts';

/** As long as a burst is folded. */
const BURST_MS = 10;

interface Sent {
  readonly atMs: number;
  readonly grown: string;
  readonly nudged: string;
  readonly printed: string;
}

let sent: Sent[];
let wake: Wake;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  sent = [];
  const wakes = async (
    _strings: TemplateStringsArray,
    _channel: string,
    payload: string,
  ): Promise<unknown[]> => {
    const [, grown = '', nudged = '', printed = ''] = payload.split(':');
    sent.push({ atMs: performance.now(), grown, nudged, printed });
    return [];
  };
  wake = createWake({ database: { wakes } as never, mode: 'listen', onError: () => undefined });
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
  expect(sent).toEqual([{ atMs: startMs + BURST_MS - 1, grown: '1,2', nudged: '3', printed: '' }]);
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

test('output of however many boards is ten notifications a second, and wakes nobody here', () => {
  const heard: string[] = [];
  wake.subscribeNudges(1, () => heard.push('signal'));
  wake.subscribeNudges(1, () => heard.push('output'), 'output');
  for (let elapsedMs = 0; elapsedMs < 1000; elapsedMs += 1) {
    for (let boardId = 1; boardId <= 5; boardId += 1) wake.nudge(boardId, 'output');
    vi.advanceTimersByTime(1);
  }
  expect(sent.length).toBeGreaterThanOrEqual(9);
  expect(sent.length).toBeLessThanOrEqual(11);
  expect(sent.at(-1)).toMatchObject({ grown: '', nudged: '', printed: '1,2,3,4,5' });
  expect(heard).toEqual([]);
});

test('output neither holds up a nudge nor goes along with each of them', () => {
  for (let elapsedMs = 0; elapsedMs < 200; elapsedMs += 10) {
    wake.nudge(1, 'output');
    wake.nudge(2);
    vi.advanceTimersByTime(BURST_MS);
  }
  expect(sent.filter(({ nudged }) => nudged === '2').length).toBeGreaterThanOrEqual(19);
  expect(sent.filter(({ printed }) => printed === '1').length).toBeLessThanOrEqual(3);
});

test('a close tells the others what they have not been told, and nothing leaves after it', async () => {
  wake.nudge(1, 'output');
  vi.advanceTimersByTime(BURST_MS);
  wake.nudge(2, 'output');
  for (let boardId = 1; boardId <= 500; boardId += 1) wake.ring(boardId);
  await wake.close();
  expect(sent.flatMap(({ grown }) => grown.split(',').filter(Boolean))).toHaveLength(500);
  expect(sent.map(({ printed }) => printed).join('')).toBe('12');
  const { length } = sent;
  wake.ring(1);
  wake.nudge(1);
  vi.advanceTimersByTime(1000);
  expect(sent).toHaveLength(length);
});
