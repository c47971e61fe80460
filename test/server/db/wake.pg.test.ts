import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../src/server/db/client.ts';
import { createWake, type Wake } from '../../../src/server/db/wake.ts';
import { type TestDatabase, useTestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { holdGate, untilTestEnds } from '../../fixtures/held-lock.ts';

type Mode = 'listen' | 'poll';

interface Followed {
  readonly wake: Wake;
  /** Calls so far, by board. */
  readonly log: Map<number, number>;
  readonly aside: Map<number, number>;
  readonly output: Map<number, number>;
}

/** A server's wake, with listeners on boards 1 and 2. @param prepare Before it begins. */
async function startWake(
  { url }: TestDatabase,
  mode: Mode,
  prepare: (wake: Wake) => void = () => undefined,
): Promise<Followed> {
  const database = openDatabase({ url });
  const wake = createWake({ database, mode, onError: () => undefined });
  const stopping = new AbortController();
  const followed: Followed = { wake, log: new Map(), aside: new Map(), output: new Map() };
  for (const boardId of [1, 2]) {
    wake.subscribe(boardId, () => followed.log.set(boardId, (followed.log.get(boardId) ?? 0) + 1));
    const count = (calls: Map<number, number>) => () => calls.set(boardId, (calls.get(boardId) ?? 0) + 1);
    wake.subscribeNudges(boardId, count(followed.aside));
    wake.subscribeNudges(boardId, count(followed.output), 'output');
  }
  prepare(wake);
  const running = wake.run(stopping.signal);
  onTestFinished(async () => {
    stopping.abort();
    await running;
    await database.close();
  });
  return followed;
}

/** The listening session is there once a notification has come through. */
async function connected(from: Followed, to: Followed): Promise<void> {
  await eventually('a first notification', () => {
    from.wake.ring(2);
    return (to.log.get(2) ?? 0) > 1;
  });
}

test('a nudge reaches who attends to the board, here at once and on another server, and does not read as growth of the log', async () => {
  const database = await useTestDatabase();
  const [here, there] = [await startWake(database, 'listen'), await startWake(database, 'listen')];
  await connected(here, there);
  const hereBefore = here.aside.get(1) ?? 0;
  here.wake.nudge(1);
  expect(here.aside.get(1)).toBe(hereBefore + 1);
  // A poll calls for the log, too, as these boards have no rows: it may come in between once, not each time.
  await eventually('a nudge over there, and no growth', async () => {
    const [before, logBefore] = [there.aside.get(1) ?? 0, there.log.get(1) ?? 0];
    here.wake.nudge(1);
    await eventually('the nudge over there', () => (there.aside.get(1) ?? 0) > before);
    return (there.log.get(1) ?? 0) === logBefore;
  });
});

test('output reaches who watches it on another server; a nudge of a version that knew one kind is one of each', async () => {
  const database = await useTestDatabase();
  const [here, there] = [await startWake(database, 'listen'), await startWake(database, 'listen')];
  await connected(here, there);
  const before = there.output.get(1) ?? 0;
  // Polls call both kinds, so only the first call of these is told from them: it comes sooner.
  here.wake.nudge(1, 'output');
  await eventually('the output over there', () => (there.output.get(1) ?? 0) > before);
  const told = [there.aside.get(1) ?? 0, there.output.get(1) ?? 0];
  await database.sql`SELECT pg_notify('lanekeeper_wake', 'elsewhere::1')`;
  await eventually('both kinds', () =>
    [there.aside.get(1) ?? 0, there.output.get(1) ?? 0].every((calls, kind) => calls > (told[kind] ?? 0)),
  );
});

test('without notifications who attends to a board is asked to look at each poll', async () => {
  const followed = await startWake(await useTestDatabase(), 'poll');
  const seen = followed.aside.get(1) ?? 0;
  await eventually('two looks', () => (followed.aside.get(1) ?? 0) >= seen + 2);
});

test('a notification of an earlier version, which knows no nudges, is heard', async () => {
  const database = await useTestDatabase();
  const followed = await startWake(database, 'listen');
  await connected(await startWake(database, 'listen'), followed);
  const before = followed.log.get(1) ?? 0;
  await database.sql`SELECT pg_notify('lanekeeper_wake', 'elsewhere:1,7')`;
  await eventually('growth of the log', () => (followed.log.get(1) ?? 0) > before);
});

test('more boards than one notification holds are all told', async () => {
  const database = await useTestDatabase();
  const [here, there] = [await startWake(database, 'listen'), await startWake(database, 'listen')];
  await connected(here, there);
  const before = there.log.get(1) ?? 0;
  for (let boardId = 2_000_000_000; boardId < 2_000_001_000; boardId += 1) {
    here.wake.ring(boardId);
    here.wake.nudge(boardId);
  }
  here.wake.ring(1);
  await eventually('the last board of them', () => (there.log.get(1) ?? 0) > before);
});

test('whatever callers make the server wait for, others are told and asked as ever', async () => {
  const database = await useTestDatabase();
  const [told, client] = [new Set<string>(), openDatabase({ url: database.url, coldConnectionsMax: 1 })];
  const stop = new AbortController();
  const { unlisten } = await database.sql.listen('lanekeeper_wake', (payload) => {
    for (const id of payload.split(':')[1]?.split(',') ?? []) told.add(id);
  });
  const lock = await untilTestEnds(holdGate(database.sql));
  const waiting = client.cold`SELECT FROM claims`.execute();
  await eventually('the only ordinary connection waits', async () => {
    const rows = await database.sql`
      SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    return rows.length === 1;
  });
  const wake = createWake({ database: client, mode: 'listen', onError: () => undefined });
  let asked = 0;
  wake.subscribe(1, () => {
    asked += 1;
  });
  const running = wake.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await Promise.all([running, waiting, unlisten()]);
    await client.close();
  });
  wake.ring(1);
  await eventually('others are told', () => told.has('1'));
  // The board is not there, so each poll calls; the first two calls may be the ring and the first connection of the listener.
  await eventually('others are asked, again and again', () => asked > 4);
  await lock.release();
});

test('a log that is another one, and ends where it ended, is doubted; one that has grown is not', async () => {
  const database = await useTestDatabase();
  const [row] = await database.sql`
    INSERT INTO boards (name, log_incarnation) VALUES ('replaced', 'aaaaaaaa') RETURNING id`;
  const boardId = Number(row?.['id']);
  await database.sql`INSERT INTO board_seq (board_id, seq) VALUES (${boardId}, 5)`;
  const told: string[] = [];
  await startWake(database, 'poll', (wake) => {
    wake.subscribe(boardId, (isDoubt) => told.push(isDoubt ? 'doubt' : 'look'));
  });
  await eventually('a first look', () => told.length === 1);
  await database.sql`UPDATE board_seq SET seq = 6 WHERE board_id = ${boardId}`;
  await eventually('growth', () => told.length === 2);
  await database.sql`UPDATE boards SET log_incarnation = 'bbbbbbbb' WHERE id = ${boardId}`;
  await eventually('another log', () => told.length === 3);
  expect(told).toEqual(['look', 'look', 'doubt']);
});
