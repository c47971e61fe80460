import { expect, test } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { Claimer } from '../../../src/client/worker/claimer.ts';
import { type ScriptedAnswer, scriptedFetch } from '../fixtures/scripted-fetch.ts';
import { instantTiming } from '../fixtures/scripted-server.ts';

const problem = (status: number, code: string): ScriptedAnswer => ({ status, json: { code, status } });
const CLAIMED: ScriptedAnswer = { json: { claims: [{ run_id: 'run_1' }], cursor: 'c' } };

/** A worker that leaves while its claim is under way: what it is answered then. */
async function leaveWith(...answers: ScriptedAnswer[]) {
  const leave = new AbortController();
  let isFirst = true;
  const { fetch, requests } = scriptedFetch(() => {
    if (!isFirst) return answers.shift() ?? problem(503, 'draining');
    isFirst = false;
    leave.abort();
    throw leave.signal.reason;
  });
  const timing = instantTiming();
  const client = connect({ url: 'http://127.0.0.1:9', fetch, timing });
  const claimer = new Claimer({ client, lane: 'work', worker: 'w', leaseSeconds: 60 });
  await expect(claimer.claim(3, 30, leave.signal)).rejects.toThrow('aborted');
  const settled = claimer.settle();
  return { settled, requests, waits: timing.waits };
}

test('a claim that was left is asked for under its own key, at once again while the server still has it', async () => {
  const { settled, requests, waits } = await leaveWith(
    problem(409, 'idempotency_in_flight'),
    problem(409, 'idempotency_in_flight'),
    CLAIMED,
  );
  expect(await settled).toEqual([{ run_id: 'run_1' }]);
  expect(new Set(requests.map(({ headers }) => headers.get('idempotency-key'))).size).toBe(1);
  expect(Math.max(...waits)).toBeLessThan(100);
});

test('a server that is just restarted is asked again, and one that stays away is not waited for long', async () => {
  const { settled } = await leaveWith(problem(503, 'draining'), CLAIMED);
  expect(await settled).toHaveLength(1);
  const gone = await leaveWith();
  await expect(gone.settled).rejects.toMatchObject({ code: 'draining' });
  expect(gone.requests.length).toBeGreaterThan(3);
});

test('what the server refuses for good is not asked for again', async () => {
  const { settled, requests } = await leaveWith(problem(404, 'lane_not_found'));
  await expect(settled).rejects.toMatchObject({ code: 'lane_not_found' });
  expect(requests).toHaveLength(2);
});

test('a claim that is answered at the second asking is told from one of now: its lease may be old', async () => {
  const answers = [problem(503, 'draining'), CLAIMED, CLAIMED];
  const { fetch } = scriptedFetch(() => answers.shift() ?? CLAIMED);
  const client = connect({ url: 'http://127.0.0.1:9', fetch, timing: instantTiming() });
  const claimer = new Claimer({ client, lane: 'work', worker: 'w', leaseSeconds: 60 });
  const { signal } = new AbortController();
  await expect(claimer.claim(1, undefined, signal)).rejects.toMatchObject({ code: 'draining' });
  expect(await claimer.claim(1, undefined, signal)).toMatchObject({ isRepeat: true });
  expect(await claimer.claim(1, undefined, signal)).toMatchObject({ isRepeat: false });
});
