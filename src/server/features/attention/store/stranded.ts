/**
 * Finding ready tasks that nobody claims, at no cost to whoever makes, claims or ends tasks: the log says of each wait when it began, and it
 * is read once more when the wait has become too long. The mark of a board says how far; whoever holds its lock looks, nobody else.
 */
import type { Runner, Sql, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/** How long a board lets a task wait. */
const AFTER = (sql: Runner, defaultSeconds: number) => sql`
  make_interval(secs => coalesce((b.settings ->> 'stranded_after_seconds')::int, ${defaultSeconds}::int))`;

interface BoardRange {
  readonly afterId: number;
  /** Are looked at anyway. */
  readonly troubled: readonly number[];
  /** How many boards are looked at, and how many are named at most. */
  readonly boardsMax: number;
  readonly rowsMax: number;
}

/**
 * Boards after `afterId` with something to look at: a log whose next event has become old enough, or tasks that were found stranded and may
 * have moved on. Where the next look begins is `nextId`.
 */
export async function listBoardsToSearch(
  sql: Sql,
  range: BoardRange,
  defaultSeconds: number,
): Promise<{ readonly ids: readonly number[]; readonly nextId: number }> {
  const [row] = await sql<{ ids: number[]; end_id: number | null }[]>`
    /* stranded.list_boards */
    WITH b AS MATERIALIZED (
      SELECT id, settings FROM boards WHERE id > ${range.afterId} ORDER BY id LIMIT ${range.boardsMax}
    )
    SELECT to_json(ARRAY(
      SELECT b.id
      FROM b
      JOIN board_seq s ON s.board_id = b.id
      LEFT JOIN stranded_marks m ON m.board_id = b.id
      LEFT JOIN LATERAL (
        SELECT at FROM events WHERE m.seq < s.seq AND board_id = b.id AND seq > m.seq ORDER BY seq LIMIT 1
      ) AS next ON true
      WHERE b.id <> ALL (${range.troubled as number[]}::int[]) AND (
        m.board_id IS NULL
        OR next.at <= clock_timestamp() - ${AFTER(sql, defaultSeconds)}
        OR EXISTS (SELECT FROM stranded_tasks t WHERE t.board_id = b.id)
      )
      ORDER BY b.id LIMIT ${range.rowsMax}
    )) AS ids, (SELECT max(id) FROM b HAVING count(*) = ${range.boardsMax}) AS end_id`;
  const ids = row?.ids ?? [];
  return { ids, nextId: (ids.length === range.rowsMax ? ids.at(-1) : row?.end_id) ?? 0 };
}

/** A new board is first searched within seconds, unless every server has just been stopped. */
const FIRST_SEARCH_SECONDS = 600;

/**
 * Begins where the waits are young, or have not been too long for long: what has waited since before that when a board is searched for the
 * first time, after an upgrade, is not reported. The place is found by halves, because times rise along the log and only its numbers are indexed. The board's lock keeps a mark
 * from being left behind by a board that is just deleted. False: it has one, or is gone.
 */
export async function beginMark(sql: Runner, boardId: number, defaultSeconds: number): Promise<boolean> {
  const { count } = await sql`
    /* stranded.begin_mark */
    INSERT INTO stranded_marks (board_id, seq)
    SELECT b.id, coalesce((
      -- Up to low everything is old, after high nothing is.
      WITH RECURSIVE search (low, high) AS (
        SELECT pruned_seq, seq FROM board_seq WHERE board_id = ${boardId}
        UNION ALL
        SELECT CASE WHEN probe.is_old THEN probe.middle ELSE search.low END, CASE WHEN probe.is_old THEN search.high ELSE probe.middle - 1 END
        FROM search CROSS JOIN LATERAL (
          SELECT seq AS middle, at <= now() - ${AFTER(sql, defaultSeconds)} - make_interval(secs => ${FIRST_SEARCH_SECONDS}) AS is_old
          FROM events WHERE board_id = ${boardId} AND seq = (search.low + search.high + 1) / 2
        ) AS probe
        WHERE search.low < search.high
      )
      SELECT low FROM search WHERE low = high
    ), 0)
    FROM (
      SELECT id, settings FROM boards
      WHERE id = ${boardId} AND NOT EXISTS (SELECT FROM stranded_marks WHERE board_id = ${boardId}) FOR SHARE
    ) AS b
    ON CONFLICT DO NOTHING`;
  return count > 0;
}

interface Mark {
  readonly seq: number;
  readonly settings: Record<string, unknown>;
}

/** Null: another server is at it, there is none yet, or the board is gone. */
export async function lockMark(tx: Tx, boardId: number): Promise<Mark | null> {
  const [row] = await tx<Mark[]>`
    /* stranded.lock_mark */
    SELECT m.seq, b.settings FROM stranded_marks m JOIN boards b ON b.id = m.board_id
    WHERE m.board_id = ${boardId} FOR UPDATE OF m SKIP LOCKED`;
  return row ?? null;
}

export async function moveMark(tx: Tx, boardId: number, seq: number): Promise<void> {
  await tx`/* stranded.move_mark */ UPDATE stranded_marks SET seq = ${seq} WHERE board_id = ${boardId}`;
}

/** A task that became ready with this event, and still is. */
export interface Wait {
  readonly seq: number;
  readonly id: Uuid;
}

interface LogRange {
  readonly afterSeq: number;
  readonly afterSeconds: number;
  readonly rowsMax: number;
  readonly waitsMax: number;
}

export interface LogPage {
  readonly waits: readonly Wait[];
  /** The last event that is old enough; null: none is. */
  readonly dueSeq: number | null;
  /** There may be more old events after it. */
  readonly isFull: boolean;
}

/** The part of the log after a position that is old enough, and the first waits in it that go on, as far as asked for. */
export async function readOldLog(sql: Runner, boardId: number, range: LogRange): Promise<LogPage> {
  const [row] = await sql<{ due_seq: number | null; due: number; waits: Wait[] }[]>`
    /* stranded.read_log */
    WITH page AS MATERIALIZED (
      SELECT seq, at, task_id, is_wait, bool_and(is_old) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS is_due
      FROM (
        SELECT seq, at, task_id, data ->> 'status_after' = 'ready' AS is_wait,
          at <= clock_timestamp() - make_interval(secs => ${range.afterSeconds}) AS is_old
        FROM events WHERE board_id = ${boardId} AND seq > ${range.afterSeq} ORDER BY seq LIMIT ${range.rowsMax}
      ) AS event
    ),
    wait AS MATERIALIZED (
      SELECT page.seq, page.task_id FROM page
      CROSS JOIN LATERAL (SELECT status, status_since FROM tasks WHERE board_id = ${boardId} AND id = page.task_id OFFSET 0) AS task
      WHERE page.is_due AND page.is_wait AND task.status = 'ready' AND task.status_since <= page.at
      ORDER BY page.seq LIMIT ${range.waitsMax}
    )
    SELECT max(seq) AS due_seq, count(*)::int AS due,
      coalesce((SELECT json_agg(json_build_object('seq', seq, 'id', task_id) ORDER BY seq) FROM wait), '[]') AS waits
    FROM page WHERE is_due`;
  return { waits: row?.waits ?? [], dueSeq: row?.due_seq ?? null, isFull: row?.due === range.rowsMax };
}

export interface Stranded {
  readonly id: Uuid;
  readonly lane: string | null;
  readonly ready_since: string;
  readonly waited_seconds: number;
}

/**
 * Writes down the waits that still go on, and returns those that were not known: one task may be named by several events of one wait. Takes no
 * lock on tasks, so claims skip none of them for it: under the lock of the log a plain look is exact.
 */
export async function recordStranded(tx: Tx, boardId: number, waits: readonly Wait[]): Promise<Stranded[]> {
  return tx<Stranded[]>`
    /* stranded.record */
    WITH waiting AS MATERIALIZED (
      SELECT DISTINCT ON (task.id) task.id, task.lane, task.status_since
      FROM unnest(${waits.map(({ id }) => id)}::uuid[], ${waits.map(({ seq }) => String(seq))}::text[]::bigint[]) AS wait (id, seq)
      CROSS JOIN LATERAL (SELECT at FROM events WHERE board_id = ${boardId} AND seq = wait.seq OFFSET 0) AS event
      CROSS JOIN LATERAL (
        SELECT id, lane, status, status_since FROM tasks
        WHERE board_id = ${boardId} AND id = wait.id AND NOT is_system OFFSET 0
      ) AS task
      WHERE task.status = 'ready' AND task.status_since <= event.at
      ORDER BY task.id
    ),
    recorded AS (
      INSERT INTO stranded_tasks AS known (board_id, task_id, ready_since, at)
      SELECT ${boardId}, id, status_since, clock_timestamp() FROM waiting ORDER BY id
      ON CONFLICT (board_id, task_id) DO UPDATE SET ready_since = excluded.ready_since, at = excluded.at
        WHERE known.ready_since <> excluded.ready_since
      RETURNING task_id
    )
    SELECT waiting.id, waiting.lane, waiting.status_since AS ready_since,
      extract(epoch FROM clock_timestamp() - waiting.status_since)::float8 AS waited_seconds
    FROM waiting JOIN recorded ON recorded.task_id = waiting.id
    ORDER BY waiting.status_since, waiting.id`;
}

/**
 * Forgets tasks that have moved on since, of as many as asked for, in the order of their ids after this one. Null as the last: there are no more.
 * Others write these rows while they have the counter row, so what they are at is left to the next time.
 */
export async function forgetMoved(
  tx: Tx,
  boardId: number,
  afterId: Uuid | null,
  rowsMax: number,
): Promise<{ readonly forgotten: number; readonly lastId: Uuid | null }> {
  const [row] = await tx<{ forgotten: number; seen: number; last_id: Uuid | null }[]>`
    /* stranded.forget */
    WITH page AS MATERIALIZED (
      SELECT task_id, ready_since FROM stranded_tasks
      WHERE board_id = ${boardId} AND (${afterId}::uuid IS NULL OR task_id > ${afterId}::uuid)
      ORDER BY task_id LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED
    ),
    moved AS MATERIALIZED (
      SELECT page.task_id FROM page WHERE (
        SELECT true FROM tasks WHERE board_id = ${boardId} AND id = page.task_id AND status = 'ready' AND status_since = page.ready_since
      ) IS NULL
    ),
    forgotten AS (
      DELETE FROM stranded_tasks WHERE board_id = ${boardId} AND task_id IN (SELECT task_id FROM moved) RETURNING 1
    )
    SELECT (SELECT count(*)::int FROM forgotten) AS forgotten, count(*)::int AS seen,
      (SELECT task_id FROM page ORDER BY task_id DESC LIMIT 1) AS last_id FROM page`;
  return { forgotten: row?.forgotten ?? 0, lastId: row?.seen === rowsMax ? row.last_id : null };
}
