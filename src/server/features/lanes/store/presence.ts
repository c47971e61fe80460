/** Who was seen on a lane, whether that makes it online, and how much work waits there. */
import type { Runner, Sql, Tx } from '../../../db/client.ts';

export interface Sighting {
  readonly boardId: number;
  readonly lane: string;
  readonly worker: string;
  readonly version: string | null;
}

/** A worker is online when it was seen this recently or holds a live claim. Pinned by the domain. */
export const ONLINE_SECONDS = 90;
/** Workers that are long gone are not listed, nor more than a page of them per lane. */
const LISTED_SECONDS = 86_400;
const WORKERS_PER_LANE_MAX = 200;

/** Of a lane, the latest seen first, remembered when they are gone: five times what a list shows. Names are anybody's choice. */
const REMEMBERED_PER_LANE_MAX = 1000;

/**
 * A sighting never moves the time back, and one without a version keeps the version known. Workers of many lanes, so no known one is
 * waited for: whoever has it locked has either just seen it, or is deleting it, or writes that its socket has closed. Those that are new
 * are inserted by a statement of their own, which holds nothing else, in the order of everybody.
 */
export async function recordSightings(sql: Runner, sightings: readonly Sighting[]): Promise<void> {
  const seen = sql`
    seen AS MATERIALIZED (
      SELECT seen.* FROM unnest(
        ${sightings.map((sighting) => sighting.boardId)}::int[], ${sightings.map((sighting) => sighting.lane)}::text[],
        ${sightings.map((sighting) => sighting.worker)}::text[], ${sightings.map((sighting) => sighting.version)}::text[]
      ) AS seen (board_id, lane, worker, version)
    )`;
  await sql`
    /* presence.record */
    WITH ${seen},
    free AS MATERIALIZED (
      SELECT w.board_id, w.lane, w.worker, seen.version
      FROM seen JOIN workers w ON w.board_id = seen.board_id AND w.lane = seen.lane AND w.worker = seen.worker
      FOR NO KEY UPDATE OF w SKIP LOCKED
    )
    UPDATE workers w
    SET last_seen_at = greatest(clock_timestamp(), w.last_seen_at), version = coalesce(free.version, w.version)
    FROM free WHERE w.board_id = free.board_id AND w.lane = free.lane AND w.worker = free.worker`;
  await sql`
    /* presence.record_new */
    WITH ${seen}
    INSERT INTO workers (board_id, lane, worker, version, last_seen_at)
    SELECT seen.board_id, seen.lane, seen.worker, seen.version, clock_timestamp()
    FROM seen JOIN lanes ON lanes.board_id = seen.board_id AND lanes.name = seen.lane
    WHERE NOT EXISTS (
      SELECT FROM workers w WHERE w.board_id = seen.board_id AND w.lane = seen.lane AND w.worker = seen.worker)
    ORDER BY seen.board_id, seen.lane, seen.worker
    ON CONFLICT (board_id, lane, worker) DO NOTHING`;
}

/**
 * Forgets workers that no list shows any more, and of a lane that has had a mass of them those that have gone. Rows that somebody is just
 * writing are left for the next time. Returns how many there were.
 */
export async function pruneWorkers(sql: Sql, rowsMax: number): Promise<number> {
  const { count } = await sql`
    /* presence.prune */
    WITH crowded AS MATERIALIZED (
      SELECT crowd.board_id, crowd.lane, (
        SELECT w.last_seen_at FROM workers w WHERE w.board_id = crowd.board_id AND w.lane = crowd.lane
        ORDER BY w.last_seen_at DESC OFFSET ${REMEMBERED_PER_LANE_MAX} LIMIT 1
      ) AS seen_at
      FROM (SELECT board_id, lane FROM workers GROUP BY board_id, lane HAVING count(*) > ${REMEMBERED_PER_LANE_MAX}) AS crowd
    ),
    gone AS MATERIALIZED (
      SELECT w.board_id, w.lane, w.worker FROM workers w
      WHERE w.last_seen_at < clock_timestamp() - make_interval(secs => ${LISTED_SECONDS})
        OR (w.last_seen_at < clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})
          AND w.last_seen_at <= (SELECT seen_at FROM crowded WHERE crowded.board_id = w.board_id AND crowded.lane = w.lane))
      LIMIT ${rowsMax} FOR UPDATE OF w SKIP LOCKED
    )
    DELETE FROM workers w USING gone WHERE w.board_id = gone.board_id AND w.lane = gone.lane AND w.worker = gone.worker`;
  return count;
}

