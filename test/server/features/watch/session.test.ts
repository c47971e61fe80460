import { describe, expect, test } from 'vitest';
import type { ServerFrame } from '../../../../src/contract/frames.ts';
import { LaneHints } from '../../../../src/server/features/watch/hints.ts';
import { WatchSession } from '../../../../src/server/features/watch/session.ts';
import { WatchPlaces } from '../../../../src/server/features/watch/watch-places.ts';
import { ProblemError } from '../../../../src/server/kernel/problem-error.ts';
import type { Connection } from '../../../../src/server/ws/connection.ts';
import type { PreparedFrame } from '../../../../src/server/ws/prepared-frame.ts';

/** What a prepared frame says: its head is 2, 4 or 10 bytes, and none of them is a brace. */
const textOf = ({ wire }: PreparedFrame): string => wire.toString('utf8', wire.indexOf('{'));

/** A session on a connection whose peer never answers a close. */
function setup({ limit = null as (() => Promise<unknown>) | null, greet = async () => undefined } = {}) {
  const state = {
    frames: [] as ServerFrame[],
    closings: [] as number[],
    stalledMs: 0,
    worker: [] as string[],
    sightings: [] as string[],
  };
  let receive: (text: string, bytes: number) => void = () => undefined;
  let close: () => void = () => undefined;
  const connection: Connection = {
    isOpen: true,
    send: () => true,
    answer: (frame) => void state.frames.push(JSON.parse(textOf(frame))),
    hasRoom: () => true,
    stalledMs: () => state.stalledMs,
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
  const onError = (error: unknown): never => {
    throw error;
  };
  const feeds = {
    follow: async () => ({ seq: 0, leave: () => undefined }),
    position: async () => 0,
    isLiveAfter: () => true,
  } as never;
  const hints = { feeds, readConfig: async () => null, countReady: async () => new Map(), onError };
  const services = {
    feeds,
    hints: new LaneHints(hints),
    places: new WatchPlaces(),
    mayBeHinted: async () => false,
    onHello: (_board: unknown, lane: string) => void state.sightings.push(lane),
    openWorker: () => ({
      greet,
      setCredits: async (_lane: string, credits: number) => {
        state.worker.push(`credit ${credits}`);
        return credits;
      },
      acknowledge: (runId: string) => void state.worker.push(`ack ${runId}`),
      operate: async () => ({}),
      onWritable: () => undefined,
      onClose: (cause: string) => void state.worker.push(`closed: ${cause}`),
    }),
    followOutput: async () => () => undefined,
    limit,
    onError,
  };
  const session = new WatchSession(services, {
    board: { id: 1, name: 'b', incarnation: 'aaaaaaaa' },
    caller: { kind: 'key', id: 'key', role: 'admin' } as never,
    connection,
    onRefused: () => undefined,
  });
  return {
    session,
    state,
    close: () => close(),
    send: async (frame: object): Promise<void> => {
      const text = JSON.stringify(frame);
      receive(text, text.length);
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    },
  };
}

describe('a socket', () => {
  test('that is ended handles nothing more, and its worker is told at once, not when the peer has answered', async () => {
    const { session, state, send, close } = setup();
    await send({ type: 'credit', id: 'c1', lane: 'l', credits: 1 });
    session.end(4401, 'revoked');
    expect([state.worker, state.closings]).toEqual([['credit 1', 'closed: lost'], [4401]]);
    await send({ type: 'credit', id: 'c2', lane: 'l', credits: 2 });
    close();
    expect(state.worker).toEqual(['credit 1', 'closed: lost']);
    expect(state.frames).toHaveLength(1);
  });

  test('that drains says so, and leaves its worker to the pusher', async () => {
    const { session, state, send, close } = setup();
    await send({ type: 'credit', id: 'c1', lane: 'l', credits: 1 });
    session.drain(5);
    expect([state.frames.at(-1)?.type, state.closings, state.worker]).toEqual([
      'drain',
      [1012],
      ['credit 1'],
    ]);
    close();
    expect(state.worker).toEqual(['credit 1', 'closed: stopping']);
  });

  test('that gives way to a newer one of the same worker tells why it closed', async () => {
    const { session, state, send } = setup();
    await send({ type: 'credit', id: 'c1', lane: 'l', credits: 1 });
    session.end(4409, 'another socket');
    expect([state.worker, state.closings]).toEqual([['credit 1', 'closed: superseded'], [4409]]);
  });

  test('that nobody works behind has no worker', () => {
    const { state, close } = setup();
    close();
    expect(state.worker).toEqual([]);
  });

  test('that watches nothing is closed with 4408 after a minute in which it took nothing', () => {
    const { session, state } = setup();
    state.stalledMs = 59_000;
    session.tick();
    expect(state.closings).toEqual([]);
    state.stalledMs = 61_000;
    session.tick();
    expect(state.closings).toEqual([4408]);
    session.tick();
    expect(state.closings).toEqual([4408]);
  });

  test('whose hello was refused is no worker of the lane, and goes on', async () => {
    const refusal = new ProblemError('lane_not_found', 'There is no lane "l".');
    const greet = (): Promise<undefined> => Promise.reject(refusal);
    const { session, state, send } = setup({ greet });
    await send({ type: 'hello', id: 'h', lane: 'l', worker: 'w' });
    expect(state.frames).toMatchObject([{ type: 'error', id: 'h', code: 'lane_not_found', fatal: false }]);
    session.tick();
    expect([state.sightings, state.closings]).toEqual([[], []]);
  });

  test('whose principal has used up its share is refused frame by frame, except the claim_ack that the server waits for', async () => {
    const limit = (): Promise<never> => Promise.reject(new ProblemError('rate_limited', 'Enough.'));
    const { state, send } = setup({ limit });
    const run_id = 'run_01h455vb4pex5vsknk084sn02q';
    await send({ type: 'watch', id: 'w' });
    await send({ type: 'unwatch', id: 'w' });
    await send({ type: 'hello', id: 'h', lane: 'l', worker: 'w' });
    await send({ type: 'credit', id: 'c', lane: 'l', credits: 1 });
    await send({ type: 'complete', id: 'e', run_id });
    await send({ type: 'claim_ack', run_id });
    const refused = { type: 'error', code: 'rate_limited', fatal: false };
    expect(state.frames).toMatchObject([
      { ...refused, id: 'w' },
      { ...refused, id: 'w' },
      { ...refused, id: 'h' },
      { ...refused, id: 'c' },
      { type: 'reply', id: 'e', ok: false, problem: { code: 'rate_limited' } },
    ]);
    expect([state.worker, state.closings]).toEqual([[`ack ${run_id}`], []]);
  });

  test('has at most four watches with output, and one that ends makes room for another', async () => {
    const { session, state, send } = setup();
    for (let count = 0; count < 5; count += 1) await send({ type: 'watch', id: `w${count}`, output: true });
    expect(state.frames.map(({ type }) => type)).toEqual([...Array(4).fill('watching'), 'error']);
    expect(state.frames.at(-1)).toMatchObject({ id: 'w4', code: 'invalid_request', fatal: false });
    await send({ type: 'unwatch', id: 'w0' });
    await send({ type: 'watch', id: 'w4', output: true });
    expect(state.frames.at(-1)).toMatchObject({ type: 'watching', id: 'w4' });
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
