/** The audit log in the database. */
import type { AuditAction, AuditEntry } from '../../../contract/audit.ts';
import type { Runner, Tx } from '../../db/client.ts';
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

/** Numbers, both ends included; empty where `from` is above `to`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
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

/** Up to `rowsMax` of these entries, oldest or newest first. */
export async function listEntries(
  sql: Runner,
  { from, to, isBackwards }: Stretch & { readonly isBackwards: boolean },
  filter: AuditFilter,
  rowsMax: number,
): Promise<AuditEntry[]> {
  const { boardIds, boards, actors, actions, since, until } = filter;
  const rows = await sql<AuditRow[]>`
    /* audit.list */
    SELECT seq, at, action, actor_type, actor_id, actor_name, board, subject, outcome, code, count, address, request_id, data
    FROM audit_entries
    WHERE seq BETWEEN ${from} AND ${to}
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

/** Where a restore has cut off the log that the number was of: the last number before it; null: there it has not. */
export async function readCutBehind(sql: Runner, seq: number): Promise<number | null> {
  const restored: AuditAction = 'database.restored';
  const [row] = await sql<{ seq: number; last_seq: number | null }[]>`
    /* audit.cut_behind */
    SELECT seq, CASE WHEN action = ${restored} THEN (data ->> 'last_seq')::float8 END AS last_seq
    FROM (SELECT seq, action, data FROM audit_entries WHERE seq > ${seq} ORDER BY seq LIMIT 1) AS next`;
  // The one right before it ends a page that was read up to its time.
  return row && row.last_seq !== null && seq > row.last_seq && seq < row.seq - 1 ? row.last_seq : null;
}

/** The number of the last of so many entries of the stretch, from its beginning or its end; null: there are fewer. Numbers may jump. */
export async function findEdge(
  sql: Runner,
  { from, to }: Stretch,
  isBackwards: boolean,
  entries: number,
): Promise<number | null> {
  const [row] = await sql<{ seq: number }[]>`
    /* audit.find_edge */
    SELECT seq FROM audit_entries WHERE seq BETWEEN ${from} AND ${to}
    ORDER BY seq ${isBackwards ? sql`DESC` : sql`ASC`} OFFSET ${entries - 1} LIMIT 1`;
  return row?.seq ?? null;
}

/** The numbers from which on entries are of that time or later, and of that time or later again; null: none is. An index by time finds them. */
export async function findBounds(
  sql: Runner,
  { since, until }: Pick<AuditFilter, 'since' | 'until'>,
): Promise<{ readonly since: number | null; readonly until: number | null }> {
  if (since === null && until === null) return { since: null, until: null };
  const firstAt = (time: string | null) => sql`(
    SELECT min(seq) FROM audit_entries
    WHERE at = (SELECT at FROM audit_entries WHERE at >= ${time}::timestamptz ORDER BY at LIMIT 1))`;
  const [row] = await sql<{ since: number | null; until: number | null }[]>`
    /* audit.find_bounds */ SELECT ${firstAt(since)} AS since, ${firstAt(until)} AS until`;
  return row ?? { since: null, until: null };
}

/** The boards of these names that there are. */
export async function findBoardIds(sql: Runner, names: readonly string[]): Promise<Map<string, number>> {
  const rows = await sql<{ id: number; name: string }[]>`
    /* audit.find_boards */ SELECT id, name FROM boards WHERE name = ANY (${names as string[]}::text[])`;
  return new Map(rows.map(({ id, name }) => [name, id]));
}

/**
 * Of the oldest `rowsMax` entries those that are older than `days`, up to the first that is not: at any time what is there has no hole. For the same
 * reason one server prunes at a time. Returns how many; none where another one is at it.
 */
export async function deleteOldEntries(tx: Tx, days: number, rowsMax: number): Promise<number> {
  const [lock] = await tx<{ is_free: boolean }[]>`
    /* audit.lock_pruning */ SELECT pg_try_advisory_xact_lock(hashtextextended('audit pruning', 0)) AS is_free`;
  if (lock?.is_free !== true) return 0;
  const rows = await tx`
    /* audit.prune */
    DELETE FROM audit_entries WHERE seq IN (
      SELECT seq FROM (
        SELECT seq, bool_and(at < clock_timestamp() - make_interval(days => ${days})) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS is_old
        FROM (SELECT seq, at FROM audit_entries ORDER BY seq LIMIT ${rowsMax}) AS oldest
      ) AS entry
      WHERE is_old)`;
  return rows.count;
}
