/** Forged and worn-out claim tokens, wherever a credential is taken: over HTTP, in a batch, at the upgrade and in frames. */
import { createHmac, generateKeyPairSync } from 'node:crypto';
import * as jose from 'jose';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase } from '../../src/server/db/client.ts';
import { ClaimTokens, SecretBox, SigningKeys } from '../../src/server/features/auth/service.ts';
import { present } from '../../src/server/kernel/assert.ts';
import { type HeldClaim, useBench } from '../fixtures/bench.ts';
import { checkedClient } from '../fixtures/checked-client.ts';
import { useTestDatabase } from '../fixtures/database.ts';
import { PushWorker } from '../fixtures/push-worker.ts';
import { startTestServer, type TestServer, useTestServer } from '../fixtures/server.ts';
import { connectSocket, refusedSocket } from '../fixtures/watch-socket.ts';

// Counted, not replaced: how often a signature is really checked.
const jwtVerify = vi.hoisted(() => vi.fn());
vi.mock(import('jose'), async (importOriginal) => {
  const original = await importOriginal();
  jwtVerify.mockImplementation(original.jwtVerify);
  return { ...original, jwtVerify } as typeof original;
});

const bench = useBench();
let claim: HeldClaim;
let other: HeldClaim;
let header: jose.ProtectedHeaderParameters;
let payload: jose.JWTPayload;
let privateKey: jose.CryptoKey;
let publicJwk: jose.JWK;
interface Door {
  readonly server: TestServer;
  /** An admin's socket: what a frame may do is decided by its token. */
  readonly worker: PushWorker;
}
/** An address has 300 failures a minute and server: forgeries are spread over several. */
const doors: Door[] = [];
const DOORS = 4;
let stranger: { privateKey: jose.CryptoKey; jwk: jose.JWK };

beforeAll(async () => {
  await bench.makeLane('default', 'tokens', { lease_seconds: 3600 });
  for (const title of ['one', 'two']) await bench.makeTask('default', { title, lane: 'tokens' });
  claim = await bench.claim('default', 'tokens');
  other = await bench.claim('default', 'tokens');
  header = jose.decodeProtectedHeader(claim.token);
  payload = jose.decodeJwt(claim.token);
  const [row] = await bench.database.sql`SELECT private_jwk, public_jwk FROM signing_keys`;
  publicJwk = row?.['public_jwk'];
  privateKey = (await jose.importJWK(JSON.parse(row?.['private_jwk']), 'EdDSA')) as jose.CryptoKey;
  const pair = await jose.generateKeyPair('EdDSA', { extractable: true });
  stranger = { privateKey: pair.privateKey, jwk: await jose.exportJWK(pair.publicKey) };
  for (let n = 0; n < DOORS; n += 1) {
    const server = await startTestServer(bench.database.url);
    doors.push({ server, worker: new PushWorker(await connectSocket(server, 'default'), 'tokens') });
  }
  return async () => {
    for (const { server, worker } of doors) {
      worker.socket.close();
      await server.stop();
    }
  };
});

/** Signed with the server's own key: only what is changed can make it bad. */
function sign(
  changes: Record<string, unknown>,
  headerChanges: Record<string, unknown> = {},
  key: jose.CryptoKey = privateKey,
): Promise<string> {
  return new jose.SignJWT({ ...payload, ...changes })
    .setProtectedHeader({ ...header, alg: 'EdDSA', ...headerChanges })
    .sign(key);
}

