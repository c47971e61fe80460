/** Every statement is seen, in and out of transactions, by its tag alone. */
import { expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/server/db/client.ts';
import type { StatementFacts } from '../../../src/server/db/statement-watch.ts';
import { transaction } from '../../../src/server/db/tx.ts';
import { useTestDatabase } from '../../fixtures/database.ts';

interface Seen {
  readonly database: Database;
  readonly slow: StatementFacts[];
  readonly ended: string[];
}

async function watchedDatabase(slowMs: number): Promise<Seen> {
  const { url } = await useTestDatabase();
  const slow: StatementFacts[] = [];
  const ended: string[] = [];
  const database = openDatabase({
    url,
    watch: {
      slowMs,
      onEnd: (pool, seconds) => {
        expect(seconds).toBeGreaterThan(0);
        ended.push(pool);
      },
      onSlow: (_, facts) => void slow.push(facts),
    },
  });
  onTestFinished(() => database.close());
  return { database, slow, ended };
}

test('a statement is told of by its tag, with its rows; a piece of it is none, and a transaction ends with its commit', async () => {
  const { database, slow, ended } = await watchedDatabase(0);
  const { cold } = database;
  const piece = cold`n < ${3}`;
  await cold`/* try.read */ SELECT n FROM generate_series(1, 5) AS n WHERE ${piece}`;
  await cold`
    /* try.tall */ SELECT 1`;
  await transaction(cold, async (tx) => {
    await tx`/* try.inside */ SELECT ${'a-parameter'}::text`;
    await tx.savepoint((inner) => inner`/* try.deep */ SELECT 1`);
  });
  await expect(cold`/* try.broken */ SELECT no_such_column`).rejects.toMatchObject({ code: '42703' });
  expect(slow.map(({ tag, rows, failure }) => [tag, rows, failure])).toEqual([
    ['try.read', 2, null],
    ['try.tall', 1, null],
    ['try.inside', 1, null],
    ['try.deep', 1, null],
    ['db.commit', null, null],
    ['try.broken', null, '42703'],
  ]);
  expect(ended).toEqual(Array.from({ length: 6 }, () => 'cold'));
  expect(JSON.stringify(slow)).not.toMatch(/a-parameter|generate_series|no_such/);
});

test('what is quick is no news, and what is slow is, also when it fails', async () => {
  const { database, slow, ended } = await watchedDatabase(150);
  await database.hot`/* try.quick */ SELECT 1`;
  await database.sweeps`/* try.slow */ SELECT pg_sleep(0.2)`;
  await expect(
    database.cold.begin(async (tx) => {
      await tx`/* try.bound */ SELECT set_config('statement_timeout', '160ms', true)`;
      await tx`/* try.cut */ SELECT pg_sleep(9)`;
    }),
  ).rejects.toMatchObject({ code: '57014' });
  expect(slow.map(({ tag, failure }) => [tag, failure])).toEqual([
    ['try.slow', null],
    ['try.cut', '57014'],
  ]);
  expect(slow[0]?.milliseconds).toBeGreaterThanOrEqual(200);
  expect(ended).toEqual(['hot', 'sweeps', 'cold', 'cold']);
});
