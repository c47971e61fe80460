/** The audit log in the database. */
import type { AuditAction, AuditEntry } from '../../../contract/audit.ts';
import type { Runner } from '../../db/client.ts';
import { assert } from '../../kernel/assert.ts';

export interface NewAuditEntry {
  readonly action: AuditAction;
  readonly actor: AuditEntry['actor'];
  readonly boardId: number | null;
  readonly board: string | null;
  readonly subject: string | null;
  readonly outcome: AuditEntry['outcome'];
  readonly code: string | null;
  readonly count: number;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The numbers are taken and the entries written in one statement: whoever has the row of numbers commits before the next one takes it. */
export async function appendEntries(sql: Runner, entries: readonly NewAuditEntry[]): Promise<void> {
  const column = <T>(read: (entry: NewAuditEntry) => T): T[] => entries.map(read);
  const written = await sql`
    /* audit.append */
    WITH taken AS (
      INSERT INTO audit_seq AS last (id, seq) VALUES (1, ${entries.length})
      ON CONFLICT (id) DO UPDATE SET seq = last.seq + ${entries.length}
      RETURNING seq, clock_timestamp() AS at
    )
    INSERT INTO audit_entries (seq, at, action, actor_type, actor_id, actor_name, about_board_id, board, subject, outcome, code, count, address,
      request_id, data)
    SELECT taken.seq - ${entries.length} + item.ordinality, taken.at, item.action, item.actor_type, item.actor_id, item.actor_name,
      item.board_id, item.board, item.subject, item.outcome, item.code, item.count, item.address, item.request_id, item.data::jsonb
    FROM taken, unnest(
      ${column((entry) => entry.action)}::text[], ${column((entry) => entry.actor.type)}::text[],
      ${column((entry) => entry.actor.id)}::text[], ${column((entry) => entry.actor.name)}::text[],
      ${column((entry) => entry.boardId)}::int[], ${column((entry) => entry.board)}::text[],
      ${column((entry) => entry.subject)}::text[], ${column((entry) => entry.outcome)}::text[],
      ${column((entry) => entry.code)}::text[], ${column((entry) => entry.count)}::int[],
      ${column((entry) => entry.address)}::text[], ${column((entry) => entry.requestId)}::text[],
      ${column((entry) => JSON.stringify(entry.data))}::text[]
    ) WITH ORDINALITY AS item (action, actor_type, actor_id, actor_name, board_id, board, subject, outcome, code, count, address,
      request_id, data, ordinality)`;
  assert(written.count === entries.length, 'every entry is written');
}

export interface AuditFilter {
  /** null: all boards, and what is of none. */
  readonly boardIds: readonly number[] | null;
  readonly boards: readonly string[] | null;
  readonly actors: readonly string[] | null;
  readonly actions: readonly string[] | null;
  readonly since: string | null;
  readonly until: string | null;
}

interface AuditRow extends Omit<AuditEntry, 'actor'> {
  readonly actor_type: AuditEntry['actor']['type'];
  readonly actor_id: string | null;
  readonly actor_name: string | null;
}

/** Up to `rowsMax` entries beyond `seq`: after it oldest first, or before it newest first. */
export async function listEntries(
  sql: Runner,
  { seq, isBackwards }: { readonly seq: number; readonly isBackwards: boolean },
  filter: AuditFilter,
  rowsMax: number,
): Promise<AuditEntry[]> {
  const { boardIds, boards, actors, actions, since, until } = filter;
  const rows = await sql<AuditRow[]>`
    /* audit.list */
    SELECT seq, at, action, actor_type, actor_id, actor_name, board, subject, outcome, code, count, address, request_id, data
    FROM audit_entries
    WHERE ${isBackwards ? sql`seq < ${seq}` : sql`seq > ${seq}`}
      AND (${boardIds as number[] | null}::int[] IS NULL OR about_board_id = ANY(${boardIds as number[] | null}::int[]))
      AND (${boards as string[] | null}::text[] IS NULL OR board = ANY(${boards as string[] | null}::text[]))
      AND (${actors as string[] | null}::text[] IS NULL OR actor_id = ANY(${actors as string[] | null}::text[]))
      AND (${actions as string[] | null}::text[] IS NULL OR action = ANY(${actions as string[] | null}::text[]))
      AND (${since}::timestamptz IS NULL OR at >= ${since}::timestamptz)
      AND (${until}::timestamptz IS NULL OR at < ${until}::timestamptz)
    ORDER BY seq ${isBackwards ? sql`DESC` : sql`ASC`} LIMIT ${rowsMax}`;
  return rows.map(({ actor_type: type, actor_id: id, actor_name: name, ...entry }) => ({
    ...entry,
    actor: { type, id, name },
  }));
}

/** The numbers of the newest entry, and of the oldest that is kept; of an empty log the next one. */
export async function readBounds(sql: Runner): Promise<{ readonly newest: number; readonly oldest: number }> {
  const [row] = await sql<{ newest: number; oldest: number }[]>`
    /* audit.bounds */
    SELECT newest, coalesce((SELECT min(seq) FROM audit_entries), newest + 1) AS oldest
    FROM (SELECT coalesce((SELECT seq FROM audit_seq WHERE id = 1), 0) AS newest) AS last`;
  return row ?? { newest: 0, oldest: 1 };
}

/** Up to `rowsMax` entries that are older than `days`, from the old end. Returns how many; what another server deletes is left to it. */
export async function deleteOldEntries(sql: Runner, days: number, rowsMax: number): Promise<number> {
  const rows = await sql`
    /* audit.prune */
    DELETE FROM audit_entries WHERE seq IN (
      SELECT seq FROM audit_entries WHERE at < clock_timestamp() - make_interval(days => ${days})
      ORDER BY seq LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED)`;
  return rows.count;
}
