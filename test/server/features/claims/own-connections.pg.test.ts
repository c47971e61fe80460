/** Whatever callers make the server wait for: the pulse goes on, the reaper judges, what is due is woken, and who calls is known. */
import { expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { expectStatus, makeBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { holdCounter } from '../../../fixtures/held-lock.ts';
import { useTestServer } from '../../../fixtures/server.ts';

/** As many as the server has for all that is neither the claim path nor its own sweeps. */
const COLD_CONNECTIONS = 8;
/** More than that. */
const COMMENTS = 40;
/** More than the one that may have been under way. */
const BEATS = 3;

test('claim tokens that take all ordinary connections stop neither pulse nor reaper nor scheduler, and keys are known', async () => {
  const { url, sql } = await useTestDatabase();
  const server = await useTestServer(url);
  const [loud, quiet] = [await makeBoard(server), await makeBoard(server)];
  for (const board of [loud, quiet]) {
    await board.lane('work');
    await board.task('work', { backoff: { base_seconds: 3600 } });
  }
  // Two lanes: one may have half.
  await loud.lane('other');
  await loud.task('other');
  const holders: Claim[] = [];
  for (const lane of ['work', 'other'])
    holders.push(await loud.claim(lane, { worker: 'loud', lease_seconds: 600 }));
  const key = expectStatus(await quiet.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
  await quiet.claim('work', { worker: 'dead', lease_seconds: 600 });
  await quiet.task('work', { run_at: '2100-01-01T00:00:00Z' });
  const beatAt = async (): Promise<string> =>
    only(await sql<{ at: string }[]>`SELECT beat_at::text AS at FROM pulse`).at;
  const lock = await holdCounter(sql, loud.name);
  onTestFinished(() => lock.release());
  let answered = 0;
  const count = (): void => {
    answered += 1;
  };
  const comments = holders.flatMap(({ token, task }) =>
    Array.from({ length: COMMENTS / 2 }, () =>
      loud.call('POST', `/tasks/${task.id}/comments`, { token, body: { body: 'x' } }).finally(count),
    ),
  );
  await eventually('some wait for the board, and all others behind them', async () => {
    const rows = await sql`
      SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    return rows.length >= COLD_CONNECTIONS;
  });
  const beats = new Set([await beatAt()]);
  // So long ago that no outage gives it time.
  await sql`UPDATE claims SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE worker = 'dead'`;
  await sql`UPDATE tasks SET run_at = clock_timestamp() WHERE run_at > clock_timestamp() + interval '1 year'`;
  await eventually('what is due is woken', async () => {
    const rows = await sql`SELECT FROM events WHERE kind = 'task.ready' AND actor_id = 'scheduler'`;
    return rows.length === 1;
  });
  await eventually('it is reaped', async () => {
    const rows = await sql`SELECT FROM claims WHERE worker = 'dead'`;
    return rows.length === 0;
  });
  // Refused for what it may not do, so it was looked up.
  expect((await server.call('GET', '/v1/keys', { token: key })).code).toBe('forbidden');
  await eventually('the pulse goes on', async () => beats.add(await beatAt()).size > BEATS);
  // All of that while every comment waited, which each does for 8 s at most.
  expect(answered).toBe(0);
  await lock.release();
  for (const answer of await Promise.all(comments)) expect(answer.status).toBe(201);
});
