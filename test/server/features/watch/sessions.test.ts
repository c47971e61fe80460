import { describe, expect, onTestFinished, test } from 'vitest';
import { WatchSessions } from '../../../../src/server/features/watch/sessions.ts';
import type { Principal } from '../../../../src/server/kernel/principal.ts';
import type { Connection } from '../../../../src/server/ws/connection.ts';
import type { PreparedFrame } from '../../../../src/server/ws/prepared-frame.ts';

/** Sockets of principals named by their credential; `token …` is a claim token. */
function setup() {
  const state = {
    drains: [] as number[],
    closings: [] as number[],
    verified: [] as string[],
    refreshed: [] as (readonly string[])[],
    /** The database answers no newcomer before. */
    gate: Promise.resolve(),
  };
  const principalOf = (name: string): Principal =>
    (name.startsWith('token')
      ? { kind: 'claim', runId: name, board: 'b' }
      : { kind: 'key', keyId: name, role: 'observer', boards: '*' }) as unknown as Principal;
  const sessions = new WatchSessions({
    boards: { resolve: async () => ({ id: 1, name: 'b', incarnation: 'aaaaaaaa' }) },
    authenticate: async (name: string) => {
      await state.gate;
      return principalOf(name);
    },
    refresh: async (names: readonly string[]) => void state.refreshed.push(names),
    verify: async (name: string) => {
      state.verified.push(name);
      return principalOf(name);
    },
    limit: null,
    onError: (error: unknown) => {
      throw error;
    },
  } as never);
  const closes: (() => void)[] = [];
  onTestFinished(() => {
    for (const close of closes) close();
  });
  const admit = (authorization: string) =>
    sessions.admit({ board: 'b', authorization, remoteAddress: '127.0.0.1' });
  /** Resolves to what closes it. */
  const open = async (authorization: string): Promise<() => void> => {
    const listeners: (() => void)[] = [];
    const close = (): void => {
      for (const listener of listeners.splice(0)) listener();
    };
    const admission = await admit(authorization);
    admission.open({
      onMessage: () => undefined,
      onWritable: () => undefined,
      // Looked after meanwhile, where the machine is slow.
      stalledMs: () => 0,
      onClose: (listener: () => void) => void listeners.push(listener),
      answer: ({ wire }: PreparedFrame) => {
        const frame = JSON.parse(wire.toString('utf8', wire.indexOf('{')));
        if (frame.type === 'drain') state.drains.push(frame.reconnect_after_ms);
      },
      close: (code: number) => {
        state.closings.push(code);
        close();
      },
    } as unknown as Connection);
    // Or it is still looked after while other files are run.
    closes.push(close);
    return close;
  };
  const openMany = (authorization: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => open(authorization)));
  return { sessions, state, admit, open, openMany };
}

const REFUSED = { code: 'rate_limited', status: 429, headers: { 'Retry-After': '5' } };

describe('places for sockets', () => {
  test('are a thousand for a key, also when they come all at once, and a place that is left is free again', async () => {
    const { sessions, open, openMany } = setup();
    const [close] = await openMany('one', 1000);
    await expect(open('one')).rejects.toMatchObject(REFUSED);
    await open('two');
    close?.();
    await open('one');
    expect(sessions.count).toBe(1001);
    const all = await Promise.allSettled(Array.from({ length: 1100 }, () => open('three')));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1000);
  });

  test('are twenty for a claim token', async () => {
    const { open, openMany } = setup();
    await openMany('token a', 20);
    await expect(open('token a')).rejects.toMatchObject(REFUSED);
    await open('token b');
  });

  test('are ten thousand in all', async () => {
    const { open, openMany } = setup();
    for (let key = 0; key < 10; key += 1) await openMany(`key ${key}`, 1000);
    await expect(open('another')).rejects.toMatchObject(REFUSED);
  });

  test('are given back by a socket whose handshake came to nothing', async () => {
    const { sessions, admit, openMany } = setup();
    const admission = await admit('one');
    expect(sessions.count).toBe(1);
    admission.withdraw();
    expect(sessions.count).toBe(0);
    await openMany('one', 1000);
  });
});

test('a drain sends every client away with 1012, each to come back at a time of its own within two seconds', async () => {
  const { sessions, state, open, openMany } = setup();
  await openMany('one', 50);
  sessions.drain();
  expect(state.closings).toEqual(Array.from({ length: 50 }, () => 1012));
  expect(Math.min(...state.drains)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...state.drains)).toBeLessThanOrEqual(2000);
  expect(new Set(state.drains).size).toBeGreaterThan(10);
  await expect(open('one')).rejects.toMatchObject({ code: 'draining', status: 503 });
});

test('a socket that was being admitted when the drain began is refused, or sent away as soon as it opens', async () => {
  const { sessions, state, admit, open } = setup();
  let answer = (): void => undefined;
  state.gate = new Promise((resolve) => {
    answer = resolve;
  });
  const waiting = admit('one');
  state.gate = Promise.resolve();
  const admitted = admit('two');
  const { open: openTwo } = await admitted;
  sessions.drain();
  answer();
  await expect(waiting).rejects.toMatchObject({ code: 'draining', status: 503 });
  await expect(open('three')).rejects.toMatchObject({ code: 'draining' });
  const listeners: (() => void)[] = [];
  openTwo({
    onMessage: () => undefined,
    onWritable: () => undefined,
    stalledMs: () => 0,
    onClose: (listener: () => void) => void listeners.push(listener),
    answer: () => undefined,
    close: (code: number) => {
      state.closings.push(code);
      for (const listener of listeners.splice(0)) listener();
    },
  } as unknown as Connection);
  expect(state.closings).toEqual([1012]);
});

test('a credential is looked at once for all of its sockets, and all of them in one look', async () => {
  const { sessions, state, openMany } = setup();
  await openMany('one', 100);
  await openMany('two', 100);
  await sessions.closeRevoked();
  expect(state.verified).toEqual(['one', 'two']);
  expect(state.refreshed).toEqual([['one', 'two']]);
});
