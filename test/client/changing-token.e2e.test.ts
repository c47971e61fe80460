/** A client whose key is asked for: it may change while the program runs, or is yet to come. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { connect } from '../../src/client/client.ts';
import type { TokenSource } from '../../src/client/credential.ts';
import { instantTiming, problem, ScriptedServer, type SeenRequest } from './fixtures/scripted-server.ts';

let server: ScriptedServer;
let stop: AbortController;
beforeEach(async () => {
  server = await ScriptedServer.start();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await server.stop();
});

const client = (token: TokenSource) =>
  connect({ url: server.url, token, timing: instantTiming(), signal: stop.signal });
/** Another one each time: lk_1, lk_2 and so on. */
const numbered = (): TokenSource => {
  let asked = 0;
  return () => {
    asked += 1;
    return `lk_${asked}`;
  };
};
const keysOf = (requests: readonly { readonly headers: SeenRequest['headers'] }[]) =>
  requests.map(({ headers }) => headers.authorization ?? null);
const letIn = (key: string) => {
  server.respond = ({ headers }) =>
    headers.authorization === `Bearer ${key}`
      ? { status: 200, json: { principal: { type: 'key' } } }
      : problem(401, 'unauthenticated');
};

describe('a key that is asked for', () => {
  test('is that of the moment with every attempt', async () => {
    server.respond = () =>
      server.requests.length < 3 ? problem(503, 'database_unavailable') : { status: 200, json: {} };
    await client(numbered()).whoami();
    expect(keysOf(server.requests)).toEqual(['Bearer lk_1', 'Bearer lk_2', 'Bearer lk_3']);
  });

  test('is asked for once more when it is refused, and the call made again, also one that creates', async () => {
    letIn('lk_new');
    const answers = ['lk_old', 'lk_new'];
    await client(() => Promise.resolve(answers.shift())).tasks.create(
      { title: 'once' },
      { idempotencyKey: null },
    );
    expect(keysOf(server.requests)).toEqual(['Bearer lk_old', 'Bearer lk_new']);
  });

  test('may come late: without one the call goes out without', async () => {
    letIn('lk_late');
    let key: string | undefined;
    const calls = client(() => key);
    const early = calls.whoami();
    await expect(early).rejects.toMatchObject({ code: 'unauthenticated' });
    key = 'lk_late';
    await calls.whoami();
    expect(keysOf(server.requests)).toEqual([null, 'Bearer lk_late']);
  });

  test('that is still the same, or refused as well, is an error: nobody asks for ever', async () => {
    letIn('lk_other');
    await expect(client(() => 'lk_old').whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(server.requests).toHaveLength(1);
    const changing = client(numbered());
    await expect(changing.whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(keysOf(server.requests).slice(1)).toEqual(['Bearer lk_1', 'Bearer lk_2']);
  });

  test('does not stand for a call that brings its own', async () => {
    letIn('lk_of_the_call');
    const asked = (): never => {
      throw new Error('asked');
    };
    await client(asked).whoami({ token: 'lk_of_the_call' });
    expect(keysOf(server.requests)).toEqual(['Bearer lk_of_the_call']);
    await expect(client(asked).whoami()).rejects.toThrow('asked');
  });

  test('that never comes is waited for as long as an answer, or until the caller leaves', async () => {
    const never: TokenSource = () => new Promise(() => undefined);
    const leaving = new AbortController();
    const call = client(never).whoami({ signal: leaving.signal });
    leaving.abort(new Error('left'));
    await expect(call).rejects.toThrow('left');
    await expect(client(never).whoami({ timeoutMs: 1 })).rejects.toThrow('no key within 0.001 s');
    expect(server.requests).toEqual([]);
  });

  test('lets a watch whose key was revoked come back under the next, and ends it when there is none', async () => {
    const sockets: WebSocket[] = [];
    server.accept = (socket) => {
      sockets.push(socket);
      socket.on('message', () => {
        if (sockets.length === 1) socket.close(4401);
        else socket.send(JSON.stringify({ type: 'watching', id: 'watch', cursor: 'c0' }));
      });
    };
    let key = 'lk_old';
    const states: string[] = [];
    let isLive = (): void => undefined;
    const live = new Promise<void>((resolve) => {
      isLive = resolve;
    });
    const watch = connect({ url: server.url, token: () => key, signal: stop.signal }).watch({
      limits: { backoffBaseMs: 1, backoffCapMs: 2 },
      onState: (state) => {
        states.push(state);
        if (state === 'backing_off') key = 'lk_new';
        if (state === 'live') isLive();
      },
    });
    const next = watch.next();
    next.catch(() => undefined);
    await live;
    expect(keysOf(server.upgrades)).toEqual(['Bearer lk_old', 'Bearer lk_new']);
    letIn('lk_nobody');
    server.refuseUpgradesWith = 401;
    sockets.at(-1)?.close(4401);
    await expect(next).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(states.at(-1)).toBe('ended');
  });
});
