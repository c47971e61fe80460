import { describe, expect, test } from 'vitest';
import { PushRequests } from '../../../src/client/worker/push-requests.ts';

interface Asked {
  readonly id: string;
  readonly type: string;
  readonly run_id: string;
}

function open(limits: { readonly requestsMax?: number } = {}) {
  const frames: Asked[] = [];
  const clock = { nowMs: 0 };
  const requests = new PushRequests({
    limits: { replyMs: 1000, requestsMax: 10, ...limits },
    now: () => clock.nowMs,
    url: 'http://server',
  });
  requests.resume((text) => frames.push(JSON.parse(text) as Asked));
  const idOf = (place: number): string => frames[place]?.id ?? '';
  return { requests, frames, clock, idOf };
}

const BEAT = { verb: 'heartbeat', body: {} } as const;
const DONE = { verb: 'complete', body: { summary: 'done' } } as const;

describe('requests over a socket', () => {
  test('are frames with the body of their route, without a token, each under an id of its own', () => {
    const { requests, frames } = open();
    void requests.ask('run_1', DONE);
    void requests.ask('run_2', BEAT);
    expect(frames).toEqual([
      { summary: 'done', type: 'complete', id: 'r1', run_id: 'run_1' },
      { type: 'heartbeat', id: 'r2', run_id: 'run_2' },
    ]);
  });

  test('get the reply with their id, in whatever order replies come', async () => {
    const { requests, idOf } = open();
    const first = requests.ask('run_1', DONE);
    const second = requests.ask('run_2', DONE);
    requests.onReply({ type: 'reply', id: idOf(1), ok: true, outcome: 'second' });
    requests.onReply({ type: 'reply', id: 'nobody', ok: true });
    requests.onReply({ type: 'reply', id: idOf(0), ok: true, outcome: 'first' });
    expect(await first).toMatchObject({ outcome: 'first' });
    expect(await second).toMatchObject({ outcome: 'second' });
  });

  test('are refused by the problem of the reply', async () => {
    const { requests, idOf } = open();
    const asked = requests.ask('run_1', DONE);
    const problem = {
      type: 'https://x/claim_lost',
      title: 'Lost',
      status: 409,
      detail: 'It is gone.',
      instance: 'urn:uuid:1',
      code: 'claim_lost',
      reason: 'reclaimed',
    } as const;
    requests.onReply({ type: 'reply', id: idOf(0), ok: false, problem });
    await expect(asked).rejects.toMatchObject({ code: 'claim_lost', status: 409, retryable: false });
  });

  test('are unreachable when the socket goes before the reply, and at once while there is none', async () => {
    const { requests, frames } = open();
    const lost = requests.ask('run_1', DONE);
    requests.strand();
    await expect(lost).rejects.toMatchObject({ code: 'unreachable', mayHaveTakenEffect: true });
    const late = requests.ask('run_1', DONE);
    await expect(late).rejects.toMatchObject({ code: 'unreachable', mayHaveTakenEffect: false });
    expect(frames).toHaveLength(1);
  });

  test('wait for their replies in a bounded number', async () => {
    const { requests, frames, idOf } = open({ requestsMax: 2 });
    for (const run of ['run_1', 'run_2']) void requests.ask(run, BEAT);
    await expect(requests.ask('run_3', BEAT)).rejects.toMatchObject({
      code: 'rate_limited',
      retryable: true,
    });
    requests.onReply({ type: 'reply', id: idOf(0), ok: true });
    void requests.ask('run_4', BEAT);
    expect(frames.map((frame) => frame.run_id)).toEqual(['run_1', 'run_2', 'run_4']);
  });

  test('that would cost the socket by their size are not sent', async () => {
    const { requests, frames } = open();
    const result = 'ü'.repeat(600_000); // Two bytes each.
    const tooLarge = requests.ask('run_1', { verb: 'complete', body: { result } });
    await expect(tooLarge).rejects.toMatchObject({ code: 'payload_too_large', status: 413 });
    void requests.ask('run_1', { verb: 'complete', body: { result: 'u'.repeat(600_000) } });
    expect(frames).toHaveLength(1);
  });

  test('are overdue once the oldest has waited too long, whatever was answered since', () => {
    const { requests, clock, idOf } = open();
    void requests.ask('run_1', BEAT);
    clock.nowMs = 600;
    void requests.ask('run_2', BEAT);
    requests.onReply({ type: 'reply', id: idOf(1), ok: true });
    expect(requests.isOverdue).toBe(false);
    clock.nowMs = 1000;
    expect(requests.isOverdue).toBe(true);
    requests.onReply({ type: 'reply', id: idOf(0), ok: true });
    expect(requests.isOverdue).toBe(false);
  });
});
