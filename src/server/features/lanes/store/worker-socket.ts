/** Which socket is a worker's: the newest that said hello under its name, on whatever server. The row decides. */
import type { Sql, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface SocketOpening {
  readonly lane: string;
  readonly worker: string;
  readonly version: string | null;
  readonly socketId: Uuid;
}

export interface OpenedRow {
  readonly lane: string;
  readonly worker: string;
  /** When, in microseconds since 1970: rises with every hello of the worker, so of two sockets the higher is the newer. */
  readonly opened_us: number;
}

const OPENED_US = (sql: Sql) => sql`(extract(epoch FROM w.socket_opened_at) * 1000000)::bigint`;

/**
 * Writes hellos, each worker at most once. What is missing from the answer named a lane that is not there; the lanes are locked against
 * being deregistered meanwhile, which would leave workers of no lane behind.
 */
export async function openWorkerSockets(
  sql: Sql,
  boardId: number,
  openings: readonly SocketOpening[],
): Promise<OpenedRow[]> {
  return sql<OpenedRow[]>`
    /* presence.open_sockets */
    WITH opening AS MATERIALIZED (
      SELECT opening.* FROM unnest(
        ${openings.map((opening) => opening.lane)}::text[], ${openings.map((opening) => opening.worker)}::text[],
        ${openings.map((opening) => opening.version)}::text[], ${openings.map((opening) => opening.socketId)}::uuid[]
      ) AS opening (lane, worker, version, socket_id)
      JOIN lanes ON lanes.board_id = ${boardId} AND lanes.name = opening.lane
      FOR KEY SHARE OF lanes
    )
    INSERT INTO workers AS w (board_id, lane, worker, version, last_seen_at, socket_id, socket_opened_at)
    SELECT ${boardId}, lane, worker, version, clock_timestamp(), socket_id, clock_timestamp() FROM opening ORDER BY lane, worker
    ON CONFLICT (board_id, lane, worker) DO UPDATE SET
      version = coalesce(excluded.version, w.version), last_seen_at = clock_timestamp(), socket_id = excluded.socket_id,
      socket_opened_at = greatest(clock_timestamp(), w.socket_opened_at + interval '1 microsecond'), socket_closed_at = NULL
    RETURNING w.lane, w.worker, ${OPENED_US(sql)} AS opened_us`;
}

export interface SocketClosing {
  readonly worker: string;
  readonly socketId: Uuid;
  /** How long ago it closed. */
  readonly secondsAgo: number;
}

export interface ClosedRow {
  readonly worker: string;
  readonly socket_id: Uuid;
  readonly socket_closed_at: string;
}

/**
 * Sockets of one lane's workers have closed. Returns those that are still their workers' newest, locked in the workers' order until the
 * end of the transaction: a hello waits until what follows from the close is decided, or it came first and the row is missing here. How
 * long ago counts from when the statement began: it may have waited for its locks, and meanwhile the worker may have claimed without a socket.
 */
export async function closeWorkerSockets(
  tx: Tx,
  boardId: number,
  lane: string,
  closings: readonly SocketClosing[],
): Promise<ClosedRow[]> {
  return tx<ClosedRow[]>`
    /* presence.close_sockets */
    WITH closed AS MATERIALIZED (
      SELECT w.worker, closing.seconds_ago FROM unnest(
        ${closings.map((closing) => closing.worker)}::text[], ${closings.map((closing) => closing.socketId)}::uuid[],
        ${closings.map((closing) => closing.secondsAgo)}::float8[]
      ) AS closing (worker, socket_id, seconds_ago)
      JOIN workers w ON w.board_id = ${boardId} AND w.lane = ${lane} AND w.worker = closing.worker AND w.socket_id = closing.socket_id
      ORDER BY w.worker FOR NO KEY UPDATE OF w
    )
    UPDATE workers w
    SET socket_closed_at = coalesce(w.socket_closed_at, statement_timestamp() - make_interval(secs => closed.seconds_ago))
    FROM closed WHERE w.board_id = ${boardId} AND w.lane = ${lane} AND w.worker = closed.worker
    RETURNING w.worker, w.socket_id, w.socket_closed_at`;
}

export interface NewestSocketRow extends OpenedRow {
  readonly board_id: number;
  readonly socket_id: Uuid;
}

/**
 * The newest sockets of workers of these boards, as far as they were opened in the last so many seconds. By a clock that stands still in a
 * statement: only such a one is looked up in the index.
 */
export async function listNewestSockets(
  sql: Sql,
  boardIds: readonly number[],
  seconds: number,
): Promise<NewestSocketRow[]> {
  return sql<NewestSocketRow[]>`
    /* presence.newest_sockets */
    SELECT w.board_id, w.lane, w.worker, w.socket_id, ${OPENED_US(sql)} AS opened_us FROM workers w
    WHERE w.board_id = ANY(${boardIds as number[]}::int[]) AND w.socket_id IS NOT NULL
      AND w.socket_opened_at > statement_timestamp() - make_interval(secs => ${seconds})`;
}

export interface KnownSocket {
  readonly boardId: number;
  readonly lane: string;
  readonly worker: string;
  readonly socketId: Uuid;
}

/** The newest sockets of these workers, where they are others than these. */
export async function listNewerSockets(
  sql: Sql,
  sockets: readonly KnownSocket[],
): Promise<NewestSocketRow[]> {
  return sql<NewestSocketRow[]>`
    /* presence.newer_sockets */
    SELECT w.board_id, w.lane, w.worker, w.socket_id, ${OPENED_US(sql)} AS opened_us
    FROM unnest(
      ${sockets.map((socket) => socket.boardId)}::int[], ${sockets.map((socket) => socket.lane)}::text[],
      ${sockets.map((socket) => socket.worker)}::text[], ${sockets.map((socket) => socket.socketId)}::uuid[]
    ) AS known (board_id, lane, worker, socket_id)
    CROSS JOIN LATERAL (
      SELECT * FROM workers w WHERE w.board_id = known.board_id AND w.lane = known.lane AND w.worker = known.worker LIMIT 1
    ) AS w
    WHERE w.socket_id <> known.socket_id`;
}
