import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LostClaims } from '../../../../src/server/features/claims/service.ts';
import { formatId, type Uuid } from '../../../../src/server/kernel/ids.ts';

const LOOK_INTERVAL_MS = 2000;
const POLL_MS = 250;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const uuidOf = (number: number): Uuid =>
  `00000001-0000-7000-8000-${String(number).padStart(12, '0')}` as Uuid;
const runOf = (number: number): string => formatId('run', uuidOf(number));

/** A database in which some runs are deleted, and whose answers take a while. */
function setup() {
  const state = { looks: 0, asked: [] as number[], sent: [] as unknown[], errors: 0, isDown: false };
  const gone = new Set<string>();
  let answerMs = 0;
  let nudge: (isPoll: boolean) => void = () => undefined;
  const sql = async (strings: TemplateStringsArray, ids: readonly string[]): Promise<unknown[]> => {
    if (strings[0]?.includes('runs.find_over') !== true) return [];
    state.looks += 1;
    state.asked.push(ids.length);
    if (state.isDown) throw new Error('the database is away');
    vi.advanceTimersByTime(answerMs);
    return ids.filter((id) => gone.has(id)).map((id) => ({ id }));
  };
  const wake = {
    subscribeNudges: (_: number, listener: typeof nudge) => {
      nudge = listener;
      return () => {
        nudge = () => undefined;
      };
    },
  };
  const onError = (): void => {
    state.errors += 1;
  };
  const lost = new LostClaims({ sql, wake, onError } as never);
  const makePort = () =>
    ({
      board: { id: 1, name: 'b', incarnation: 'x' },
      send: (frame: { run_id: string }) => state.sent.push(frame.run_id),
    }) as never;
  return {
    lost,
    makePort,
    state,
    take: (number: number) => gone.add(uuidOf(number)),
    slowDown: (ms: number) => {
      answerMs = ms;
    },
    nudge: () => nudge(false),
    poll: () => nudge(true),
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
}

test('what no nudge has told of is found within seconds, and not asked for at every poll', async () => {
  const { lost, makePort, state, take, poll, pass, nudge } = setup();
  lost.hold(makePort(), runOf(1));
  nudge();
  await pass(1);
  expect([state.looks, state.sent]).toEqual([1, []]);
  take(1);
  for (let passed = POLL_MS; passed < LOOK_INTERVAL_MS; passed += POLL_MS) {
    await pass(POLL_MS - 1);
    poll();
    await pass(1);
  }
  expect(state.looks).toBe(1);
  await pass(POLL_MS);
  poll();
  await pass(1);
  expect([state.looks, state.sent]).toEqual([2, [runOf(1)]]);
});

test('a loss is told once, to those that hold the run still and are there', async () => {
  const { lost, makePort, state, take, nudge, pass } = setup();
  const [holder, gone] = [makePort(), makePort()];
  for (const number of [1, 2]) lost.hold(holder, runOf(number));
  lost.hold(gone, runOf(1));
  lost.onClose(gone);
  lost.letGo(holder, runOf(2));
  take(1);
  take(2);
  nudge();
  await pass(1);
  nudge();
  await pass(1);
  expect(state.sent).toEqual([runOf(1)]);
});

test('after the last socket of a board nothing is asked for it', async () => {
  const { lost, makePort, state, nudge, pass } = setup();
  const port = makePort();
  lost.hold(port, runOf(1));
  lost.onClose(port);
  nudge();
  await pass(1);
  expect(state.looks).toBe(0);
});

test('a look that fails is reported, and the next one tells', async () => {
  const { lost, makePort, state, take, nudge, pass } = setup();
  lost.hold(makePort(), runOf(1));
  take(1);
  state.isDown = true;
  nudge();
  await pass(1);
  expect([state.errors, state.sent]).toEqual([1, []]);
  state.isDown = false;
  nudge();
  await pass(1);
  expect(state.sent).toEqual([runOf(1)]);
});

test('however many nudges come, looks take no more than a fifth of the time', async () => {
  const { lost, makePort, state, slowDown, nudge, pass } = setup();
  lost.hold(makePort(), runOf(1));
  slowDown(10);
  const endMs = performance.now() + 990;
  while (performance.now() < endMs) {
    nudge();
    await pass(1);
  }
  expect(state.looks).toBe(20);
});

test('of very many claims on one socket the newest are told, and asked for in pages', async () => {
  const { lost, makePort, state, take, nudge, pass } = setup();
  const port = makePort();
  for (let number = 1; number <= 2500; number += 1) lost.hold(port, runOf(number));
  for (const number of [500, 501, 2500]) take(number);
  nudge();
  await pass(1);
  expect([state.asked, state.sent]).toEqual([
    [1000, 1000],
    [runOf(501), runOf(2500)],
  ]);
});
