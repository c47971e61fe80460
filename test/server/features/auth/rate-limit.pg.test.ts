import { describe, expect, test } from 'vitest';
import { makeApiKey } from '../../../../src/server/features/auth/service.ts';
import { IdSource } from '../../../../src/server/kernel/ids.ts';
import { eventually, useBench } from '../../../fixtures/bench.ts';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { type CallAnswer, useTestServer } from '../../../fixtures/server.ts';

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

/** A key in the right form that nobody was ever given. */
const strangeKey = (): string => makeApiKey('observer', new IdSource({ now: () => Date.now() }).next());

describe('guessing', () => {
  test('costs a few look-ups a second and no more once the failures of the address are used up; what is known goes on', async () => {
    const server = await useTestServer(bench.database.url);
    const api = checkedClient(server.url);
    const { secret } = await bench.makeKey({ role: 'observer' });
    await bench.makeLane('default', 'guessed');
    await bench.makeTask('default', { lane: 'guessed' });
    const claim = await bench.claim('default', 'guessed');
    expect((await api.get('/v1/whoami', { token: secret })).status).toBe(200);
    for (let n = 0; n < 300; n += 1)
      expect((await api.get('/v1/whoami', { token: 'lk_admin_wrong' })).status).toBe(401);

    const guesses: Promise<CallAnswer>[] = [];
    // With the table locked against reading, only what never asks it can be answered.
    await bench.database.sql.begin(async (tx) => {
      await tx`LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE`;
      for (let n = 0; n < 100; n += 1) guesses.push(api.get('/v1/whoami', { token: strangeKey() }));
      let refusals = 0;
      for (const guess of guesses)
        void guess.then((answer) => {
          if (answer.status === 429 && Number(answer.headers.get('Retry-After')) > 0) refusals += 1;
        });
      await eventually('all but a few are refused', async () => refusals >= 90);
      const path = `/v1/runs/${claim.run_id}/heartbeat`;
      expect((await api.post(path, {}, { token: claim.token })).status).toBe(200);
    });
    const statuses = (await Promise.all(guesses)).map((answer) => answer.status);
    expect(new Set(statuses)).toEqual(new Set([429]));
    // No longer fresh, so it is looked up again, and not refused.
    expect((await api.get('/v1/whoami', { token: secret })).status).toBe(200);
  });

  test('by many at once keeps a few connections busy and no more, and stops when the failures are used up', async () => {
    const server = await useTestServer(bench.database.url);
    const api = checkedClient(server.url);
    const { secret } = await bench.makeKey({ role: 'observer' });
    expect((await api.get('/v1/whoami', { token: secret })).status).toBe(200);
    const wrong = { token: 'lk_admin_wrong' };
    const failures = Array.from({ length: 260 }, () => api.get('/v1/whoami', wrong));
    for (const answer of await Promise.all(failures)) expect(answer.status).toBe(401);
    const lookingUp = async (): Promise<number> => {
      const [row] = await bench.database.sql`SELECT count(*)::int AS count FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%auth.find_live_key%'`;
      return row?.['count'];
    };
    const known: Promise<CallAnswer>[] = [];
    let guesses: Promise<CallAnswer>[] = [];
    await bench.database.sql.begin(async (tx) => {
      await tx`LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE`;
      guesses = Array.from({ length: 100 }, () => api.get('/v1/whoami', { token: strangeKey() }));
      await eventually('the guesses are being looked up', async () => (await lookingUp()) === 4);
      // A known key stands in no line with them: its look-up is under way as well.
      await eventually('the known key is not fresh any more, and looked up', async () => {
        known.push(api.get('/v1/boards', { token: secret }));
        return (await lookingUp()) === 5;
      });
    });
    const statuses = (await Promise.all(guesses)).map((answer) => answer.status);
    for (const answer of await Promise.all(known)) expect(answer.status).toBe(200);
    const refused = statuses.filter((status) => status === 429).length;
    expect(statuses.filter((status) => status === 401)).toHaveLength(100 - refused);
    // Those whose look-up was under way when the last failure was counted may fail as well, and the few that are let through after it.
    expect(refused).toBeGreaterThanOrEqual(100 - 40 - 4 - 5);
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
