/**
 * The pulse of all servers together, in one row, and what is given back to live claims when it stood still. Everything here is decided
 * by the database's clock, and each statement by one moment of it: what stands still between two looks at the clock cannot pass
 * for time in which somebody was there.
 */
import type { PendingQuery, Runner, Sql, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/**
 * A longer gap is an outage: four beats of every server have then been missed. Less would take a slow disk or a busy machine for one; a
 * lease that is renewed three times in its length outlives a gap of this by itself from 4 s on.
 */
const GAP_SECONDS_MAX = 2;

/**
 * The last beat was just now. One that is further ahead was made before the database's clock was put back: until the clock has come up to
 * it, it would pass for fresh, and an outage in that time for none.
 */
const isFresh = (sql: Runner, beatAt: PendingQuery) => {
  const gap = sql`make_interval(secs => ${GAP_SECONDS_MAX})`;
  return sql`(${beatAt} > moment.at - ${gap} AND ${beatAt} < moment.at + ${gap})`;
};

/** For a statement with a `moment`: some server was there until just before it, so nothing is owed to a claim of the same snapshot. */
export const IS_PULSE_STEADY = (sql: Runner) => sql`
  EXISTS (SELECT FROM pulse p WHERE p.id = 1 AND ${isFresh(sql, sql`p.beat_at`)})`;

/** For a claim `c`: an outage took time from it that it has not been given back yet, so nobody may judge it. */
export const IS_OWED_AMNESTY = (sql: Runner) => sql`
  EXISTS (SELECT FROM amnesties a WHERE a.board_id = c.board_id AND a.task_id = c.task_id AND a.attempt = c.attempt)`;

export interface Beat {
  /** Some claim is owed time yet. */
  readonly isOwing: boolean;
}

/**
 * Null: the pulse stands still or is ahead of the clock, or there never was one. Does not wait for the disk: a beat that a crash takes
 * back widens a gap.
 */
export async function keepPulse(sql: Sql): Promise<Beat | null> {
  const [row] = await sql<{ is_owing: boolean }[]>`
    /* claims.keep_pulse */
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
    moment AS MATERIALIZED (SELECT clock_timestamp() AS at)
    UPDATE pulse SET beat_at = greatest(beat_at, moment.at) FROM moment
    WHERE (SELECT value FROM quick) = 'off' AND id = 1 AND ${isFresh(sql, sql`beat_at`)}
    RETURNING EXISTS (SELECT FROM amnesties) AS is_owing`;
  return row === undefined ? null : { isOwing: row.is_owing };
}

/** From the last beat to the moment at which somebody is there again. Kept as Postgres writes them, to the microsecond. */
export interface Gap {
  readonly beganAt: string;
  readonly endedAt: string;
  /** Negative: the database's clock was put back by at least so much, and nobody knows how long it really was. */
  readonly seconds: number;
}

/** Locks the pulse. Null: another server is at it or was, or this is the very first beat, which it writes. */
export async function lockGap(tx: Tx): Promise<Gap | null> {
  await tx`/* claims.first_beat */ INSERT INTO pulse (id, beat_at) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO NOTHING`;
  const locked = await tx`/* claims.lock_pulse */ SELECT FROM pulse WHERE id = 1 FOR UPDATE SKIP LOCKED`;
  if (locked.length === 0) return null;
  // A statement of its own: the clock is looked at under the lock.
  const [gap] = await tx<Gap[]>`
    /* claims.read_gap */
    WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at)
    SELECT p.beat_at::text AS "beganAt", moment.at::text AS "endedAt", date_part('epoch', moment.at - p.beat_at) AS seconds
    FROM pulse p CROSS JOIN moment WHERE p.id = 1 AND NOT ${isFresh(tx, tx`p.beat_at`)}`;
  return gap ?? null;
}

/** The pulse goes on from here; what has been given back under its lock is not given a second time. */
export async function resumePulse(tx: Tx): Promise<void> {
  await tx`/* claims.resume_pulse */ UPDATE pulse SET beat_at = clock_timestamp() WHERE id = 1`;
}

/** A place in the order of all claims. */
export interface ClaimPlace {
  readonly boardId: number;
  readonly taskId: Uuid;
}

export interface GivenBack {
  readonly leases: number;
  /** null: that was the last of them. */
  readonly last: ClaimPlace | null;
}

/**
 * Moves the clocks of a claim `c` past a gap. Each has afterwards what it had left when the gap began, and at most its own length from
 * now: who was heard of in the gap gets no more than a fresh lease, and a backup of last week holds nothing longer than a lease. Clocks
 * that had run out before stay as they are. The limit on run time is not moved: the work went on without us, and the claim's token ends
 * with it.
 */
function movedClocks(sql: Runner, began: PendingQuery, ended: PendingQuery) {
  const lost = sql`(${ended} - ${began})`;
  const lease = sql`make_interval(secs => c.lease_seconds)`;
  return sql`
    lease_expires_at = CASE WHEN c.lease_expires_at >= ${began}
      THEN greatest(c.lease_expires_at, least(c.lease_expires_at + ${lost}, ${ended} + ${lease})) ELSE c.lease_expires_at END,
    -- Most claims have none, and greatest() and least() pass over a null.
    cancel_deadline_at = CASE WHEN c.cancel_deadline_at >= ${began}
      THEN greatest(c.cancel_deadline_at, least(c.cancel_deadline_at + ${lost}, ${ended} + ${lease})) ELSE c.cancel_deadline_at END,
    last_progress_at = CASE WHEN c.last_progress_at + make_interval(secs => c.no_progress_seconds) >= ${began}
      THEN greatest(c.last_progress_at, least(c.last_progress_at + ${lost}, ${ended})) ELSE c.last_progress_at END`;
}

/**
 * Moves the clocks of the next claims past the gap. Waits for nobody: what somebody has locked is written down as owed, behind what it
 * may be owed already. Wants pinned plans.
 */
export async function giveBack(
  tx: Tx,
  gap: Gap,
  after: ClaimPlace | null,
  rowsMax: number,
): Promise<GivenBack> {
  const [began, ended] = [tx`${gap.beganAt}::timestamptz`, tx`${gap.endedAt}::timestamptz`];
  const [row] = await tx<{ leases: number; board_id: number | null; task_id: Uuid | null }[]>`
    /* claims.give_back */
    WITH live AS MATERIALIZED (
      SELECT c.board_id, c.task_id, c.attempt, c.lease_expires_at >= ${began} OR ${IS_OWED_AMNESTY(tx)} AS is_alive FROM claims c
      WHERE (c.board_id, c.task_id) > (${after?.boardId ?? 0}::int, ${after?.taskId ?? FIRST_TASK_ID}::uuid)
      ORDER BY c.board_id, c.task_id LIMIT ${rowsMax}
    ),
    free AS MATERIALIZED (
      SELECT c.board_id, c.task_id, c.attempt
      FROM live JOIN claims c ON c.board_id = ANY (ARRAY[live.board_id]) AND c.task_id = live.task_id AND c.attempt = live.attempt
      WHERE live.is_alive AND NOT ${IS_OWED_AMNESTY(tx)}
      FOR NO KEY UPDATE OF c SKIP LOCKED
    ),
    moved AS (
      UPDATE claims c SET ${movedClocks(tx, began, ended)} FROM free
      WHERE c.board_id = ANY (ARRAY[free.board_id]) AND c.task_id = free.task_id
      RETURNING 1
    ),
    owed AS (
      INSERT INTO amnesties (board_id, task_id, attempt, began_at, ended_at)
      SELECT locked.board_id, locked.task_id, locked.attempt, ${began}, ${ended}
      FROM (SELECT board_id, task_id, attempt FROM live WHERE is_alive EXCEPT SELECT board_id, task_id, attempt FROM free) AS locked
      ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT (SELECT count(*)::int FROM moved) + (SELECT count(*)::int FROM owed) AS leases, last.board_id, last.task_id
    FROM (SELECT count(*) AS rows FROM live) AS all_live
    LEFT JOIN LATERAL (
      SELECT board_id, task_id FROM live WHERE all_live.rows = ${rowsMax} ORDER BY board_id DESC, task_id DESC LIMIT 1
    ) AS last ON true`;
  const last =
    row === undefined || row.board_id === null || row.task_id === null
      ? null
      : { boardId: row.board_id, taskId: row.task_id };
  return { leases: row?.leases ?? 0, last };
}

/** Before every other, together with board 0, which there never is. */
const FIRST_TASK_ID = '00000000-0000-0000-0000-000000000000';

/**
 * Gives claims what they are owed yet, the oldest outage first, as far as nobody has them locked; forgets what was owed to claims that are
 * gone. The rows of both are locked, so that two servers do not give twice.
 */
export async function payAmnesties(sql: Sql, rowsMax: number): Promise<void> {
  await sql`
    /* claims.pay_amnesties */
    WITH gone AS (
      DELETE FROM amnesties a WHERE NOT EXISTS (
        SELECT FROM claims c WHERE c.board_id = a.board_id AND c.task_id = a.task_id AND c.attempt = a.attempt)
    ),
    due AS MATERIALIZED (
      SELECT a.board_id, a.task_id, a.attempt, a.began_at, a.ended_at
      FROM amnesties a JOIN claims c ON c.board_id = a.board_id AND c.task_id = a.task_id AND c.attempt = a.attempt
      WHERE NOT EXISTS (
        SELECT FROM amnesties earlier WHERE earlier.board_id = a.board_id AND earlier.task_id = a.task_id
          AND earlier.attempt = a.attempt AND earlier.began_at < a.began_at)
      LIMIT ${rowsMax} FOR NO KEY UPDATE OF a, c SKIP LOCKED
    ),
    paid AS (
      DELETE FROM amnesties a USING due
      WHERE a.board_id = due.board_id AND a.task_id = due.task_id AND a.attempt = due.attempt AND a.began_at = due.began_at
    )
    UPDATE claims c SET ${movedClocks(sql, sql`due.began_at`, sql`due.ended_at`)} FROM due
    WHERE c.board_id = due.board_id AND c.task_id = due.task_id AND c.attempt = due.attempt`;
}
