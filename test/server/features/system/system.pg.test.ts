import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Runner } from '../../../../src/server/db/client.ts';
import { DOCS_ASSETS } from '../../../../src/server/features/system/docs-page.ts';
import { readOldestReadySeconds } from '../../../../src/server/features/system/store.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { useBench } from '../../../fixtures/bench.ts';

const bench = useBench();
const anonymous = { token: null };

describe('health', () => {
  test('says alive and ready, with what it looked at', async () => {
    expect((await bench.api.get('/livez', anonymous)).body).toEqual({ status: 'ok', version: '0.0.0-test' });
    const ready = await bench.api.get('/readyz', anonymous);
    expect([ready.status, ready.body.status]).toEqual([200, 'ready']);
    expect(Object.keys(ready.body.checks).toSorted()).toEqual(['database', 'draining', 'log_poll', 'schema']);
  });

  test('is not ready when a migration is missing', async () => {
    const { sql } = bench.database;
    const [last] = await sql`SELECT * FROM drizzle.__drizzle_migrations ORDER BY id DESC LIMIT 1`;
    await sql`DELETE FROM drizzle.__drizzle_migrations WHERE id = ${last?.['id']}`;
    const answer = await bench.api.get('/readyz', anonymous);
    expect([answer.status, answer.body.checks.schema.ok]).toEqual([503, false]);
    await sql`INSERT INTO drizzle.__drizzle_migrations ${sql(last ?? {})}`;
    expect((await bench.api.get('/readyz', anonymous)).status).toBe(200);
  });
});

