/** Reads whose cost the caller chooses, when they are slow: who notices, and what they are told. */
import { expect, onTestFinished, test } from 'vitest';
import { endClaim, expectStatus, makeBoard } from '../../fixtures/board.ts';
import { type TestDatabase, useTestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { useTestServer } from '../../fixtures/server.ts';

const CONNECTIONS = 4;
const SEARCH_LOCK = 7;

/** A search waits, at the first title that it looks at, until the returned function is called. */
async function holdSearches({ sql }: TestDatabase): Promise<() => Promise<void>> {
  // ILIKE is an operator that is looked up by name: in this database ours is found before Postgres's own.
  await sql.unsafe(`
    CREATE SCHEMA slow;
    CREATE FUNCTION slow.is_like(text, text) RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${SEARCH_LOCK}); RETURN true; END $$;
    CREATE OPERATOR slow.~~* (LEFTARG = text, RIGHTARG = text, FUNCTION = slow.is_like);
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = slow, pg_catalog, public', current_database()); END $$`);
  const session = await sql.reserve();
  await session`SELECT pg_advisory_lock(${SEARCH_LOCK})`;
  const letGo = async (): Promise<void> => {
    await session`SELECT pg_advisory_unlock_all()`;
  };
  onTestFinished(async () => {
    await letGo();
    session.release();
  });
  return letGo;
}

test('slow searches on every connection that there is for them disturb no claim, no key and no configuration', async () => {
  const database = await useTestDatabase();
  const letGo = await holdSearches(database);
  const server = await useTestServer(database.url);
  const board = await makeBoard(server);
  await board.lane('work');
  await board.tasks('work', 3);

  const search = () => board.call('GET', '/tasks?q=task');
  let answered = 0;
  const count = (): void => {
    answered += 1;
  };
  const searches = Array.from({ length: CONNECTIONS }, () => search().finally(count));
  await eventually('every connection for searches is busy', async () => {
    const rows = await database.sql`SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event = 'advisory' AND query LIKE '%/* tasks.list */%'`;
    return rows.length === CONNECTIONS;
  });
  const waiting = ['/events', '/snapshot', '/tasks?tenant=x'].map((path) => board.call('GET', path));

  const key = await board.call('POST', '/lanes/work/keys', { body: { name: 'worker' } });
  const { secret } = expectStatus(key, 201).body;
  const claims = expectStatus(await board.claims('work', { max: 2 }, { token: secret }), 200).body.claims;
  expectStatus(await endClaim(server, claims[0], 'heartbeat'), 200);
  expectStatus(await endClaim(server, claims[0], 'complete', { result: 1 }), 200);
  expect((await board.task('work')).status).toBe('ready');
  expectStatus(await board.call('POST', '/lanes/work/pause'), 200);
  expect((await board.claims('work')).body.reason).toBe('lane_paused');
  expect((await board.read(claims[1].task.id)).status).toBe('running');
  // All of that while not one search was over, which Postgres ends after 5 s.
  expect(answered).toBe(0);

  // Who finds no room is told to come back; the figures of the process itself are there all the same.
  for (const answer of await Promise.all(waiting)) {
    expect([answer.status, answer.code]).toEqual([429, 'rate_limited']);
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
  }
  expectStatus(await server.call('GET', '/metrics'), 200);

  // The search itself would be as slow again: it is the request that must change.
  for (const answer of await Promise.all(searches)) {
    expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
    expect(answer.body.errors).toMatchObject([{ pointer: '/q' }]);
  }
  await letGo();
  expect(expectStatus(await search(), 200).body.tasks).toHaveLength(4);
});
