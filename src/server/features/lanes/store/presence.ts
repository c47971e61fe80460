/** Who was seen on a lane, and how much work waits there. */
import type { Runner } from '../../../db/client.ts';

export interface Sighting {
  readonly boardId: number;
  readonly lane: string;
  readonly worker: string;
  readonly version: string | null;
}

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
      SET last_seen_at = excluded.last_seen_at, version = coalesce(excluded.version, workers.version)`;
}

export interface WorkerRow {
  readonly lane: string;
  readonly worker: string;
  readonly version: string | null;
  readonly last_seen_at: string;
  readonly in_flight: number;
  readonly is_online: boolean;
}

/** A worker is online when it was seen this recently or holds a live claim. Pinned by the domain. */
const ONLINE_SECONDS = 90;
/** Workers that are long gone are not listed, nor more than a page of them per lane. */
const LISTED_SECONDS = 86_400;
const WORKERS_PER_LANE_MAX = 200;

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
        (c.in_flight > 0 OR w.last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})) IS TRUE AS is_online
      FROM (
        SELECT worker, version, last_seen_at FROM workers
        WHERE board_id = ${boardId} AND lane = lane.name AND last_seen_at > clock_timestamp() - make_interval(secs => ${LISTED_SECONDS})
      ) AS w
      FULL JOIN (
        SELECT worker, count(*) AS in_flight, max(greatest(claimed_at, last_heartbeat_at)) AS last_seen_at FROM claims
        WHERE board_id = ${boardId} AND lane = lane.name AND lane <> '' GROUP BY worker
      ) AS c ON c.worker = w.worker
      ORDER BY last_seen_at DESC LIMIT ${WORKERS_PER_LANE_MAX}
    ) AS seen`;
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
