/** Whatever callers make the server wait for: the pulse goes on, the reaper judges, and who calls is known. */
import { expect, onTestFinished, test } from 'vitest';
import { expectStatus, makeBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { holdCounter } from '../../../fixtures/held-lock.ts';
import { useTestServer } from '../../../fixtures/server.ts';

/** As many as the server has for all that is neither the claim path nor its own sweeps. */
const COLD_CONNECTIONS = 8;
/** More than that. */
const COMMENTS = 40;
/** Longer than the gap that counts as an outage. */
const HELD_SECONDS = 3;

test('one claim token that takes all ordinary connections makes no outage, and keeps no dead worker’s lease', async () => {
  const { url, sql } = await useTestDatabase();
  const server = await useTestServer(url);
  const [loud, quiet] = [await makeBoard(server), await makeBoard(server)];
  for (const board of [loud, quiet]) {
    await board.lane('work');
    await board.task('work', { backoff: { base_seconds: 3600 } });
  }
  const { token, task } = await loud.claim('work', { worker: 'loud', lease_seconds: 600 });
  const key = expectStatus(await quiet.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
  await quiet.claim('work', { worker: 'dead', lease_seconds: 600 });
  const beatAt = async (): Promise<number> =>
    only(await sql<{ at: number }[]>`SELECT date_part('epoch', beat_at) AS at FROM pulse`).at;
  const lock = await holdCounter(sql, loud.name);
  onTestFinished(() => lock.release());
  const comments = Array.from({ length: COMMENTS }, () =>
    loud.call('POST', `/tasks/${task.id}/comments`, { token, body: { body: 'x' } }),
  );
  await eventually('some wait for the board, and all others behind them', async () => {
    const rows = await sql`
      SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    return rows.length >= COLD_CONNECTIONS;
  });
  const heldAt = await beatAt();
  await sql`UPDATE claims SET lease_expires_at = clock_timestamp() WHERE worker = 'dead'`;
  await eventually('it is reaped', async () => {
    const rows = await sql`SELECT FROM claims WHERE worker = 'dead'`;
    return rows.length === 0;
  });
  // Refused for what it may not do, so it was looked up.
  expect((await server.call('GET', '/v1/keys', { token: key })).code).toBe('forbidden');
  await eventually('the pulse goes on', async () => (await beatAt()) > heldAt + HELD_SECONDS);
  await lock.release();
  for (const answer of await Promise.all(comments)) expect(answer.status).toBe(201);
  expect(expectStatus(await server.call('GET', '/metrics'), 200).body).toMatch(
    /^lanekeeper_outages_total 0$/m,
  );
});
