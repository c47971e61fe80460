/** What a restore keeps aside is nobody's to destroy but by --drop-former, and what takes its place is a database like it. */
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import {
  databaseNamesOf,
  dropDatabase,
  whileHeld,
  withMaintenance,
} from '../../../../src/server/db/backup/database-names.ts';
import { createDatabaseLike } from '../../../../src/server/db/backup/database-traits.ts';
import { dropFormerDatabase, undoRestore } from '../../../../src/server/db/backup/restore-backup.ts';
import {
  companionsOf,
  look,
  restore,
  take,
  titlesOf,
  useBackupFile,
  useEmptyDatabase,
  useMigratedDatabase,
  whileServed,
} from './backed-up.ts';

/** A database with one task more than its backup. */
async function useBackedUp() {
  const database = await useMigratedDatabase();
  const file = await useBackupFile();
  await whileServed(database.url, async (board) => {
    await board.task(null, { title: 'before', status: 'triage' });
    await take(database.url, file);
    await board.task(null, { title: 'after', status: 'triage' });
  });
  return { ...database, file };
}

const formerOf = (url: string): string => {
  const other = new URL(url);
  other.pathname += '_before_restore';
  return other.href;
};

describe('the database that a restore has kept aside', () => {
  test('is safe from the next restore, which is refused until somebody has dropped it, also after going back to it', async () => {
    const { url, name, file } = await useBackedUp();
    await restore(url, file, { mayReplace: true });
    const again = () => restore(url, file, { mayReplace: true });
    const refusal = /kept from an earlier restore .* Be rid of it with --drop-former first/;
    await expect(again()).rejects.toThrow(refusal);
    expect(await companionsOf(name)).toEqual(['', '_before_restore']);
    expect(await titlesOf(url)).toEqual(['before']);
    await undoRestore(url);
    expect(await titlesOf(url)).toEqual(['after', 'before']);
    await expect(again()).rejects.toThrow(refusal);
    await dropFormerDatabase(url);
    await again();
    expect(await titlesOf(formerOf(url))).toEqual(['after', 'before']);
  });

  test('is as it was when the change of names fails, because somebody is connected', async () => {
    const { url, name, file } = await useBackedUp();
    await look(url, async (sql) => {
      await sql`SELECT 1`;
      await expect(restore(url, file, { mayReplace: true })).rejects.toThrow(/Somebody is connected/);
    });
    expect(await companionsOf(name)).toEqual(['']);
    expect(await titlesOf(url)).toEqual(['after', 'before']);
    await restore(url, file, { mayReplace: true });
    await look(url, async (sql) => {
      await sql`SELECT 1`;
      await expect(undoRestore(url)).rejects.toThrow(/Somebody is connected/);
    });
    expect(await companionsOf(name)).toEqual(['', '_before_restore']);
    expect(await titlesOf(formerOf(url))).toEqual(['after', 'before']);
  });

  test('and the one that is being filled are one restore’s at a time: others, undo and drop are refused meanwhile', async () => {
    const { url, name, file } = await useBackedUp();
    await whileHeld(url, databaseNamesOf(url), async () => {
      const others = [restore(url, file, { mayReplace: true }), undoRestore(url), dropFormerDatabase(url)];
      for (const { reason } of (await Promise.allSettled(others)) as PromiseRejectedResult[])
        expect(reason?.message).toMatch(/Another restore of this database is under way/);
    });
    const both = await Promise.allSettled([1, 2].map(() => restore(url, file, { mayReplace: true })));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await companionsOf(name)).toEqual(['', '_before_restore']);
    expect(await titlesOf(formerOf(url))).toEqual(['after', 'before']);
  });

  test('is not touched by a restore that has lost the session with which it kept others out', async () => {
    const { url, name, file } = await useBackedUp();
    let isCut: Promise<unknown> | undefined;
    const cut = restore(url, file, {
      mayReplace: true,
      onProgress: () => {
        // Of this test's own: its key names the database.
        isCut ??= withMaintenance(
          url,
          (sql) => sql`
            SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
            WHERE locktype = 'advisory' AND objid = (hashtext(${name}::text)::bigint & 4294967295)::oid`,
        );
      },
    });
    await expect(cut).rejects.toThrow(/lost in the middle\. Nothing was changed/);
    expect(await isCut).toHaveLength(1);
    expect(await titlesOf(url)).toEqual(['after', 'before']);
    await restore(url, file, { mayReplace: true });
    expect(await companionsOf(name)).toEqual(['', '_before_restore']);
  });

  test('and cannot be dropped when the restore is done is a warning: the restore is no failure any more', async () => {
    const { file } = await useBackedUp();
    const empty = await useEmptyDatabase();
    const mayDrop = (database: string, may: boolean) =>
      withMaintenance(empty.url, (sql) =>
        sql.unsafe(`ALTER DATABASE "${database}" WITH IS_TEMPLATE ${may ? 'false' : 'true'}`),
      );
    await mayDrop(empty.name, false);
    const restored = await restore(empty.url, file);
    await mayDrop(`${empty.name}_before_restore`, true);
    expect(restored.warnings).toEqual([expect.stringContaining(`is left as ${empty.name}_before_restore`)]);
    expect(await titlesOf(empty.url)).toEqual(['before']);
    expect(await dropFormerDatabase(empty.url)).toBe(true);
  });
});

