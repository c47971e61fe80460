import * as jose from 'jose';
import { describe, expect, test } from 'vitest';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { startTestServer, useTestServer } from '../../../fixtures/server.ts';

const kidsOf = (body: { keys: { kid: string }[] }): string[] => body.keys.map(({ kid }) => kid);

describe('rotating the signing key', () => {
  test('publishes the new one at once, signs with it later, and keeps old tokens good', async () => {
    const database = await useTestDatabase();
    const server = await useTestServer(database.url);
    const api = checkedClient(server.url);
    await api.put('/v1/boards/default/lanes/a');
    const claimOne = async () => {
      await api.post('/v1/boards/default/tasks', { title: 'x', lane: 'a' });
      return (await api.post('/v1/boards/default/lanes/a/claims', {})).body.claims[0];
    };
    const before = await claimOne();
    const rotated = await api.post('/v1/signing-keys/rotate');
    const { kid, signs_at } = rotated.body.signing_key;
    expect(Date.parse(signs_at) - Date.now()).toBeGreaterThan(200_000);
    const jwks = await api.get('/.well-known/jwks.json');
    expect(kidsOf(jwks.body)).toHaveLength(2);
    expect(kidsOf(jwks.body)).toContain(kid);
    expect(jwks.headers.get('Cache-Control')).toBe('public, max-age=300');
    for (const key of jwks.body.keys)
      expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);

    const between = await claimOne();
    expect(jose.decodeProtectedHeader(between.token).kid).not.toBe(kid);
    await database.sql`UPDATE signing_keys SET signs_from = clock_timestamp() WHERE kid = ${kid}`;
    // A server that starts now finds the new key in charge.
    const later = await useTestServer(database.url);
    const laterApi = checkedClient(later.url);
    await laterApi.post('/v1/boards/default/tasks', { title: 'x', lane: 'a' });
    const [after] = (await laterApi.post('/v1/boards/default/lanes/a/claims', {})).body.claims;
    expect(jose.decodeProtectedHeader(after.token).kid).toBe(kid);
    for (const claim of [before, between, after])
      for (const client of [api, laterApi]) {
        const beat = await client.post(`/v1/runs/${claim.run_id}/heartbeat`, {}, { token: claim.token });
        expect(beat.status).toBe(200);
      }
  });

  test('asked for again before it signs is the same key, so that nobody can fill the key set', async () => {
    const database = await useTestDatabase();
    const api = checkedClient((await useTestServer(database.url)).url);
    const kids = new Set<string>();
    for (let n = 0; n < 12; n += 1) {
      const rotated = await api.post('/v1/signing-keys/rotate');
      expect(rotated.status).toBe(200);
      kids.add(rotated.body.signing_key.kid);
    }
    expect(kids.size).toBe(1);
    expect(kidsOf((await api.get('/.well-known/jwks.json')).body)).toHaveLength(2);
  });

  test('takes an admin key for every board', async () => {
    const database = await useTestDatabase();
    const server = await useTestServer(database.url);
    const api = checkedClient(server.url);
    const made = await api.post('/v1/keys', { role: 'admin', name: 'one board', board: 'default' });
    const refused = await api.post('/v1/signing-keys/rotate', {}, { token: made.body.secret });
    expect(refused.code).toBe('forbidden');
  });
});

describe('LANEKEEPER_SECRET', () => {
  test('keeps private keys out of the database, and the wrong one stops the start with a clear word', async () => {
    const database = await useTestDatabase();
    const secret = 'a secret of the operator';
    await (await startTestServer(database.url, { secret })).stop();
    const [row] = await database.sql`SELECT private_jwk, public_jwk FROM signing_keys`;
    expect(row?.['private_jwk']).toMatch(/^enc:v1:/);
    expect(JSON.stringify(row)).not.toContain('"d"');

    await (await startTestServer(database.url, { secret })).stop();
    await expect(startTestServer(database.url, { secret: 'another' })).rejects.toThrow(
      'LANEKEEPER_SECRET is not the one',
    );
    await expect(startTestServer(database.url, { secret: null })).rejects.toThrow(
      'Start with the LANEKEEPER_SECRET',
    );
    expect(await database.sql`SELECT count(*)::int FROM signing_keys`).toEqual([{ count: 1 }]);
  });

  test('may be given later: old keys stay readable, new ones are sealed', async () => {
    const database = await useTestDatabase();
    await (await startTestServer(database.url)).stop();
    const server = await useTestServer(database.url, { secret: 'since today' });
    await checkedClient(server.url).post('/v1/signing-keys/rotate');
    const rows = await database.sql`SELECT private_jwk FROM signing_keys ORDER BY created_at`;
    expect(rows.map((row) => row['private_jwk'].startsWith('enc:v1:'))).toEqual([false, true]);
  });
});