/** Signed over the very text, whatever it is: for what no library would write. */
async function signText(headerText: string, payloadText: string, key = privateKey): Promise<string> {
  const text = [headerText, payloadText].map((part) => Buffer.from(part).toString('base64url')).join('.');
  const signature = await crypto.subtle.sign('Ed25519', key, Buffer.from(text));
  return `${text}.${Buffer.from(signature).toString('base64url')}`;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const parts = (): [string, string, string] => claim.token.split('.') as [string, string, string];
const withHeader = (changes: object): string =>
  `${encode({ ...header, ...changes })}.${parts()[1]}.${parts()[2]}`;
const withPayload = (changes: object): string =>
  `${parts()[0]}.${encode({ ...payload, ...changes })}.${parts()[2]}`;
const hmac = (alg: 'sha256' | 'sha384' | 'sha512', secret: string | Buffer): string => {
  const text = `${encode({ ...header, alg: alg.replace('sha', 'HS') })}.${encode(payload)}`;
  return `${text}.${createHmac(alg, secret).update(text).digest('base64url')}`;
};

/** As many characters as a token may have in a body. */
const TOKEN_CHARACTERS_MAX = 8192;
const PROBLEM_MEMBERS = ['code', 'detail', 'instance', 'status', 'title', 'type'];
let turn = 0;

/** The same refusal wherever a credential is taken, and nothing changes. */
async function expectRefused(token: string, code = 'unauthenticated'): Promise<void> {
  turn += 1;
  const { server, worker } = present(doors[turn % doors.length], 'a door');
  const api = checkedClient(server.url, token);
  const before = await bench.footprint();
  const run = `/v1/runs/${claim.run_id}`;
  const asked = [
    await api.post(`${run}/heartbeat`, {}),
    await api.post(`${run}/complete`, {}),
    await api.get('/v1/whoami'),
  ];
  for (const answer of asked) {
    expect([answer.status, answer.code]).toEqual([401, code]);
    expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer /);
    const more = code === 'token_expired' ? ['run_id', 'task_id'] : [];
    expect(Object.keys(answer.body).toSorted()).toEqual([...PROBLEM_MEMBERS, ...more].toSorted());
  }
  const upgrade = await refusedSocket(server, 'default', { token });
  expect(upgrade).toEqual({ status: 401, code, contentType: 'application/problem+json' });
  if (token.length <= TOKEN_CHARACTERS_MAX) {
    const operations = [{ op: 'complete', token }];
    const { body } = await checkedClient(server.url).post('/v1/runs/batch', { operations });
    expect(body.results).toMatchObject([{ ok: false, problem: { code, status: 401 } }]);
    const reply = await worker.verb('complete', claim, { token });
    expect(reply).toMatchObject({ ok: false, problem: { code, status: 401 } });
  }
  expect(await bench.footprint()).toEqual(before);
}

describe('a claim token', () => {
  test('carries what the contract says', () => {
    expect(header).toEqual({ alg: 'EdDSA', typ: 'claim+jwt', kid: expect.any(String) });
    expect(payload).toEqual({
      iss: 'lanekeeper',
      aud: 'lanekeeper',
      sub: 'lane:default/tokens',
      jti: claim.run_id,
      iat: expect.any(Number),
      nbf: (payload.iat ?? 0) - 30, // For clocks a little behind.
      exp: (payload.iat ?? 0) + 86_400 + 60,
      board: 'default',
      lane: 'tokens',
      task: claim.task.id,
      attempt: 1,
      worker: claim.worker,
      scope: expect.stringContaining('run:end'),
    });
  });

  test('is verified by a third party who knows only the JWKS', async () => {
    const keys = jose.createRemoteJWKSet(new URL('/.well-known/jwks.json', bench.server.url));
    const verified = await jose.jwtVerify(claim.token, keys, {
      audience: 'lanekeeper',
      issuer: 'lanekeeper',
      typ: 'claim+jwt',
      algorithms: ['EdDSA'],
    });
    expect(verified.payload.jti).toBe(claim.run_id);
  });

  test('opens its own run, however it is spelt, as the control of every forgery below', async () => {
    const texts = [
      await sign({ scope: `${payload['scope']} extra` }),
      await signText(JSON.stringify(header), JSON.stringify(payload)),
    ];
    for (const copy of texts) {
      const answer = await bench.as(copy).post(`/v1/runs/${claim.run_id}/heartbeat`, {});
      expect(answer.status).toBe(200);
      const reply = await present(doors[0], 'a door').worker.verb('heartbeat', claim, { token: copy });
      expect(reply.ok).toBe(true);
    }
  });

  test('is checked at most once by each server, and not at all by the one that signed it', async () => {
    jwtVerify.mockClear();
    const beat = `/v1/runs/${claim.run_id}/heartbeat`;
    for (let n = 0; n < 5; n += 1) expect((await bench.as(claim.token).post(beat, {})).status).toBe(200);
    expect(jwtVerify).toHaveBeenCalledTimes(0);
    const second = await useTestServer(bench.database.url);
    for (let n = 0; n < 5; n += 1)
      expect((await second.call('POST', beat, { token: claim.token, body: {} })).status).toBe(200);
    expect(jwtVerify).toHaveBeenCalledTimes(1);
  });

  test('is taken from the Authorization header only, never from the address, a cookie or another header', async () => {
    const { token } = claim;
    const headers = [
      { Cookie: `token=${token}; access_token=${token}` },
      { 'X-Api-Key': token },
      { 'X-Authorization': `Bearer ${token}` },
      { 'Proxy-Authorization': `Bearer ${token}` },
      { Authorization: token },
      { Authorization: `Token ${token}` },
      { Authorization: `Bearer ${token} ${token}` },
    ];
    for (const given of headers) {
      const answer = await bench.api.get('/v1/whoami', { token: null, headers: given });
      expect([Object.keys(given), answer.status, answer.code]).toEqual([
        Object.keys(given),
        401,
        'unauthenticated',
      ]);
    }
    const query = `access_token=${token}&token=${token}&authorization=Bearer%20${token}`;
    expect((await bench.api.get(`/v1/whoami?${query}`, { token: null })).status).toBe(401);
    const refused = await refusedSocket(bench.server, `default/watch?${query}&end=`, { token: null });
    expect([refused.status, refused.code]).toEqual([401, 'unauthenticated']);
  });
});

