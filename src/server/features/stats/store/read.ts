/** A board's minutes, summed up by points in time. In one snapshot, so that the parts fit together. */
import type { TaskStatus } from '../../../../contract/statuses.ts';
import type { Runner, Tx } from '../../../db/client.ts';
import type { LanePoint } from '../lane-stats.ts';

type Depth = Readonly<Record<TaskStatus, number>>;

export interface Frame {
  /** The beginnings of the points. */
  readonly times: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly up_to: string;
  /** Now. */
  readonly depth: Depth;
  /** Depth was never written down. */
  readonly depth_before: Depth | null;
}

export interface WindowRange {
  readonly stepSeconds: number;
  readonly points: number;
}

/** The epoch as the origin: points begin at whole steps, the same for everybody who looks. */
const POINT = (sql: Runner, stepSeconds: number, column: 'minute' | 'now') =>
  column === 'minute'
    ? sql`date_bin(make_interval(secs => ${stepSeconds}), minute, to_timestamp(0))`
    : sql`date_bin(make_interval(secs => ${stepSeconds}), now(), to_timestamp(0))`;

/** Null: the board is gone. */
export async function readFrame(tx: Tx, boardId: number, range: WindowRange): Promise<Frame | null> {
  const { stepSeconds, points } = range;
  const [row] = await tx<Frame[]>`
    /* stats.frame */
    SELECT span.from_at AS from, now() AS to, greatest(span.from_at, coalesce((
        SELECT at FROM events WHERE board_id = ${boardId} AND seq > coalesce(p.seq, s.pruned_seq) ORDER BY seq LIMIT 1
      ), now())) AS up_to,
      (SELECT json_agg(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') ORDER BY at)
        FROM generate_series(span.from_at, now(), make_interval(secs => ${stepSeconds})) AS at) AS times,
      json_build_object('triage', s.triage, 'todo', s.todo, 'scheduled', s.scheduled, 'ready', s.ready, 'running', s.running, 'blocked', s.blocked,
        'review', s.review, 'done', s.done, 'cancelled', s.cancelled, 'archived', s.archived) AS depth,
      (SELECT depth FROM board_minutes WHERE board_id = ${boardId} AND minute < span.from_at AND depth <> '{}' ORDER BY minute DESC LIMIT 1)
        AS depth_before
    FROM board_seq s
    LEFT JOIN stats_progress p ON p.board_id = s.board_id
    CROSS JOIN (SELECT ${POINT(tx, stepSeconds, 'now')} - make_interval(secs => ${stepSeconds * (points - 1)}) AS from_at) AS span
    WHERE s.board_id = ${boardId}`;
  return row ?? null;
}

export interface PointSums {
  readonly at: string;
  readonly created: number;
  readonly claims: number;
  readonly ends: Readonly<Record<string, number>>;
  readonly waits: Readonly<Record<string, number>>;
  readonly runs: Readonly<Record<string, number>>;
}

/** Of the points in which something was counted. */
export async function readPoints(
  tx: Tx,
  boardId: number,
  from: string,
  stepSeconds: number,
): Promise<PointSums[]> {
  return tx<PointSums[]>`
    /* stats.points */
    WITH span AS MATERIALIZED (
      SELECT ${POINT(tx, stepSeconds, 'minute')} AS at, created, claims, ends, waits, runs
      FROM board_minutes WHERE board_id = ${boardId} AND minute >= ${from}
    ),
    item AS (
      SELECT at, part, key, sum(number)::int AS number FROM (
        SELECT at, 'created' AS part, '' AS key, created AS number FROM span
        UNION ALL SELECT at, 'claims', '', claims FROM span
        UNION ALL SELECT at, 'ends', key, value::int FROM span CROSS JOIN LATERAL jsonb_each_text(ends)
        UNION ALL SELECT at, 'waits', key, value::int FROM span CROSS JOIN LATERAL jsonb_each_text(waits)
        UNION ALL SELECT at, 'runs', key, value::int FROM span CROSS JOIN LATERAL jsonb_each_text(runs)
      ) AS single GROUP BY at, part, key
    )
    SELECT at, coalesce(sum(number) FILTER (WHERE part = 'created'), 0)::int AS created,
      coalesce(sum(number) FILTER (WHERE part = 'claims'), 0)::int AS claims,
      coalesce(jsonb_object_agg(key, number) FILTER (WHERE part = 'ends'), '{}') AS ends,
      coalesce(jsonb_object_agg(key, number) FILTER (WHERE part = 'waits'), '{}') AS waits,
      coalesce(jsonb_object_agg(key, number) FILTER (WHERE part = 'runs'), '{}') AS runs
    FROM item GROUP BY at ORDER BY at`;
}

export async function readLanePoints(
  tx: Tx,
  boardId: number,
  from: string,
  stepSeconds: number,
): Promise<LanePoint[]> {
  return tx<LanePoint[]>`
    /* stats.lanes */
    SELECT ${POINT(tx, stepSeconds, 'minute')} AS at, key AS lane, sum((value ->> 0)::int)::int AS claims, sum((value ->> 1)::int)::int AS completed
    FROM board_minutes CROSS JOIN LATERAL jsonb_each(lanes)
    WHERE board_id = ${boardId} AND minute >= ${from}
    GROUP BY 1, 2`;
}

/** The last that was written down in each point, where anything was. */
export async function readDepths(
  tx: Tx,
  boardId: number,
  from: string,
  stepSeconds: number,
): Promise<{ at: string; depth: Depth }[]> {
  return tx<{ at: string; depth: Depth }[]>`
    /* stats.depths */
    SELECT DISTINCT ON (at) at, depth FROM (
      SELECT ${POINT(tx, stepSeconds, 'minute')} AS at, minute, depth FROM board_minutes
      WHERE board_id = ${boardId} AND minute >= ${from} AND depth <> '{}'
    ) AS written ORDER BY at, minute DESC`;
}
