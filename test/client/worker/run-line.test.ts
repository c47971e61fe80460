/** Which way what a run says takes, when its socket fails it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { UnreachableError } from '../../../src/client/errors.ts';
import { RunLine } from '../../../src/client/worker/run-line.ts';
import { scriptedFetch } from '../fixtures/scripted-fetch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const unreachable = (mayHaveTakenEffect: boolean) =>
  new UnreachableError('gone', { url: 'x', cause: undefined, mayHaveTakenEffect });
const never = (): Promise<never> => new Promise(() => undefined);

function lineOver(output: () => Promise<unknown>) {
  const { fetch, requests } = scriptedFetch(() => ({ json: { accepted: 1 } }));
  const client = connect({ url: 'http://127.0.0.1:9', fetch });
  const line = new RunLine(client);
  line.use({ state: 'live', output, end: never, heartbeat: never, acknowledge: never });
  return { line, requests };
}

const WITH_TOKEN = { runId: 'run', token: 't' };
const WITHOUT = { runId: 'run', token: null };

test('lines that the socket certainly did not take go by request', async () => {
  const { line, requests } = lineOver(() => Promise.reject(unreachable(false)));
  await line.output(WITH_TOKEN, ['one']);
  expect(requests.map(({ body }) => body)).toEqual([{ lines: ['one'] }]);
});

test('lines that the socket may have taken are not said twice, and its answer is not waited for for long', async () => {
  const { line, requests } = lineOver(() => Promise.reject(unreachable(true)));
  await expect(line.output(WITH_TOKEN, ['one'])).rejects.toMatchObject({ mayHaveTakenEffect: true });
  const slow = lineOver(never);
  const said = expect(slow.line.output(WITH_TOKEN, ['one'])).rejects.toMatchObject({
    mayHaveTakenEffect: true,
  });
  await vi.advanceTimersByTimeAsync(5_000);
  await said;
  expect([requests, slow.requests]).toEqual([[], []]);
});

test('a heartbeat without a token is unreachable when its socket does not answer for a sixth of the lease', async () => {
  const { line } = lineOver(never);
  const asked = expect(line.heartbeat(WITHOUT, { lease_seconds: 12 })).rejects.toBeInstanceOf(
    UnreachableError,
  );
  await vi.advanceTimersByTimeAsync(2_000);
  await asked;
});

test('nobody can speak for a claim without a token once its socket has ended for good', async () => {
  const { line } = lineOver(never);
  expect([line.canSay(WITHOUT), line.canSay(WITH_TOKEN)]).toEqual([true, true]);
  const superseded = new Error('superseded');
  line.giveUp(superseded);
  await expect(line.heartbeat(WITHOUT, {})).rejects.toBe(superseded);
  line.use(null);
  await expect(line.heartbeat(WITHOUT, {})).rejects.toBeInstanceOf(UnreachableError);
});
