/** What a database that is sharded by board asks of keys. */
import { expect, test } from 'vitest';
import { useTestDatabase } from '../../fixtures/database.ts';

test('every table but a few small ones belongs to a board, and every unique key of it begins with that', async () => {
  const { sql } = await useTestDatabase();
  const tables = await sql<{ name: string; is_of_board: boolean }[]>`
    SELECT c.relname AS name, EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'board_id') AS is_of_board
    FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname`;
  const globals = tables.filter((table) => !table.is_of_board).map(({ name }) => name);
  expect(globals).toEqual([
    'api_keys',
    'audit_entries',
    'audit_seq',
    'boards',
    'pulse',
    'sign_in_codes',
    'signing_keys',
  ]);
  const wrong = await sql<{ name: string }[]>`
    SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'board_id'
    WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND i.indkey[0] <> a.attnum`;
  expect([...wrong]).toEqual([]);
});
