import { describe, expect, test } from 'vitest';
import { type ReadFrame, readFrame } from '../../../../src/server/features/watch/client-frame.ts';
import { FrameIntake } from '../../../../src/server/features/watch/frame-intake.ts';
import type { Connection } from '../../../../src/server/ws/connection.ts';

const RUN = 'run_01h455vb4pex5vsknk084sn02q';

/** An intake whose frames are handled when the test says so. */
function setup() {
  let receive: (text: string, bytes: number) => void = () => undefined;
  const room = { hasRoom: true };
  const isReading: boolean[] = [];
  const connection: Connection = {
    isOpen: true,
    send: () => true,
    answer: () => undefined,
    hasRoom: () => room.hasRoom,
    stalledMs: () => 0,
    setReading: (value) => void isReading.push(value),
    onMessage: (listener) => {
      receive = listener;
    },
    onWritable: () => undefined,
    onClose: () => undefined,
    close: () => undefined,
  };
  const handling: { readonly read: ReadFrame; readonly done: () => void }[] = [];
  const intake = new FrameIntake(
    connection,
    (read) => new Promise<void>((done) => handling.push({ read, done })),
  );
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  return {
    intake,
    room,
    isReading,
    handling,
    send: async (frame: object): Promise<void> => {
      const text = JSON.stringify(frame);
      receive(text, Buffer.byteLength(text));
      await settled();
    },
    finish: async (): Promise<void> => {
      handling.shift()?.done();
      await settled();
    },
    names: () =>
      handling.map(({ read }) => (read.kind === 'frame' ? `${read.frame.type}` : `${read.kind} ${read.id}`)),
  };
}

const complete = (id: string, fields = {}) => ({ type: 'complete', id, run_id: RUN, ...fields });

describe('frames of one socket', () => {
  test('that change what it follows are handled one after the other', async () => {
    const { send, finish, names } = setup();
    await send({ type: 'watch', id: 'a' });
    await send({ type: 'unwatch', id: 'a' });
    await send({ type: 'credit', id: 'c', lane: 'l', credits: 1 });
    expect(names()).toEqual(['watch']);
    await finish();
    expect(names()).toEqual(['unwatch']);
    await finish();
    expect(names()).toEqual(['credit']);
  });

  test('that are verbs of a worker run side by side, but not before the hello that came before them', async () => {
    const { send, finish, names } = setup();
    await send(complete('a'));
    await send(complete('b'));
    expect(names()).toEqual(['complete', 'complete']);
    await finish();
    await finish();
    await send({ type: 'hello', id: 'h', lane: 'l', worker: 'w' });
    await send(complete('c'));
    await send(complete('d'));
    expect(names()).toEqual(['hello']);
    await finish();
    expect(names()).toEqual(['complete', 'complete']);
  });

  test('that acknowledge a claim wait for nothing', async () => {
    const { send, names } = setup();
    await send({ type: 'watch', id: 'slow' });
    await send({ type: 'claim_ack', run_id: RUN });
    expect(names()).toEqual(['watch', 'claim_ack']);
  });

  test('hold the peer back when a thousand of them wait, and let it go on afterwards', async () => {
    const { send, finish, isReading } = setup();
    for (let index = 0; index < 999; index += 1) await send(complete(`${index}`));
    expect(isReading).toEqual([]);
    await send(complete('last'));
    expect(isReading).toEqual([false]);
    await send(complete('one that was under way'));
    await finish();
    expect(isReading).toEqual([false]);
    await finish();
    expect(isReading).toEqual([false, true]);
  });

  test('hold the peer back while it does not read its answers, and until it has', async () => {
    const { send, finish, isReading, room, intake } = setup();
    await send(complete('a'));
    room.hasRoom = false;
    await finish();
    expect(isReading).toEqual([false]);
    await send(complete('one that was under way'));
    await finish();
    expect(isReading).toEqual([false]);
    room.hasRoom = true;
    intake.onWritable();
    expect(isReading).toEqual([false, true]);
  });

  test('count by the bytes on the wire, not by characters', async () => {
    const { send, isReading } = setup();
    for (let index = 0; index < 3; index += 1)
      await send(complete(`${index}`, { result: '\u20ac'.repeat(240_000) }));
    expect(isReading).toEqual([false]);
  });

  test('hold the peer back when few of them are large', async () => {
    const { send, finish, isReading } = setup();
    for (let index = 0; index < 9; index += 1)
      await send(complete(`${index}`, { result: 'x'.repeat(250_000) }));
    expect(isReading).toEqual([false]);
    await finish();
    expect(isReading).toEqual([false, true]);
  });
});

test.each([
  ['{', 'bad'],
  ['[]', 'bad'],
  ['{"type":"dance","id":"x"}', 'bad'],
  ['{"type":"complete"}', 'bad'],
  ['{"type":"claim_ack","run_id":"run_x"}', 'refused'],
  ['{"type":"credit","id":"c","lane":"l","credits":-1}', 'refused'],
  ['{"type":"credit"}', 'refused'],
  [JSON.stringify(complete('x'.repeat(65))), 'bad'],
  [JSON.stringify(complete('a', { surprise: 1 })), 'refused'],
  [JSON.stringify(complete('a', { result: 'half \ud800' })), 'refused'],
  [`{"type":"complete","id":"a","run_id":"${RUN}","result":${'['.repeat(200)}${']'.repeat(200)}}`, 'refused'],
  [JSON.stringify({ ...complete('a'), run_id: 'run_x' }), 'refused'],
  [JSON.stringify(complete('a')), 'frame'],
])('the text %j is %s', (text, kind) => {
  expect(readFrame(text, text.length).kind).toBe(kind);
});
