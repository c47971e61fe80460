/**
 * Where sessions are shared (a pooler in transaction mode) they cannot be given bounds of their own: a statement that is lost would run for
 * ever, and a transaction that nobody ends would hold its locks. The role has to have them. We only look: what a role has is its owner's.
 */
import { POOLED_ROLE_SETTINGS, type Sql } from './client.ts';

/** The statements that would set what is missing; none when all is there. */
export async function missingRoleBounds(sql: Sql): Promise<string[]> {
  const names = Object.keys(POOLED_ROLE_SETTINGS);
  const rows = await sql<{ name: string; role: string }[]>`
    /* db.role_bounds */
    SELECT name, quote_ident(current_user) AS role FROM unnest(${names}::text[]) AS name
    WHERE current_setting(name) = '0'`;
  return rows.map(({ name, role }) => {
    const value = Object.entries(POOLED_ROLE_SETTINGS).find(([known]) => known === name)?.[1];
    return `ALTER ROLE ${role} SET ${name} = '${value}'`;
  });
}
