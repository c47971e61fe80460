import { describe, expect, test } from 'vitest';
import { useBench } from '../../../fixtures/bench.ts';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { useTestServer } from '../../../fixtures/server.ts';

const bench = useBench();

describe('failed authentications', () => {
  test('are limited to 300 a minute per address, and good credentials go on', async () => {
    const wrong = { token: 'lk_admin_wrong' };
    for (let n = 0; n < 300; n += 1) expect((await bench.api.get('/v1/whoami', wrong)).status).toBe(401);
    const limited = await bench.api.get('/v1/whoami', wrong);
    expect([limited.status, limited.code]).toEqual([429, 'rate_limited']);
    expect(Number(limited.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect(limited.headers.get('RateLimit')).toMatch(/^"failed-auth";r=0;t=\d+$/);
    expect(limited.headers.get('RateLimit-Policy')).toBe('"failed-auth";q=300;w=60');
    expect((await bench.api.get('/v1/whoami')).status).toBe(200);
    expect((await bench.api.get('/livez', wrong)).status).toBe(200);
  });
});

describe('LANEKEEPER_RATE_LIMIT', () => {
  test('is a share of each principal, told in every answer', async () => {
    const limited = await useTestServer(bench.database.url, { rateLimitPerMinute: 3 });
    const [one, two] = [await bench.makeKey({ role: 'observer' }), await bench.makeKey({ role: 'observer' })];
    const client = checkedClient(limited.url, one.secret);
    for (const left of [2, 1, 0]) {
      const answer = await client.get('/v1/boards');
      expect([answer.status, answer.headers.get('RateLimit')]).toEqual([
        200,
        expect.stringMatching(new RegExp(`^"principal";r=${left};t=\\d+$`)),
      ]);
    }
    const refused = await client.get('/v1/boards');
    expect([refused.status, refused.code]).toEqual([429, 'rate_limited']);
    expect(refused.headers.get('RateLimit-Policy')).toBe('"principal";q=3;w=60');
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect((await checkedClient(limited.url, two.secret).get('/v1/boards')).status).toBe(200);
  });

  test('is off unless asked for', async () => {
    const answer = await bench.api.get('/v1/boards');
    expect(answer.headers.get('RateLimit')).toBeNull();
  });
});
