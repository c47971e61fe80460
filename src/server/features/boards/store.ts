/** Boards in the database. */
import type { JsonParameter, Runner, Tx } from '../../db/client.ts';

export interface BoardRow {
  readonly id: number;
  readonly name: string;
  readonly title: string | null;
  readonly description: string | null;
  readonly settings: Record<string, unknown>;
  readonly log_incarnation: string;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly seq: number;
  readonly config_version: number;
  readonly triage: number;
  readonly todo: number;
  readonly scheduled: number;
  readonly ready: number;
  readonly running: number;
  readonly blocked: number;
  readonly review: number;
  readonly done: number;
  readonly cancelled: number;
  readonly archived: number;
}

const COLUMNS = (sql: Runner) => sql`
  b.id, b.name, b.title, b.description, b.settings, b.log_incarnation, b.version, b.created_at, b.updated_at, s.seq, s.config_version,
  s.triage, s.todo, s.scheduled, s.ready, s.running, s.blocked, s.review, s.done, s.cancelled, s.archived`;

export async function findBoard(sql: Runner, name: string): Promise<BoardRow | null> {
  const [row] = await sql<BoardRow[]>`
    /* boards.find */ SELECT ${COLUMNS(sql)} FROM boards b JOIN board_seq s ON s.board_id = b.id WHERE b.name = ${name}`;
  return row ?? null;
}

export async function findBoardById(sql: Runner, id: number): Promise<BoardRow | null> {
  const [row] = await sql<BoardRow[]>`
    /* boards.find_by_id */ SELECT ${COLUMNS(sql)} FROM boards b JOIN board_seq s ON s.board_id = b.id WHERE b.id = ${id}`;
  return row ?? null;
}

/** Until the end of the transaction nobody else changes or deletes the board. */
export async function lockBoard(
  tx: Tx,
  name: string,
): Promise<{ id: number; version: number; settings: Record<string, unknown> } | null> {
  const [row] = await tx<{ id: number; version: number; settings: Record<string, unknown> }[]>`
    /* boards.lock */ SELECT id, version, settings FROM boards WHERE name = ${name} FOR NO KEY UPDATE`;
  return row ?? null;
}

/** For its end. Whoever holds it (FOR KEY SHARE) is waited for, and whoever is to waits: what is made for it meanwhile is found by then. */
export async function lockBoardForEnd(tx: Tx, name: string): Promise<number | null> {
  const [row] = await tx<{ id: number }[]>`
    /* boards.lock_for_end */ SELECT id FROM boards WHERE name = ${name} FOR UPDATE`;
  return row?.id ?? null;
}

export async function listBoards(
  sql: Runner,
  names: readonly string[] | null,
  afterName: string | null,
  rowsMax: number,
): Promise<BoardRow[]> {
  return sql<BoardRow[]>`
    /* boards.list */
    SELECT ${COLUMNS(sql)} FROM boards b JOIN board_seq s ON s.board_id = b.id
    WHERE (${names === null} OR b.name = ANY(${names as string[] | null}::text[])) AND (${afterName}::text IS NULL OR b.name > ${afterName}::text)
    ORDER BY b.name LIMIT ${rowsMax}`;
}

interface BoardFields {
  readonly title: string | null;
  readonly description: string | null;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** null: the name is taken. */
export async function insertBoard(
  tx: Tx,
  name: string,
  incarnation: string,
  fields: BoardFields,
): Promise<number | null> {
  const [row] = await tx<{ id: number }[]>`
    /* boards.insert */
    WITH made AS (
      INSERT INTO boards (name, title, description, settings, log_incarnation)
      VALUES (${name}, ${fields.title}, ${fields.description}, ${tx.json(fields.settings as JsonParameter)}, ${incarnation})
      ON CONFLICT (name) DO NOTHING
      RETURNING id
    )
    INSERT INTO board_seq (board_id) SELECT id FROM made RETURNING board_id AS id`;
  return row?.id ?? null;
}

/** Undefined fields keep their value. */
export async function updateBoard(tx: Tx, id: number, fields: Partial<BoardFields>): Promise<void> {
  await tx`
    /* boards.update */
    UPDATE boards SET
      title = CASE WHEN ${fields.title !== undefined} THEN ${fields.title ?? null}::text ELSE title END,
      description = CASE WHEN ${fields.description !== undefined} THEN ${fields.description ?? null}::text ELSE description END,
      settings = ${fields.settings === undefined ? tx`settings` : tx.json(fields.settings as JsonParameter)},
      version = version + 1, updated_at = clock_timestamp()
    WHERE id = ${id}`;
}

export async function hasClaims(tx: Tx, boardId: number): Promise<boolean> {
  const rows = await tx`/* boards.has_claims */ SELECT FROM claims WHERE board_id = ${boardId} LIMIT 1`;
  return rows.length > 0;
}

/** Who has a lane comes to the counter row next. One that is made from now on finds that gone. */
export async function lockLanes(tx: Tx, boardId: number): Promise<void> {
  await tx`/* boards.lock_lanes */ SELECT FROM lanes WHERE board_id = ${boardId} ORDER BY name FOR UPDATE`;
}

/** Without its counter row no transaction can write an event of the board, so none can add rows to it. */
export async function deleteCounter(tx: Tx, boardId: number): Promise<void> {
  await tx`/* boards.delete_counter */ DELETE FROM board_seq WHERE board_id = ${boardId}`;
}

/** In the transaction that deleted the counter row. */
export async function deleteBoardRows(tx: Tx, boardId: number, name: string): Promise<void> {
  for (const table of [
    'claims',
    'tasks',
    'task_details',
    'links',
    'operations',
    'operation_items',
    'stranded_tasks',
    'stranded_marks',
    'retention',
    // Before the rows that whoever has its lock writes.
    'stats_progress',
    'board_minutes',
    'runs',
    'comments',
    'messages',
    'outputs',
    'output_lines',
    'events',
    'past_incarnations',
    'workers',
    'lanes',
    'delegations',
    'delegation_tasks',
    'subscriptions',
    'deliveries',
    'session_messages',
    'idempotency_keys',
  ]) {
    await tx`/* boards.delete */ DELETE FROM ${tx(table)} WHERE board_id = ${boardId}`;
  }
  // Codes of this board alone die with it; codes of several lose it. Before the keys, as whoever takes a code does: the key that comes of
  // it is there by the time the keys are read.
  await tx`/* boards.delete */ DELETE FROM sign_in_codes WHERE array_remove(boards, ${name}) = '{}'`;
  await tx`/* boards.delete */ UPDATE sign_in_codes SET boards = array_remove(boards, ${name}) WHERE ${name} = ANY(boards)`;
  // Keys of several boards lose it, and then those of this board alone are revoked: a key whose other boards are deleted at this moment has
  // this one alone by the second look.
  await tx`/* boards.delete */ UPDATE api_keys SET boards = array_remove(boards, ${name}) WHERE ${name} = ANY(boards) AND NOT boards <@ ARRAY[${name}]`;
  await tx`/* boards.delete */ UPDATE api_keys SET revoked_at = clock_timestamp() WHERE boards <@ ARRAY[${name}] AND revoked_at IS NULL`;
  await tx`/* boards.delete */ DELETE FROM boards WHERE id = ${boardId}`;
}