describe('the database that takes its place', () => {
  test('has its locale, of whichever provider Postgres has', async () => {
    const { name } = await useEmptyDatabase();
    await withMaintenance(inject('databaseServerUrl'), async (sql) => {
      const [server] = await sql<{ version: number; has_icu: boolean }[]>`
        SELECT current_setting('server_version_num')::int AS version,
          EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') AS has_icu`;
      const { version = 0, has_icu = false } = server ?? {};
      const locales = [
        'LOCALE_PROVIDER libc',
        ...(has_icu ? ["LOCALE_PROVIDER icu ICU_LOCALE 'de'"] : []),
        ...(has_icu && version >= 160_000 ? ["LOCALE_PROVIDER icu ICU_LOCALE 'de' ICU_RULES '&a < g'"] : []),
        ...(version >= 170_000 ? ["LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"] : []),
      ];
      const of = async (database: string) => {
        const [row] = await sql<{ traits: Record<string, unknown> }[]>`
          SELECT to_jsonb(d) - '{oid,datname,datfrozenxid,datminmxid}'::text[] AS traits FROM pg_database d WHERE datname = ${database}`;
        return row?.traits;
      };
      for (const locale of locales) {
        await dropDatabase(sql, name);
        await sql.unsafe(
          `CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'POSIX' LC_CTYPE 'POSIX' ${locale}`,
        );
        await dropDatabase(sql, `${name}_restoring`);
        await createDatabaseLike(sql, `${name}_restoring`, name);
        expect(await of(`${name}_restoring`), locale).toEqual(await of(name));
      }
    });
  });

  test('has its owner, encoding, locale and settings, and what else it had is named', async () => {
    const { url, name, file } = await useBackedUp();
    const role = `${name}_role`;
    const server = inject('databaseServerUrl');
    await withMaintenance(server, async (sql) => {
      const [model] = await sql<{ datcollate: string }[]>`
        SELECT datcollate FROM pg_database WHERE datname = 'template1'`;
      const locale = model?.datcollate === 'C' ? 'POSIX' : 'C';
      await sql`DROP DATABASE ${sql(name)}`;
      await sql`CREATE ROLE ${sql(role)}`;
      await sql.unsafe(
        `CREATE DATABASE "${name}" TEMPLATE template0 OWNER "${role}" ENCODING 'UTF8' LOCALE_PROVIDER libc LC_COLLATE '${locale}' LC_CTYPE '${locale}'`,
      );
      await sql.unsafe(`ALTER DATABASE "${name}" SET search_path = "$user", public, "odd, one"`);
      await sql.unsafe(`ALTER DATABASE "${name}" SET work_mem = '5MB'`);
      await sql.unsafe(`ALTER DATABASE "${name}" SET lanes.purpose = 'it''s a = test'`);
      await sql.unsafe(`ALTER ROLE "${role}" IN DATABASE "${name}" SET statement_timeout = '7s'`);
    });
    onTestFinished(() =>
      withMaintenance(server, async (sql) => {
        for (const suffix of ['', '_before_restore'])
          await sql.unsafe(`DROP DATABASE IF EXISTS "${name}${suffix}" WITH (FORCE)`);
        await sql`DROP ROLE ${sql(role)}`;
      }),
    );
    const traitsOf = (database: string) =>
      withMaintenance(server, async (sql) => [
        await sql`
            SELECT pg_get_userbyid(datdba) AS owner, encoding, datcollate, datctype, to_jsonb(d) ->> 'datlocprovider' AS provider
            FROM pg_database d WHERE datname = ${database}`,
        await sql`
            SELECT setrole, setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
            WHERE datname = ${database} ORDER BY setrole`,
      ]);
    const before = await traitsOf(name);
    expect(before.map(({ length }) => length)).toEqual([1, 2]);
    await withMaintenance(server, async (sql) => {
      // Postgres takes it for a database, but in no session.
      await sql.unsafe(`ALTER DATABASE "${name}" SET default_tablespace = 'not_there'`);
      await sql.unsafe(`GRANT CONNECT ON DATABASE "${name}" TO "${role}"`);
    });
    const restored = await restore(url, file);
    expect(await traitsOf(name)).toEqual(before);
    expect(restored.leftBehind).toEqual(['grants on the database', 'the setting default_tablespace']);
    expect(await titlesOf(url)).toEqual(['before']);
  });
});
