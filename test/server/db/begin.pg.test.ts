/** Transactions that lose their connection: they fail, alone, and nothing of them comes back to life on another connection. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { begin, CLOSE_WAIT_MS } from '../../../src/server/db/begin.ts';
import { type Database, openDatabase, type Runner, type Tx } from '../../../src/server/db/client.ts';
import { isDatabaseAway } from '../../../src/server/db/failures.ts';
import { useTestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';

let sql: Awaited<ReturnType<typeof useTestDatabase>>['sql'];
let database: Database;

beforeEach(async () => {
  const own = await useTestDatabase();
  sql = own.sql;
  await sql`CREATE TABLE marks (mark text)`;
  // One connection, so that whoever comes next stands where the lost transaction stood.
  database = openDatabase({ url: own.url, hotConnectionsMax: 1, coldConnectionsMax: 1 });
});
afterEach(() => database.close());

const mark = (tx: Tx, text: string) => tx`INSERT INTO marks VALUES (${text})`;

async function marks(): Promise<string[]> {
  const rows = await sql<{ mark: string }[]>`SELECT mark FROM marks ORDER BY mark`;
  return rows.map((row) => row.mark);
}

const backendOf = async (runner: Runner): Promise<number> =>
  (await runner<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`)[0]?.pid ?? 0;

const terminate = (pid: number) => sql`SELECT pg_terminate_backend(${pid})`;

/** In the middle of the statement that sleeps. */
function terminateAsleep(pid: number): void {
  void eventually('it sleeps', async () => {
    const rows = await sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid = ${pid} AND state = 'active' AND query LIKE '%pg_sleep%'`;
    return rows.length > 0;
  });
}

function makeStep() {
  let go: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  return { go, gone };
}

/** The driver fails the first query of a connection that was lost with what ended the one before. */
const untilServed = () =>
  eventually('the pool serves again', async () => {
    try {
      await begin(database.hot, '', (tx) => mark(tx, 'later'));
      return true;
    } catch (error) {
      expect(isDatabaseAway(error)).toBe(true);
      return false;
    }
  });

test('one that is cut off in its statement fails as away, leaves nothing, and the pool goes on', async () => {
  for (let round = 0; round < 5; round += 1) {
    const lost = begin(database.hot, '', async (tx) => {
      await mark(tx, 'lost');
      const pid = await backendOf(tx);
      terminateAsleep(pid);
      await tx`SELECT pg_sleep(30)`;
    });
    await expect(lost).rejects.toSatisfy(isDatabaseAway);
    await untilServed();
  }
  expect(new Set(await marks())).toEqual(new Set(['later']));
});

test.each([
  { other: 'is rolled back', isKept: false },
  { other: 'commits', isKept: true },
])(
  'one that lost its connection between two statements fails, and the next on that connection $other as if it had never been',
  async ({ isKept }) => {
    const [begun, goOn] = [makeStep(), makeStep()];
    let pid = 0;
    const lost = begin(database.hot, '', async (tx) => {
      await mark(tx, 'lost before');
      pid = await backendOf(tx);
      begun.go();
      await goOn.gone;
      await mark(tx, 'lost after');
    });
    lost.catch(() => undefined);
    await begun.gone;
    await terminate(pid);
    await expect(lost).rejects.toSatisfy(isDatabaseAway);
    await untilServed();
    // The lost one goes on while another stands where it stood.
    const other = begin(database.hot, '', async (tx) => {
      await mark(tx, 'other');
      goOn.go();
      await new Promise((resolve) => setImmediate(resolve));
      await mark(tx, 'other');
      if (!isKept) throw new Error('taken back');
    });
    if (isKept) await other;
    else await expect(other).rejects.toThrow('taken back');
    expect(await marks()).toEqual(isKept ? ['later', 'other', 'other'] : ['later']);
  },
);

test('one whose work fails for a reason of its own is rolled back at once, also when another session was lost', async () => {
  await expect(
    begin(database.hot, '', async (tx) => {
      await mark(tx, 'lost');
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  const failed = begin(database.hot, '', async (tx) => {
    await mark(tx, 'lost');
    const other = await backendOf(database.cold);
    terminateAsleep(other);
    await database.cold`SELECT pg_sleep(30)`;
  });
  await expect(failed).rejects.toSatisfy(isDatabaseAway);
  await begin(database.hot, '', (tx) => mark(tx, 'kept'));
  expect(await marks()).toEqual(['kept']);
});

test('one that was lost leaves no timer behind, however deep in its work that happened', async () => {
  const set = vi.spyOn(globalThis, 'setTimeout');
  const cleared = vi.spyOn(globalThis, 'clearTimeout');
  onTestFinished(() => {
    set.mockRestore();
    cleared.mockRestore();
  });
  const sleepBelow = async (tx: Tx, levels: number): Promise<unknown> =>
    levels === 0 ? await tx`SELECT pg_sleep(30)` : await sleepBelow(tx, levels - 1);
  for (const levels of [0, 1, 2, 5, 20]) {
    const lost = begin(database.hot, '', async (tx) => {
      terminateAsleep(await backendOf(tx));
      await sleepBelow(tx, levels);
    });
    await expect(lost).rejects.toSatisfy(isDatabaseAway);
    await untilServed();
  }
  const waits = set.mock.results.filter((_, index) => set.mock.calls[index]?.[1] === CLOSE_WAIT_MS);
  const ended = cleared.mock.calls.map(([timer]) => timer);
  expect(waits.filter(({ value }) => !ended.includes(value))).toEqual([]);
});
