/** A client whose token is yet to come: of a server that is away and makes its key when it starts. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { LATE_TOKEN, type LateToken } from '../../src/client/credential.ts';
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

const client = (lateToken: LateToken, token?: string) =>
  connect({ url: server.url, token, lateToken, timing: instantTiming(), signal: stop.signal });
const tokensOf = (requests: readonly { readonly headers: SeenRequest['headers'] }[]) =>
  requests.map(({ headers }) => headers.authorization ?? null);
/** Says no so often, and then the token. */
const lateBy = (asks: number, token: string): LateToken => {
  let asked = 0;
  return () => {
    asked += 1;
    return Promise.resolve(asked > asks ? token : undefined);
  };
};
const letIn = (token: string) => {
  server.respond = ({ headers }) =>
    headers.authorization === `Bearer ${token}`
      ? { status: 200, json: { principal: { type: 'key' } } }
      : problem(401, 'unauthenticated');
};

describe('a token that comes late', () => {
  test('is asked for with every attempt, and stays once it is there', async () => {
    let answers = [problem(503, 'draining'), problem(503, 'draining')];
    server.respond = () => {
      const [answer, ...rest] = answers;
      answers = rest;
      return answer ?? { status: 200, json: {} };
    };
    let asked = 0;
    const calls = client(() => {
      asked += 1;
      return Promise.resolve(asked === 1 ? undefined : `lk_${asked}`);
    });
    await calls.whoami();
    await calls.whoami();
    expect(tokensOf(server.requests)).toEqual([null, 'Bearer lk_2', 'Bearer lk_2', 'Bearer lk_2']);
  });

  test('is waited for a moment when the server is there before it, also by a call that creates', async () => {
    letIn('lk_late');
    await client(lateBy(LATE_TOKEN.asksMax, 'lk_late')).tasks.create(
      { title: 'once' },
      { idempotencyKey: null },
    );
    expect(tokensOf(server.requests)).toEqual([null, 'Bearer lk_late']);
  });

  test('and does not come, or is refused as well, is an error', async () => {
    letIn('lk_other');
    const nobody = client(lateBy(Number.POSITIVE_INFINITY, 'lk_late'));
    await expect(nobody.whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(tokensOf(server.requests)).toEqual([null]);
    await expect(client(lateBy(0, 'lk_late')).whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(client(lateBy(1, 'lk_late')).whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(tokensOf(server.requests)).toEqual([null, 'Bearer lk_late', null, 'Bearer lk_late']);
  });

  test('is not asked for where one was given, by the client or the call, refused or not', async () => {
    letIn('lk_given');
    const never: LateToken = () => {
      throw new Error('asked');
    };
    await client(never, 'lk_given').whoami();
    await client(never).whoami({ token: 'lk_given' });
    await expect(client(never, 'lk_wrong').whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(client(never).whoami({ token: 'lk_wrong' })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  test('is that of sockets, too, whose first one may have been refused without it: that is told nobody', async () => {
    letIn('lk_late');
    server.refuseUpgradesWith = 401;
    const failures: Error[] = [];
    const states: string[] = [];
    let isLive = (): void => undefined;
    const live = new Promise<void>((resolve) => {
      isLive = resolve;
    });
    server.accept = (socket) =>
      socket.on('message', () =>
        socket.send(JSON.stringify({ type: 'watching', id: 'watch', cursor: 'c0' })),
      );
    const watch = client(lateBy(2, 'lk_late')).watch({
      limits: { backoffBaseMs: 1, backoffCapMs: 2 },
      onConnectFailure: (error) => failures.push(error),
      onState: (state) => {
        states.push(state);
        if (state === 'backing_off') server.refuseUpgradesWith = 0;
        if (state === 'live') isLive();
      },
    });
    const next = watch.next();
    next.catch(() => undefined);
    await live;
    expect(tokensOf(server.upgrades)).toEqual([null, 'Bearer lk_late']);
    expect([failures, states.filter((state) => state === 'probing')]).toEqual([[], ['probing']]);
  });
});

test('a token that cannot stand in a header is refused without being quoted', async () => {
  for (const token of ['lk_one\nlk_two', 'lk one', 'lk_ünf']) {
    const failure: unknown = await connect({ url: server.url, token })
      .whoami()
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TypeError);
    expect(String(failure)).not.toContain('lk');
  }
  expect(server.requests).toEqual([]);
});