describe('metrics', () => {
  async function scrape(): Promise<(name: string) => number> {
    const answer = await bench.api.get('/metrics', anonymous);
    expect(answer.headers.get('Content-Type')).toMatch(/^text\/plain; version=/);
    return (name) => {
      const line = String(answer.body)
        .split('\n')
        .find((candidate) => candidate.startsWith(`${name} `));
      return line === undefined ? 0 : Number(line.split(' ').at(-1));
    };
  }

  test('count claims, ends by outcome, live claims, depth, latencies, sockets and lag', async () => {
    const earlier = await scrape();
    await bench.makeLane('default', 'measured');
    for (const _ of [1, 2, 3, 4]) await bench.makeTask('default', { lane: 'measured' });
    const [one, two] = [await bench.claim('default', 'measured'), await bench.claim('default', 'measured')];
    const third = await bench.claim('default', 'measured');
    await bench.as(one.token).post(`/v1/runs/${one.run_id}/complete`, {});
    await bench.as(two.token).post(`/v1/runs/${two.run_id}/fail`, { error: 'x' });
    await bench.as(third.token).post(`/v1/runs/${third.run_id}/heartbeat`, {});
    await bench.makeLane('default', 'idle');
    await bench.api.post('/v1/boards/default/lanes/idle/claims', {});
    await bench.api.get('/v1/boards/missing');
    const later = await scrape();
    const grown = (name: string): number => later(name) - earlier(name);
    expect(grown('lanekeeper_claims_total')).toBe(3);
    expect(grown('lanekeeper_run_ends_total{outcome="completed"}')).toBe(1);
    expect(grown('lanekeeper_run_ends_total{outcome="failed"}')).toBe(1);
    expect(grown('lanekeeper_heartbeats_total')).toBe(1);
    expect(grown('lanekeeper_empty_claims_total{reason="none_ready"}')).toBe(1);
    expect(grown('lanekeeper_problems_total{code="not_found"}')).toBe(1);
    expect(grown('lanekeeper_claim_queue_seconds_count')).toBe(3);
    expect(grown('lanekeeper_http_request_seconds_count{operation="claimTasks",status="200"}')).toBe(4);
    expect(later('lanekeeper_live_claims')).toBe(1);
    expect(later('lanekeeper_tasks{status="ready"}')).toBe(1);
    expect(later('lanekeeper_tasks{status="running"}')).toBe(1);
    expect(later('lanekeeper_oldest_ready_seconds')).toBeGreaterThan(0);
    const { body } = await bench.api.get('/metrics', anonymous);
    for (const name of ['watch_sockets', 'watch_lag_seconds', 'claim_waiters', 'poll_age_seconds'])
      expect(body).toContain(`# TYPE lanekeeper_${name} `);
    expect(body).not.toMatch(/board="|lane="|task="/);
  });
});

test('the oldest ready task is found behind thousands of others, and left out where it is meant to wait', async () => {
  const { sql } = bench.database;
  const oldest = async (): Promise<number> => (await readOldestReadySeconds(sql as unknown as Runner)) / 3600;
  const age = (id: string, hours: number) =>
    sql`UPDATE tasks SET status_since = now() - ${`${hours} hours`}::interval WHERE id = ${parseId('task', id)}`;
  for (const lane of ['crowded', 'paused', 'people', 'quiet'])
    await bench.makeLane('default', lane, lane === 'people' ? { kind: 'human' } : {});
  const starving = await bench.makeTask('default', { lane: 'crowded', priority: -1 });
  for (let made = 0; made < 2; made += 1)
    await bench.api.post('/v1/boards/default/tasks/batch', {
      tasks: Array.from({ length: 600 }, () => ({ title: 'x', lane: 'crowded' })),
    });
  await age(starving.id, 5);
  expect(await oldest()).toBeCloseTo(5, 1);
  for (const lane of ['paused', 'people']) await age((await bench.makeTask('default', { lane })).id, 9);
  await bench.api.post('/v1/boards/default/lanes/paused/pause', {});
  expect(await oldest()).toBeCloseTo(5, 1);
  // Behind it in the order of the index: another lane, and another board.
  await age((await bench.makeTask('default', { lane: 'quiet' })).id, 7);
  expect(await oldest()).toBeCloseTo(7, 1);
  await bench.api.put('/v1/boards/zz-later', {});
  await age((await bench.makeTask('zz-later', { lane: 'nobody-registered' })).id, 8);
  expect(await oldest()).toBeCloseTo(8, 1);
  await bench.api.patch('/v1/boards/zz-later', { settings: { paused: true } });
  expect(await oldest()).toBeCloseTo(7, 1);
});

describe('the description of the API', () => {
  test('is the committed openapi.yaml, but for the version of the server', async () => {
    const { body } = await bench.api.get('/openapi.json', anonymous);
    const committed = parse(await readFile(join(import.meta.dirname, '../../../../openapi.yaml'), 'utf8'));
    expect({ ...body, info: { ...body.info, version: '' } }).toEqual({
      ...committed,
      info: { ...committed.info, version: '' },
    });
  });

  test('is joined by the committed asyncapi.yaml, for sockets and streams', async () => {
    const { body } = await bench.api.get('/asyncapi.json', anonymous);
    const committed = parse(await readFile(join(import.meta.dirname, '../../../../asyncapi.yaml'), 'utf8'));
    expect({ ...body, info: { ...body.info, version: '' } }).toEqual({
      ...committed,
      info: { ...committed.info, version: '' },
    });
  });

  test('has a page from our own origin, whose every part is served', async () => {
    const page = await bench.api.get('/docs', anonymous);
    expect(page.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
    const links = [...String(page.body).matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, link = '']) => link);
    expect(links.length).toBeGreaterThan(2);
    expect(page.body).not.toMatch(/(src|href)="(https?:)?\/\//);
    for (const link of links)
      expect([link, (await bench.api.get(link, anonymous)).status]).toEqual([link, 200]);
    for (const [name, type] of Object.entries(DOCS_ASSETS)) {
      const asset = await bench.api.get(`/docs/${name}`, anonymous);
      expect([asset.status, asset.headers.get('Content-Type')]).toEqual([200, type]);
    }
    for (const name of ['package.json', '..%2fpackage.json', '__proto__', 'constructor', '%00'])
      expect((await bench.api.get(`/docs/${name}`, anonymous)).status).toBe(404);
  });
});
