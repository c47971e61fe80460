import { expect, test } from 'vitest';
import { WritableHost } from '../../../src/server/db/writable-host.ts';
import { useEmptyDatabase } from '../../fixtures/database.ts';

/** A database whose own function for the timeline fails so. */
async function failing(code: string): Promise<WritableHost> {
  const { sql, url } = await useEmptyDatabase();
  await sql.unsafe(`
    CREATE SCHEMA failing;
    CREATE FUNCTION failing.pg_walfile_name(pg_lsn) RETURNS text LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'no timeline' USING ERRCODE = '${code}'; END $$;`);
  const [row] = await sql`SELECT current_database() AS name`;
  await sql`ALTER DATABASE ${sql(row?.['name'])} SET search_path = failing, pg_catalog`;
  return new WritableHost([url]);
}

test.each(['42501', '0A000', '42883'])(
  'a host that keeps its timeline to itself (%s) is used all the same',
  async (code) => {
    expect(await (await failing(code)).find()).toMatch(/^postgres/);
  },
);

test('a host that is cut off while it is asked for its timeline has not answered, rather than having none', async () => {
  await expect((await failing('57P01')).find()).rejects.toThrow('no timeline');
});
