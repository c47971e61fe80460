/** What an operator watches retention by, as it is scraped: how far back there is anything, how late the pruning is, and what the tables take. */
import { expect, test } from 'vitest';
import { GROWING_TABLES } from '../../../../src/server/features/retention/service.ts';
import { endClaim, expectStatus, makeBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { holdRetention, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { startTestServer, useTestServer } from '../../../fixtures/server.ts';

const HOUR = 3600;
const LATE_SECONDS = 90;
/** Time that a slow machine may take from one statement to the scrape. */
const SLACK_SECONDS = 60;

test('lag, oldest rows and disk use are those of the database, of each kind and table', async () => {
  const database = await useTestDatabase();
  const { sql } = database;
  const maker = await startTestServer(database.url);
  try {
    const board = await makeBoard(maker);
    await board.lane('work');
    await board.task('work');
    const claim = await board.claim('work');
    await endClaim(maker, claim, 'output', { lines: ['a line'] });
    expectStatus(await endClaim(maker, claim, 'complete'), 200);
    const retention = { events_seconds: 30 * 24 * HOUR, runs_seconds: 30 * 24 * HOUR };
    expectStatus(await board.call('PATCH', '', { body: { settings: { retention } } }), 200);
  } finally {
    await maker.stop();
  }
  await sql`UPDATE events SET at = at - interval '5 hours'`;
  await sql`UPDATE tasks SET created_at = created_at - interval '4 hours'`;
  await sql`UPDATE runs SET started_at = started_at - interval '3 hours'`;
  await sql`UPDATE outputs SET updated_at = updated_at - interval '2 hours'`;
  await sql`UPDATE retention SET due_at = now() + ${HOUR} * interval '1 second'`;
  await sql`UPDATE retention SET due_at = now() - ${LATE_SECONDS} * interval '1 second' WHERE kind = 'events'`;
  // As if another server were at it: this one leaves it as late as it is.
  await untilTestEnds(holdRetention(sql));
  const server = await useTestServer(database.url);
  const { body } = await server.call('GET', '/metrics');
  const figureOf = (name: string, label: string): number =>
    Number(new RegExp(`^lanekeeper_${name}\\{${label}\\} (\\S+)$`, 'm').exec(String(body))?.[1]);
  const expectSeconds = (name: string, kind: string, least: number): void => {
    const seconds = figureOf(name, `kind="${kind}"`);
    expect(seconds, `${name} of ${kind}`).toBeGreaterThanOrEqual(least);
    expect(seconds, `${name} of ${kind}`).toBeLessThan(least + SLACK_SECONDS);
  };
  expectSeconds('oldest_row_seconds', 'events', 5 * HOUR);
  expectSeconds('oldest_row_seconds', 'finished_tasks', 4 * HOUR);
  expectSeconds('oldest_row_seconds', 'runs', 3 * HOUR);
  expectSeconds('oldest_row_seconds', 'output', 2 * HOUR);
  expect(figureOf('oldest_row_seconds', 'kind="deliveries"')).toBe(0);
  expectSeconds('retention_lag_seconds', 'events', LATE_SECONDS);
  expect(figureOf('retention_lag_seconds', 'kind="runs"')).toBe(0);
  for (const table of GROWING_TABLES)
    expect(figureOf('table_bytes', `table="${table}"`), table).toBeGreaterThan(0);
});