export interface WorkerRow {
  readonly lane: string;
  readonly worker: string;
  readonly version: string | null;
  readonly last_seen_at: string;
  readonly in_flight: number;
  readonly is_online: boolean;
}

/** A claim that a takeover left to expire is still in flight, but no sign of life of its worker. */
export async function readWorkers(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<WorkerRow[]> {
  return sql<WorkerRow[]>`
    /* presence.workers */
    SELECT lane.name AS lane, seen.worker, seen.version, seen.last_seen_at, seen.in_flight, seen.is_online
    FROM unnest(${lanes as string[]}::text[]) AS lane (name)
    CROSS JOIN LATERAL (
      SELECT coalesce(w.worker, c.worker) AS worker, w.version,
        greatest(w.last_seen_at, c.last_seen_at) AS last_seen_at, coalesce(c.in_flight, 0)::int AS in_flight,
        (c.is_holding OR w.last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})) IS TRUE AS is_online
      FROM (
        SELECT worker, version, last_seen_at FROM workers
        WHERE board_id = ${boardId} AND lane = lane.name AND last_seen_at > clock_timestamp() - make_interval(secs => ${LISTED_SECONDS})
      ) AS w
      FULL JOIN (
        SELECT worker, count(*) AS in_flight, bool_or(NOT is_superseded) AS is_holding,
          max(greatest(claimed_at, last_heartbeat_at)) AS last_seen_at
        FROM claims WHERE board_id = ${boardId} AND lane = lane.name AND lane <> '' GROUP BY worker
      ) AS c ON c.worker = w.worker
      ORDER BY last_seen_at DESC LIMIT ${WORKERS_PER_LANE_MAX}
    ) AS seen`;
}

/** The other workers of the lane that are online, latest seen first. */
export async function listOthersOnline(
  sql: Runner,
  boardId: number,
  lane: string,
  worker: string,
  rowsMax: number,
): Promise<{ worker: string; last_seen_at: string; is_holding: boolean }[]> {
  return sql<{ worker: string; last_seen_at: string; is_holding: boolean }[]>`
    /* presence.others_online */
    SELECT other.worker, max(other.last_seen_at) AS last_seen_at, bool_or(other.is_holding) AS is_holding FROM (
      SELECT worker, last_seen_at, false AS is_holding FROM workers WHERE board_id = ${boardId} AND lane = ${lane}
      UNION ALL
      SELECT worker, greatest(claimed_at, last_heartbeat_at), true FROM claims
      WHERE board_id = ${boardId} AND lane = ${lane} AND lane <> '' AND NOT is_superseded
    ) AS other
    WHERE other.worker <> ${worker}
      AND (other.is_holding OR other.last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS}))
    GROUP BY other.worker ORDER BY last_seen_at DESC LIMIT ${rowsMax}`;
}

/**
 * Lanes whose workers have come or gone since the log last said so; with `mayEnd` false only those to which somebody has come. Reads
 * workers, live claims and the lanes that are online: what is at work, and never all the lanes that there are, of which a hundred thousand
 * may be idle. EXCEPT, because it takes one pass whatever a planner without statistics believes about their number.
 */
export async function listPresenceEdges(
  sql: Sql,
  mayEnd: boolean,
  boards: { readonly onlyId?: number; readonly exceptIds?: readonly number[] },
  rowsMax: number,
): Promise<{ board_id: number; name: string }[]> {
  const isAsked =
    boards.onlyId === undefined
      ? sql`edge.board_id <> ALL (${(boards.exceptIds ?? []) as number[]}::int[])`
      : sql`edge.board_id = ${boards.onlyId}`;
  return sql<{ board_id: number; name: string }[]>`
    /* presence.list_edges */
    WITH active AS MATERIALIZED (
      SELECT board_id, lane AS name FROM workers WHERE last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})
      UNION
      SELECT board_id, lane FROM claims WHERE lane <> '' AND NOT is_superseded
    ),
    online AS MATERIALIZED (SELECT board_id, name FROM lanes WHERE is_online)
    SELECT edge.board_id, edge.name FROM (
      SELECT come.board_id, come.name FROM (SELECT board_id, name FROM active EXCEPT SELECT board_id, name FROM online) AS come
      CROSS JOIN LATERAL (SELECT FROM lanes l WHERE l.board_id = come.board_id AND l.name = come.name AND NOT l.is_online OFFSET 0) AS lane
      UNION ALL
      SELECT gone.board_id, gone.name FROM (SELECT board_id, name FROM online EXCEPT SELECT board_id, name FROM active) AS gone
      WHERE ${String(mayEnd)}::text::boolean
    ) AS edge
    WHERE ${isAsked} ORDER BY edge.board_id, edge.name LIMIT ${rowsMax}`;
}

/** What the log last said of these lanes; one that is gone is missing. Until the end of the transaction nobody else says more. */
export async function lockPresence(
  tx: Tx,
  boardId: number,
  lanes: readonly string[],
): Promise<{ name: string; is_online: boolean }[]> {
  return tx<{ name: string; is_online: boolean }[]>`
    /* presence.lock */
    SELECT name, is_online FROM lanes WHERE board_id = ${boardId} AND name = ANY(${lanes as string[]}::text[])
    ORDER BY name FOR NO KEY UPDATE`;
}

/** How many workers of each lane are online now. */
export async function countOnlineWorkers(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<Map<string, number>> {
  const rows = await sql<{ lane: string; workers: number }[]>`
    /* presence.count_online */
    SELECT lane.name AS lane, online.workers FROM unnest(${lanes as string[]}::text[]) AS lane (name)
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS workers FROM (
        SELECT worker FROM workers
        WHERE board_id = ${boardId} AND lane = lane.name AND last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})
        UNION
        SELECT worker FROM claims WHERE board_id = ${boardId} AND lane = lane.name AND lane <> '' AND NOT is_superseded
      ) AS worker
    ) AS online`;
  return new Map(rows.map((row) => [row.lane, row.workers]));
}

/** Neither the lane's version nor what claims are decided on changes with it. */
export async function setPresence(
  tx: Tx,
  boardId: number,
  lanes: readonly string[],
  isOnline: boolean,
): Promise<void> {
  if (lanes.length === 0) return;
  await tx`
    /* presence.set */
    UPDATE lanes SET is_online = ${isOnline} WHERE board_id = ${boardId} AND name = ANY(${lanes as string[]}::text[])`;
}

export interface BacklogRow {
  readonly lane: string;
  readonly ready: number;
  readonly running: number;
  readonly oldest_ready_at: string | null;
}

export async function readBacklogs(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<BacklogRow[]> {
  return sql<BacklogRow[]>`
    /* presence.backlogs */
    SELECT lane.name AS lane, waiting.ready, waiting.oldest_ready_at,
      (SELECT count(*)::int FROM claims WHERE board_id = ${boardId} AND lane = lane.name AND lane <> '') AS running
    FROM unnest(${lanes as string[]}::text[]) AS lane (name)
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS ready, min(status_since) AS oldest_ready_at FROM tasks
      WHERE board_id = ${boardId} AND lane = lane.name AND status = 'ready'
    ) AS waiting`;
}
