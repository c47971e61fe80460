import { createHmac, generateKeyPairSync } from 'node:crypto';
import * as jose from 'jose';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { type HeldClaim, useBench } from '../../../fixtures/bench.ts';
import { useTestServer } from '../../../fixtures/server.ts';

// Counted, not replaced: how often a signature is really checked.
const jwtVerify = vi.hoisted(() => vi.fn());
vi.mock(import('jose'), async (importOriginal) => {
  const original = await importOriginal();
  jwtVerify.mockImplementation(original.jwtVerify);
  return { ...original, jwtVerify } as typeof original;
});

const bench = useBench();
let claim: HeldClaim;
let header: jose.ProtectedHeaderParameters;
let payload: jose.JWTPayload;
let privateKey: jose.CryptoKey;
let publicJwk: jose.JWK;

beforeAll(async () => {
  await bench.makeLane('default', 'tokens', { lease_seconds: 3600 });
  await bench.makeTask('default', { lane: 'tokens' });
  claim = await bench.claim('default', 'tokens');
  header = jose.decodeProtectedHeader(claim.token);
  payload = jose.decodeJwt(claim.token);
  const [row] = await bench.database.sql`SELECT private_jwk, public_jwk FROM signing_keys`;
  publicJwk = row?.['public_jwk'];
  privateKey = (await jose.importJWK(JSON.parse(row?.['private_jwk']), 'EdDSA')) as jose.CryptoKey;
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

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

async function beatWith(token: string) {
  const before = await bench.footprint();
  const answer = await bench.as(token).post(`/v1/runs/${claim.run_id}/heartbeat`, {});
  expect(await bench.footprint()).toEqual(before);
  return answer;
}

async function expectRefused(token: string): Promise<void> {
  const answer = await beatWith(token);
  expect([answer.status, answer.code]).toEqual([401, 'unauthenticated']);
  expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer /);
  const end = await bench.as(token).post(`/v1/runs/${claim.run_id}/complete`, {});
  expect(end.status).toBe(401);
  const whoami = await bench.as(token).get('/v1/whoami');
  expect(whoami.status).toBe(401);
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
      nbf: payload.iat,
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

  test('opens its own run, as the control of every forgery below', async () => {
    const copy = await sign({ scope: `${payload['scope']} extra` });
    const answer = await bench.as(copy).post(`/v1/runs/${claim.run_id}/heartbeat`, {});
    expect(answer.status).toBe(200);
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
});

describe('a forged claim token is refused, and changes nothing', () => {
  test('alg none, with and without an empty signature', async () => {
    for (const alg of ['none', 'None', 'NONE']) {
      const unsigned = `${encode({ ...header, alg })}.${encode(payload)}`;
      await expectRefused(`${unsigned}.`);
      await expectRefused(`${unsigned}.${claim.token.split('.')[2]}`);
    }
  });

  test('HS256 with the public key as the secret', async () => {
    const secrets = [
      JSON.stringify(publicJwk),
      publicJwk.x ?? '',
      Buffer.from(publicJwk.x ?? '', 'base64url'),
    ];
    for (const secret of secrets) {
      const text = `${encode({ ...header, alg: 'HS256' })}.${encode(payload)}`;
      await expectRefused(`${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`);
    }
  });

  test('another typ, audience, issuer or kid', async () => {
    for (const typ of ['JWT', 'at+jwt', undefined]) await expectRefused(await sign({}, { typ }));
    for (const aud of ['somebody', undefined, []]) await expectRefused(await sign({ aud }));
    for (const iss of ['somebody', undefined, '']) await expectRefused(await sign({ iss }));
    for (const kid of ['other', undefined, '', '__proto__', "' OR 1=1"])
      await expectRefused(await sign({}, { kid }));
  });

  test('a key of its own in the header (jwk, jku, x5u) is not looked at', async () => {
    const own = await jose.generateKeyPair('EdDSA', { extractable: true });
    const jwk = await jose.exportJWK(own.publicKey);
    const elsewhere = { jku: 'http://127.0.0.1:9/jwks.json', x5u: 'http://127.0.0.1:9/x5u' };
    await expectRefused(await sign({}, { jwk }, own.privateKey));
    await expectRefused(await sign({}, { jwk, kid: undefined, ...elsewhere }, own.privateKey));
    await expectRefused(await sign({}, { ...elsewhere, kid: 'x' }, own.privateKey));
    await expectRefused(await sign({}, {}, own.privateKey));
  });

  test('another kind of key under our kid', async () => {
    const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const token = await new jose.SignJWT(payload).setProtectedHeader({ ...header, alg: 'RS256' }).sign(rsa);
    await expectRefused(token);
  });

  test('a changed payload under the old signature', async () => {
    const [head, , signature] = claim.token.split('.');
    await expectRefused(`${head}.${encode({ ...payload, attempt: 2 })}.${signature}`);
    await expectRefused(
      `${head}.${encode({ ...payload, jti: 'run_01jcqk0v3te8sr3x6y9m2b4n5p' })}.${signature}`,
    );
    await expectRefused(`${claim.token}A`);
    await expectRefused(claim.token.slice(0, -4));
  });

  test('valid only in the future', async () => {
    await expectRefused(await sign({ nbf: nowSeconds() + 600 }));
  });

  test('without exp, nbf, iat or jti, or with members of the wrong kind', async () => {
    for (const claimName of ['exp', 'nbf', 'iat', 'jti', 'task', 'board', 'attempt'])
      await expectRefused(await sign({ [claimName]: undefined }));
    await expectRefused(await sign({ attempt: '1' }));
    await expectRefused(await sign({ task: 7 }));
  });

  test('of a key set that is gone', async () => {
    const gone = await jose.generateKeyPair('EdDSA', { extractable: true });
    const kid = await jose.calculateJwkThumbprint(await jose.exportJWK(gone.publicKey));
    await expectRefused(await sign({}, { kid }, gone.privateKey));
  });
});

describe('an expired claim token', () => {
  test('is told so, with its task', async () => {
    const answer = await beatWith(await sign({ exp: nowSeconds() - 60 }));
    expect([answer.status, answer.code]).toEqual([401, 'token_expired']);
    expect(answer.body.task_id).toBe(claim.task.id);
    expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer /);
  });

  test('is told nothing when it is also forged', async () => {
    const own = await jose.generateKeyPair('EdDSA');
    await expectRefused(await sign({ exp: nowSeconds() - 60 }, {}, own.privateKey));
  });
});