type Forgery = () => Promise<string> | string;

const elsewhere = { jku: 'http://127.0.0.1:9/jwks.json', x5u: 'http://127.0.0.1:9/x5u' };

const forgeries: Readonly<Record<string, Readonly<Record<string, Forgery>>>> = {
  'without a signature': {
    ...Object.fromEntries(
      ['none', 'None', 'NONE', 'nOnE', ''].flatMap((alg) => [
        [`alg "${alg}" and nothing`, () => `${encode({ ...header, alg })}.${encode(payload)}.`],
        [`alg "${alg}" and the old signature`, () => withHeader({ alg })],
      ]),
    ),
    'alg EdDSA and nothing': () => `${parts()[0]}.${parts()[1]}.`,
    'no alg': () => withHeader({ alg: undefined }),
    'alg twice': async () =>
      signText(JSON.stringify(header).replace(/\}$/, ',"alg":"none"}'), JSON.stringify(payload)),
    'alg as a list': () => withHeader({ alg: ['EdDSA', 'none'] }),
  },
  'by another algorithm': {
    'HS256 with the public key as JWK': () => hmac('sha256', JSON.stringify(publicJwk)),
    'HS256 with x': () => hmac('sha256', publicJwk.x ?? ''),
    'HS256 with the bytes of x': () => hmac('sha256', Buffer.from(publicJwk.x ?? '', 'base64url')),
    'HS256 with nothing': () => hmac('sha256', ''),
    'HS384 with x': () => hmac('sha384', publicJwk.x ?? ''),
    'HS512 with x': () => hmac('sha512', publicJwk.x ?? ''),
    'HS256 with the public key as PEM': async () => {
      const key = (await jose.importJWK(publicJwk, 'EdDSA', { extractable: true })) as jose.CryptoKey;
      return hmac('sha256', await jose.exportSPKI(key));
    },
    'an RSA key under our kid': () =>
      new jose.SignJWT(payload)
        .setProtectedHeader({ ...header, alg: 'RS256' })
        .sign(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    'an EC key under our kid': () =>
      new jose.SignJWT(payload)
        .setProtectedHeader({ ...header, alg: 'ES256' })
        .sign(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    'our signature, called RS256': () => withHeader({ alg: 'RS256' }),
    'our signature, called ES256': () => withHeader({ alg: 'ES256' }),
  },
  'of another kind, or for somebody else': {
    ...Object.fromEntries(
      ['JWT', 'at+jwt', 'claim', undefined].map((typ) => [`typ ${typ}`, () => sign({}, { typ })]),
    ),
    ...Object.fromEntries(
      ['somebody', '', undefined, [], ['somebody'], { lanekeeper: true }, 7].map((aud) => [
        `aud ${JSON.stringify(aud)}`,
        () => sign({ aud }),
      ]),
    ),
    ...Object.fromEntries(
      ['somebody', '', undefined, ['lanekeeper']].map((iss) => [
        `iss ${JSON.stringify(iss)}`,
        () => sign({ iss }),
      ]),
    ),
  },
  'under another name of the key': Object.fromEntries(
    [
      'other',
      undefined,
      '',
      null,
      7,
      {},
      [],
      '__proto__',
      'constructor',
      "' OR 1=1 --",
      "x' UNION SELECT private_jwk FROM signing_keys --",
      '../../../../dev/null',
      '/dev/null',
      'http://127.0.0.1:9/key',
      '\0',
      'k'.repeat(4000),
    ].map((kid) => [
      `kid ${JSON.stringify(kid)?.slice(0, 60)}`,
      () => signText(JSON.stringify({ ...header, kid }), JSON.stringify(payload)),
    ]),
  ),
  'with a key of its own': {
    'in jwk, under our kid': () => sign({}, { jwk: stranger.jwk }, stranger.privateKey),
    'in jwk, jku and x5u, without a kid': () =>
      sign({}, { jwk: stranger.jwk, kid: undefined, ...elsewhere }, stranger.privateKey),
    'in jku and x5u, under a kid of its own': () => sign({}, { ...elsewhere, kid: 'x' }, stranger.privateKey),
    'in x5c': () => sign({}, { x5c: [Buffer.from('certificate').toString('base64')] }, stranger.privateKey),
    'in nothing, under our kid': () => sign({}, {}, stranger.privateKey),
    'of a key set that is gone': async () =>
      sign({}, { kid: await jose.calculateJwkThumbprint(stranger.jwk) }, stranger.privateKey),
  },
  'changed under the old signature': {
    ...Object.fromEntries(
      Object.entries({
        jti: 'run_01jcqk0v3te8sr3x6y9m2b4n5p',
        task: 'task_01jcqk0v3te8sr3x6y9m2b4n5p',
        board: 'other',
        lane: 'other',
        worker: 'other',
        attempt: 2,
        exp: 4_000_000_000,
        scope: 'admin',
      }).map(([name, value]) => [name, () => withPayload({ [name]: value })]),
    ),
    'a member twice': () => {
      const twice = JSON.stringify(payload).replace(/\}$/, ',"attempt":2}');
      return `${parts()[0]}.${Buffer.from(twice).toString('base64url')}.${parts()[2]}`;
    },
    'the payload of another run': () => `${parts()[0]}.${other.token.split('.')[1]}.${parts()[2]}`,
    'the signature of another run': () => `${parts()[0]}.${parts()[1]}.${other.token.split('.')[2]}`,
    'the first bit of the signature': () => {
      const bytes = Buffer.from(parts()[2], 'base64url');
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      return `${parts()[0]}.${parts()[1]}.${bytes.toString('base64url')}`;
    },
    'the last bit of the signature': () => {
      const bytes = Buffer.from(parts()[2], 'base64url');
      bytes[63] = (bytes[63] ?? 0) ^ 1;
      return `${parts()[0]}.${parts()[1]}.${bytes.toString('base64url')}`;
    },
    'one character more': () => `${claim.token}A`,
    'four characters less': () => claim.token.slice(0, -4),
    'half of it': () => claim.token.slice(0, claim.token.length / 2),
    'no signature segment': () => `${parts()[0]}.${parts()[1]}`,
    'a segment more': () => `${claim.token}.${parts()[2]}`,
    'two segments more': () => `${claim.token}..`,
    'nothing but dots': () => 'eyJ..',
    'JSON instead of base64': () =>
      `eyJ${JSON.stringify(header)}.${JSON.stringify(payload)}.x`.replaceAll(' ', ''),
    'ten thousand characters': () =>
      `${parts()[0]}.${encode({ ...payload, x: 'x'.repeat(9000) })}.${parts()[2]}`,
  },
  'with a header that asks for more': {
    'b64 false': () =>
      signText(JSON.stringify({ ...header, b64: false, crit: ['b64'] }), JSON.stringify(payload)),
    'an extension that must be understood': () =>
      signText(JSON.stringify({ ...header, crit: ['exp'], exp: 1 }), JSON.stringify(payload)),
    'an empty crit': () => signText(JSON.stringify({ ...header, crit: [] }), JSON.stringify(payload)),
    'no JSON': () => signText('header', JSON.stringify(payload)),
    'a list': () => signText(JSON.stringify([header]), JSON.stringify(payload)),
  },
  'with times that cannot be': {
    'nbf in ten minutes': () => sign({ nbf: nowSeconds() + 600 }),
    'iat in ten minutes': () => sign({ iat: nowSeconds() + 600 }),
    'iat beyond all time': () => sign({ iat: 1e300 }),
    'iat in words': () => signText(JSON.stringify(header), JSON.stringify({ ...payload, iat: 'now' })),
    'exp in words': () => signText(JSON.stringify(header), JSON.stringify({ ...payload, exp: 'never' })),
    'exp null': () => signText(JSON.stringify(header), JSON.stringify({ ...payload, exp: null })),
    'nbf as a list': () => signText(JSON.stringify(header), JSON.stringify({ ...payload, nbf: [0] })),
  },
  'without what it must have': {
    ...Object.fromEntries(
      ['exp', 'nbf', 'iat', 'jti', 'task', 'board', 'attempt', 'lane', 'worker', 'scope'].map((name) => [
        `no ${name}`,
        () => sign({ [name]: undefined }),
      ]),
    ),
    'attempt in words': () => sign({ attempt: '1' }),
    'task as a number': () => sign({ task: 7 }),
    'a payload that is a list': () => signText(JSON.stringify(header), JSON.stringify([payload])),
    'a payload that is no JSON': () => signText(JSON.stringify(header), 'payload'),
  },
};

