import { expect, test } from 'vitest';
import type { FaultEntry, HistoryEntry } from '../../chaos/history.ts';
import { countServerWindows, type ServerWindows } from '../../chaos/server-windows.ts';

const URLS = new Map([
  ['server-1', 'http://one'],
  ['server-2', 'http://two'],
]);
const NONE: ServerWindows = {
  heldAcrossServerJump: 0,
  madeUnderWrongClock: 0,
  heldAcrossWorkerJump: 0,
  underWayAtReplacement: 0,
  onHalfOpenConnection: 0,
  acknowledgedBeforeFailover: 0,
};

const count = (...entries: readonly HistoryEntry[]): ServerWindows => countServerWindows(entries, URLS);

const fault = (name: string, target: string, at = 10_000, until = 16_000): FaultEntry => ({
  entry: 'fault',
  fault: name,
  target,
  at,
  until,
});

interface Asked {
  readonly via?: string;
  readonly process?: string;
  readonly ending?: 'ok' | 'unknown';
}

const common = ({ via = 'http://one', process = 'worker-1.1', ending = 'ok' }: Asked = {}) => ({
  entry: 'operation' as const,
  process,
  via,
  ending,
});

const claim = (invokedAt: number, asked?: Asked): HistoryEntry => ({
  ...common(asked),
  kind: 'claim',
  lane: 'pull',
  worker: 'worker-1.1-pull1',
  claims: [{ taskId: 't', runId: 'r', attempt: 1 }],
  invokedAt,
  endedAt: invokedAt + 10,
});

const heartbeat = (invokedAt: number, asked?: Asked, endedAt = invokedAt + 10): HistoryEntry => ({
  ...common(asked),
  kind: 'heartbeat',
  taskId: 't',
  runId: 'r',
  attempt: 1,
  invokedAt,
  endedAt,
});

test('a jump counts for a claim from before it that is written to through that server during it', () => {
  const jump = fault('jump server clock', 'server-1');
  expect(count(jump, claim(9000), heartbeat(11_000))).toEqual({ ...NONE, heldAcrossServerJump: 1 });
  expect(count(jump, claim(9000), heartbeat(11_000, { via: 'http://two' }))).toEqual(NONE);
  expect(count(jump, claim(9000), heartbeat(17_000))).toEqual(NONE);
  expect(count(jump, claim(9000), heartbeat(11_000, { ending: 'unknown' }))).toEqual(NONE);
});

test('a token counts that was made under a wrong clock and was good under a right one', () => {
  const jump = fault('jump server clock', 'server-2');
  const made = claim(15_000, { via: 'http://two' });
  expect(count(jump, made, heartbeat(16_500))).toEqual({ ...NONE, madeUnderWrongClock: 1 });
  expect(count(jump, made, heartbeat(15_500))).toEqual(NONE);
  expect(count(jump, claim(15_000), heartbeat(16_500))).toEqual(NONE);
});

test('a jump of a worker counts for what that worker held, and for no other', () => {
  const jump = fault('jump worker clock', 'worker-1');
  expect(count(jump, claim(9000), heartbeat(11_000))).toEqual({ ...NONE, heldAcrossWorkerJump: 1 });
  const other = { process: 'worker-11.1' };
  expect(count(jump, claim(9000, other), heartbeat(11_000, other))).toEqual(NONE);
});

test('a request counts that was under way at its server when that was replaced, and was answered', () => {
  const restart = fault('rolling restart', 'server-1');
  expect(count(restart, heartbeat(9900, {}, 10_100))).toEqual({ ...NONE, underWayAtReplacement: 1 });
  expect(count(restart, heartbeat(9900, { via: 'http://two' }, 10_100))).toEqual(NONE);
  expect(count(restart, heartbeat(9900, { ending: 'unknown' }, 10_100))).toEqual(NONE);
  expect(count(restart, heartbeat(10_050))).toEqual(NONE);
});

test('a request counts that hung on a connection of that server which had fallen silent', () => {
  const silence = fault('half-open proxy', 'back of server-2', 10_000, 28_000);
  const asked = { via: 'http://two', ending: 'unknown' } as const;
  expect(count(silence, heartbeat(11_000, asked, 19_000))).toEqual({ ...NONE, onHalfOpenConnection: 1 });
  expect(count(silence, heartbeat(11_000, asked, 11_100))).toEqual(NONE);
  expect(count(silence, heartbeat(11_000, { ending: 'unknown' }, 19_000))).toEqual(NONE);
  expect(count(silence, heartbeat(15_000, asked, 24_000))).toEqual(NONE);
});

test('what was acknowledged in the last moments before a failover counts', () => {
  const failover = fault('failover', 'postgres');
  const last = { ...NONE, acknowledgedBeforeFailover: 1 };
  expect(count(failover, heartbeat(9940))).toEqual(last);
  expect(count(failover, heartbeat(9700))).toEqual(NONE);
  expect(count(failover, heartbeat(9995))).toEqual(NONE);
  expect(count(failover, heartbeat(9940, { ending: 'unknown' }))).toEqual(NONE);
});
