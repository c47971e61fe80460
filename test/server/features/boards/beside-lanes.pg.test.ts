/** A deletion takes lanes and counter row in the order of everybody, so that it and a change of a lane never wait for each other. */
import { expect, test } from 'vitest';
import { expectStatus } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

test('a lane that is changed while its board is deleted goes with it, and neither is tried again', async () => {
  const { sql } = servers.database;
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const held = await untilTestEnds(holdCounter(sql, board.name));
  const deleted = board.call('DELETE', '');
  await untilStanding(sql, 'boards.delete_counter', 'row');
  const changed = elsewhere.call('PATCH', '/lanes/work', { body: { description: 'x' } });
  await eventually('it waits for the deletion, or with it', async () => {
    const rows = await sql`
      SELECT FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query ~ '/[*] (lanes.lock|log.append) [*]/' AND datname = current_database()`;
    return rows.length === 1;
  });
  await held.release();
  expectStatus(await deleted, 204);
  expectStatus(await changed, 404);
  const [counted] = await sql<{ deadlocks: number }[]>`
    SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`;
  expect(counted).toEqual({ deadlocks: 0 });
});
