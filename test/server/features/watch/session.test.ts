import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ServerFrame } from '../../../../src/contract/frames.ts';
import { WatchSession } from '../../../../src/server/features/watch/session.ts';
import type { Connection } from '../../../../src/server/ws/connection.ts';

/** A session on a connection whose peer never answers a close. */
function setup() {
  const state = {
    frames: [] as ServerFrame[],
    closings: [] as number[],
    fullMs: 0,
    worker: [] as string[],
  };
  let receive: (text: string, bytes: number) => void = () => undefined;
  let close: () => void = () => undefined;
  const connection: Connection = {
    isOpen: true,
    send: () => true,
    answer: (text) => void state.frames.push(JSON.parse(text)),
    hasRoom: () => true,
    fullMs: () => state.fullMs,
    setReading: () => undefined,
    onMessage: (listener) => {
      receive = listener;
    },
    onWritable: () => undefined,
    onClose: (listener) => {
      close = listener;
    },
    close: (code) => void state.closings.push(code),
  };
  const session = new WatchSession({
    board: { id: 1, name: 'b', incarnation: 'aaaaaaaa' },
    caller: { kind: 'key', id: 'key', role: 'admin' } as never,
    connection,
    feeds: {} as never,
    countReady: async () => new Map(),
    isHinted: async () => false,
    onHello: () => undefined,
    openWorker: () => ({
      greet: () => undefined,
      setCredits: async (_lane, credits) => {
        state.worker.push(`credit ${credits}`);
        return credits;
      },
      acknowledge: () => undefined,
      operate: async () => ({}),
      onWritable: () => undefined,
      onClose: () => void state.worker.push('closed'),
    }),
    onError: (error) => {
      throw error;
    },
  });
  return {
    session,
    state,
    close: () => close(),
    send: async (frame: object): Promise<void> => {
      const text = JSON.stringify(frame);
      receive(text, text.length);
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a socket', () => {
  test('that is ended handles nothing more, and its worker is told at once, not when the peer has answered', async () => {
    const { session, state, send, close } = setup();
    await send({ type: 'credit', id: 'c1', lane: 'l', credits: 1 });
    session.end(4401, 'revoked');
    expect([state.worker, state.closings]).toEqual([['credit 1', 'closed'], [4401]]);
    await send({ type: 'credit', id: 'c2', lane: 'l', credits: 2 });
    close();
    expect(state.worker).toEqual(['credit 1', 'closed']);
    expect(state.frames).toHaveLength(1);
  });

  test('that drains says so, and leaves its worker to the pusher', () => {
    const { session, state, close } = setup();
    session.drain(5);
    expect([state.frames[0]?.type, state.closings, state.worker]).toEqual(['drain', [1012], []]);
    close();
    expect(state.worker).toEqual(['closed']);
  });

  test('that watches nothing is closed with 4408 after a minute without room', () => {
    const { session, state } = setup();
    vi.advanceTimersByTime(60_000);
    state.fullMs = 59_000;
    vi.advanceTimersByTime(10_000);
    expect(state.closings).toEqual([]);
    state.fullMs = 61_000;
    vi.advanceTimersByTime(10_000);
    expect(state.closings).toEqual([4408]);
    session.end(1008, 'over');
  });

  test('survives a claim_ack and a credit that are wrong in their fields', async () => {
    const { session, state, send } = setup();
    await send({ type: 'claim_ack', run_id: 'nonsense' });
    await send({ type: 'credit', id: 'c', lane: 'l', credits: -1 });
    expect(state.frames).toMatchObject([
      { type: 'error', code: 'invalid_request', fatal: false },
      { type: 'error', id: 'c', code: 'invalid_request', fatal: false },
    ]);
    expect(state.closings).toEqual([]);
    session.end(1008, 'over');
  });
});
