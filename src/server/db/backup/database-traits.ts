/**
 * What a database has beside its tables and rows: the one that takes its place is made with the same owner, encoding and locale, and gets
 * its settings. Grants and what others have put into it are not carried over, but told.
 */
import { begin } from '../begin.ts';
import type { Sql } from '../client.ts';

/** An empty database like another of the cluster. Of template0: only that takes an encoding and a locale of its own. */
export async function createDatabaseLike(sql: Sql, name: string, model: string): Promise<void> {
  // Catalogs call the locale differently from version to version; Postgres itself quotes what stands in them.
  const [row] = await sql<{ statement: string }[]>`
    /* restore.describe_database */
    SELECT format('/* restore.create_database */ CREATE DATABASE %I TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L',
        ${name}::text, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
      || CASE d.traits ->> 'datlocprovider'
        WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', d.locale)
          || coalesce(' ICU_RULES ' || quote_literal(nullif(d.traits ->> 'daticurules', '')), '')
        WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', d.locale)
        ELSE ' LOCALE_PROVIDER libc' END AS statement
    FROM (
      SELECT datname, datdba, encoding, datcollate, datctype, traits, coalesce(traits ->> 'datlocale', traits ->> 'daticulocale') AS locale
      FROM pg_database, LATERAL (SELECT to_jsonb(pg_database) AS traits) AS all_of_it
    ) AS d WHERE d.datname = ${model}`;
  if (row === undefined) throw new Error('a database that was connected to a moment ago is there');
  await sql.unsafe(row.statement);
}

interface Setting {
  /** null: of every role. */
  readonly role: string | null;
  readonly name: string;
  readonly value: string;
}

/**
 * Gives a database what ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET have given another one. Returns the names of settings that
 * this account may not give, or that no session can.
 */
export async function copySettings(sql: Sql, from: string, to: string): Promise<string[]> {
  const settings = await sql<Setting[]>`
    /* restore.list_settings */
    SELECT r.rolname AS role, split_part(setting, '=', 1) AS name, substr(setting, strpos(setting, '=') + 1) AS value
    FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = ${from}
    LEFT JOIN pg_roles r ON r.oid = s.setrole
    CROSS JOIN unnest(s.setconfig) WITH ORDINALITY AS item (setting, place)
    WHERE s.setrole = 0 OR r.oid IS NOT NULL
    ORDER BY r.rolname NULLS FIRST, item.place`;
  const refused: string[] = [];
  for (const setting of settings)
    await copySetting(sql, to, setting).catch(() => {
      refused.push(setting.role === null ? setting.name : `${setting.name} of ${setting.role}`);
    });
  return refused;
}

/** The value goes by way of this session: only Postgres knows how each of its lists is quoted. */
function copySetting(sql: Sql, database: string, { role, name, value }: Setting): Promise<void> {
  return begin(sql, '', async (tx) => {
    await tx`/* restore.take_setting */ SELECT set_config(${name}, ${value}, true)`;
    if (role === null)
      await tx`/* restore.give_setting */ ALTER DATABASE ${tx(database)} SET ${tx(name)} FROM CURRENT`;
    else
      await tx`
        /* restore.give_role_setting */ ALTER ROLE ${tx(role)} IN DATABASE ${tx(database)} SET ${tx(name)} FROM CURRENT`;
  });
}

/** What the database that is connected to has and a restored one has not, in words for people. */
export async function findLeftBehind(sql: Sql): Promise<string[]> {
  const rows = await sql<{ what: string }[]>`
    /* restore.find_left_behind */
    SELECT what FROM (VALUES
      ('grants on the database', EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND datacl IS NOT NULL)),
      ('grants on tables', EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relacl IS NOT NULL)),
      ('default privileges', EXISTS (SELECT FROM pg_default_acl)),
      ('another owner of tables', EXISTS (
        SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) <> current_user)),
      ('extensions', EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')),
      ('publications', EXISTS (SELECT FROM pg_publication))
    ) AS found (what, is_there) WHERE is_there`;
  return rows.map(({ what }) => what);
}