describe('a forged claim token is refused everywhere, and changes nothing', () => {
  describe.each(Object.keys(forgeries))('%s', (kind) => {
    test.each(Object.entries(forgeries[kind] ?? {}))('%s', async (_, forge) => {
      await expectRefused(await forge());
    });
  });

  test('of another installation, whose server has signed it', async () => {
    const database = await useTestDatabase();
    const elsewhereServer = await useTestServer(database.url);
    const api = checkedClient(elsewhereServer.url);
    await api.put('/v1/boards/default/lanes/tokens');
    await api.post('/v1/boards/default/tasks', { title: 'x', lane: 'tokens' });
    const [theirs] = (await api.post('/v1/boards/default/lanes/tokens/claims', {})).body.claims;
    await expectRefused(theirs.token);
    const refused = await api.post(`/v1/runs/${theirs.run_id}/heartbeat`, {}, { token: claim.token });
    expect([refused.status, refused.code]).toEqual([401, 'unauthenticated']);
  });
});

describe('an expired claim token', () => {
  test('is told so, with its task', async () => {
    await expectRefused(await sign({ exp: nowSeconds() - 60 }), 'token_expired');
    const answer = await bench.as(await sign({ exp: nowSeconds() - 60 })).get('/v1/whoami');
    expect(answer.body.task_id).toBe(claim.task.id);
  });

  test('is one that is older than any claim may get, whatever it says of its end', async () => {
    await expectRefused(
      await sign({ iat: nowSeconds() - 90_000, exp: nowSeconds() + 3600 }),
      'token_expired',
    );
    await expectRefused(await sign({ iat: -1, exp: nowSeconds() + 3600 }), 'token_expired');
  });

  test('is told nothing when it is also forged', async () => {
    await expectRefused(await sign({ exp: nowSeconds() - 60 }, {}, stranger.privateKey));
  });
});

