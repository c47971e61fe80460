/** The schema is what a review has seen: test/schema.sql is what the migrations make, and drizzle's tables are of the same columns. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { expect, test } from 'vitest';
import { schemaText } from '../../../scripts/write-schema.ts';
import { useTestDatabase } from '../../fixtures/database.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('test/schema.sql is what the migrations make, on whichever Postgres', async () => {
  const { sql } = await useTestDatabase({
    plainBecause: 'it is the tables of the migrations that are compared',
  });
  const committed = await readFile(join(ROOT, 'test/schema.sql'), 'utf8');
  const actual = await schemaText(sql);
  const lines = (text: string): string[] => text.split('\n');
  const news = lines(actual).filter((line) => !lines(committed).includes(line));
  const olds = lines(committed).filter((line) => !lines(actual).includes(line));
  expect({ news, olds }, 'run `npx tsx scripts/write-schema.ts` and read what changed').toEqual({
    news: [],
    olds: [],
  });
  expect(actual).toBe(committed);
});

test("drizzle's tables have the columns of the database, and no others", async () => {
  const folder = join(ROOT, 'src/server/db/schema');
  const files = await readdir(folder);
  const modules: Record<string, unknown>[] = await Promise.all(
    files.map((name) => import(join(folder, name))),
  );
  const tables = modules
    .flatMap((module) => Object.values(module))
    .filter((value) => is(value, PgTable))
    .map(getTableConfig);
  const described = tables.flatMap(({ name, columns }) =>
    columns.map((column) => `${name}.${column.name} ${column.notNull ? 'NOT NULL' : 'NULL'}`),
  );
  const { sql } = await useTestDatabase({
    plainBecause: 'it is the tables of the migrations that are compared',
  });
  const rows = await sql<{ column: string }[]>`
    SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE ' NULL' END AS column
    FROM information_schema.columns WHERE table_schema = 'public'`;
  expect(described.length).toBeGreaterThan(100);
  expect(rows.map(({ column }) => column).toSorted()).toEqual(described.toSorted());
});
