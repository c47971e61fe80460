/** Who was seen on a lane, whether that makes it online, and how much work waits there. */
import type { Runner, Sql, Tx } from '../../../db/client.ts';

export interface Sighting {
  readonly boardId: number;
  readonly lane: string;
  readonly worker: string;
  readonly version: string | null;
}

/** A worker is online when it was seen this recently or holds a live claim. Pinned by the domain. */
const ONLINE_SECONDS = 90;
/** Workers that are long gone are not listed, nor more than a page of them per lane. */
const LISTED_SECONDS = 86_400;
const WORKERS_PER_LANE_MAX = 200;

/** A sighting never moves the time back, and one without a version keeps the version known. */
export async function recordSightings(sql: Runner, sightings: readonly Sighting[]): Promise<void> {
  await sql`
    /* presence.record */
    INSERT INTO workers (board_id, lane, worker, version, last_seen_at)
    SELECT seen.board_id, seen.lane, seen.worker, seen.version, clock_timestamp()
    FROM unnest(
      ${sightings.map((seen) => seen.boardId)}::int[], ${sightings.map((seen) => seen.lane)}::text[],
      ${sightings.map((seen) => seen.worker)}::text[], ${sightings.map((seen) => seen.version)}::text[]
    ) AS seen (board_id, lane, worker, version)
    JOIN lanes ON lanes.board_id = seen.board_id AND lanes.name = seen.lane
    ORDER BY seen.board_id, seen.lane, seen.worker
    ON CONFLICT (board_id, lane, worker) DO UPDATE
      SET last_seen_at = greatest(excluded.last_seen_at, workers.last_seen_at), version = coalesce(excluded.version, workers.version)`;
}

/** Forgets workers that no list shows any more. Rows that somebody is just writing are left for the next time. */
export async function pruneWorkers(sql: Sql, rowsMax: number): Promise<void> {
  await sql`
    /* presence.prune */
    DELETE FROM workers WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM workers WHERE last_seen_at < clock_timestamp() - make_interval(secs => ${LISTED_SECONDS})
      LIMIT ${rowsMax} FOR UPDATE SKIP LOCKED
    ))`;
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
 * the small tables of workers and lanes; claims are asked by their index, and only for lanes that nobody was seen on. The scalar
 * subselect keeps a planner from going through all claims for it.
 */
export async function listPresenceEdges(
  sql: Sql,
  mayEnd: boolean,
  rowsMax: number,
): Promise<{ board_id: number; name: string }[]> {
  return sql<{ board_id: number; name: string }[]>`
    /* presence.list_edges */
    WITH seen AS MATERIALIZED (
      SELECT DISTINCT board_id, lane FROM workers WHERE last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})
    )
    SELECT l.board_id, l.name FROM lanes l LEFT JOIN seen ON seen.board_id = l.board_id AND seen.lane = l.name
    WHERE (${String(mayEnd)}::text::boolean OR NOT l.is_online) AND l.is_online <> (seen.lane IS NOT NULL OR (
      SELECT true FROM claims c
      WHERE c.board_id = l.board_id AND c.lane = l.name AND c.lane <> '' AND NOT c.is_superseded LIMIT 1
    ) IS NOT NULL)
    ORDER BY l.board_id, l.name LIMIT ${rowsMax}`;
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