describe('a good token', () => {
  test('acts on no run but its own, over HTTP or a socket', async () => {
    const before = await bench.footprint();
    for (const [verb, body] of [
      ['heartbeat', {}],
      ['complete', {}],
      ['block', { reason: 'x' }],
      ['release', {}],
      ['fail', { error: 'x' }],
      ['output', { lines: ['x'] }],
    ] as const) {
      const answer = await bench.as(other.token).post(`/v1/runs/${claim.run_id}/${verb}`, body);
      expect([verb, answer.status, answer.code]).toEqual([verb, 403, 'not_your_claim']);
      const reply = await present(doors[0], 'a door').worker.verb(verb, claim, {
        token: other.token,
        ...body,
      });
      expect([verb, reply.ok, reply['problem'].code]).toEqual([verb, false, 'not_your_claim']);
    }
    expect(await bench.footprint()).toEqual(before);
  });

  test('ends with the key that signed it, also where it was good a moment ago', async () => {
    const database = await useTestDatabase();
    const { cold, close } = openDatabase({ url: database.url });
    onTestFinished(close);
    const clock = { now: () => Date.now() };
    const keys = new SigningKeys(cold, new SecretBox(null), clock);
    await keys.maintain();
    const tokens = new ClaimTokens(keys, clock);
    const token = tokens.sign({
      runId: claim.run_id,
      taskId: claim.task.id,
      board: 'default',
      lane: 'tokens',
      worker: 'w',
      attempt: 1,
      maxRuntimeSeconds: null,
    });
    expect((await tokens.verify(token)).runId).toBe(claim.run_id);
    await database.sql`DELETE FROM signing_keys`;
    await keys.maintain();
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
