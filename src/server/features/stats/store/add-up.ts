/**
 * Adding up a board's log by minutes. Who has the lock of a board's progress does it, nobody else; what was read, what was added and how far
 * it goes are committed together, so each event counts exactly once, whatever crashes. Reads the log, the counter row and ended runs, and
 * locks nothing that claims need.
 */
import { OUTCOMES } from '../../../../contract/statuses.ts';
import type { PendingQuery, Runner, Sql, Tx } from '../../../db/client.ts';
import { LANES_MAX } from '../lane-stats.ts';
import { MINUTES_KEPT_HOURS } from '../window.ts';

/** A log that was never added up begins with the longest window that anybody can ask for. */
const FIRST_HOURS = 24;

/** The events that can end a claim; what they say decides. */
const END_KINDS: readonly string[] = [
  ...OUTCOMES.map((outcome) => `task.${outcome}`),
  'task.review_requested', // Completed work that is reviewed next.
];

/** Boards whose log is longer than what was added up, the one that waits longest first; new ones before. */
export async function listBoardsBehind(
  sql: Sql,
  range: { readonly troubled: readonly number[]; readonly rowsMax: number },
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* stats.list_boards */
    SELECT s.board_id
    FROM board_seq s
    LEFT JOIN stats_progress p ON p.board_id = s.board_id
    LEFT JOIN LATERAL (
      SELECT at FROM events WHERE p.seq < s.seq AND board_id = s.board_id AND seq > p.seq ORDER BY seq LIMIT 1
    ) AS next ON true
    WHERE s.board_id <> ALL (${range.troubled as number[]}::int[]) AND (p.board_id IS NULL OR p.seq < s.seq)
    ORDER BY next.at NULLS FIRST, s.board_id LIMIT ${range.rowsMax}`;
  return rows.map(({ board_id }) => board_id);
}

/**
 * Where to begin on a board that was never added up: at most a day back, found by halves because times rise along the log and only its
 * numbers are indexed. The board's lock keeps a position from being left behind by a board that is just deleted. False: it has one, is
 * being changed, or is gone.
 */
export async function beginProgress(tx: Tx, boardId: number): Promise<boolean> {
  const { count } = await tx`
    /* stats.begin */
    INSERT INTO stats_progress (board_id, seq)
    SELECT b.id, coalesce((
      -- Up to low everything is too old, after high nothing is.
      WITH RECURSIVE search (low, high) AS (
        SELECT pruned_seq, seq FROM board_seq WHERE board_id = ${boardId}
        UNION ALL
        SELECT CASE WHEN probe.is_old THEN probe.middle ELSE search.low END, CASE WHEN probe.is_old THEN search.high ELSE probe.middle - 1 END
        FROM search CROSS JOIN LATERAL (
          SELECT seq AS middle, at < date_trunc('minute', now()) - make_interval(hours => ${FIRST_HOURS}) AS is_old
          FROM events WHERE board_id = ${boardId} AND seq = (search.low + search.high + 1) / 2
        ) AS probe
        WHERE search.low < search.high
      )
      SELECT low FROM search WHERE low = high
    ), (SELECT seq FROM board_seq WHERE board_id = ${boardId}), 0)
    FROM (
      SELECT id FROM boards
      WHERE id = ${boardId} AND NOT EXISTS (SELECT FROM stats_progress WHERE board_id = ${boardId})
      FOR SHARE SKIP LOCKED
    ) AS b
    ON CONFLICT DO NOTHING`;
  return count > 0;
}

/** What was pruned is passed over. Null: another server is at it, it was never begun, or the board is gone. */
export async function lockProgress(tx: Tx, boardId: number): Promise<number | null> {
  const [row] = await tx<{ seq: number }[]>`
    /* stats.lock */
    SELECT greatest(p.seq, (SELECT pruned_seq FROM board_seq WHERE board_id = p.board_id)) AS seq
    FROM stats_progress p WHERE p.board_id = ${boardId} FOR UPDATE SKIP LOCKED`;
  return row?.seq ?? null;
}

/** Of two objects of numbers, the sums by key. */
const SUMS = (sql: Runner, column: PendingQuery) => sql`(
  SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
    SELECT key, sum(value::int)::int AS total FROM (
      SELECT key, value FROM jsonb_each_text(known.${column}) UNION ALL SELECT key, value FROM jsonb_each_text(excluded.${column})
    ) AS pair GROUP BY key
  ) AS summed)`;

/** Of rows (minute, key, claims, completed): the busiest lanes of each minute, and all its others together under ''. */
const BUSIEST = (sql: Runner, rows: PendingQuery) => sql`
  SELECT minute, key, sum(claims)::int AS claims, sum(completed)::int AS completed FROM (
    SELECT minute, claims, completed, CASE
      WHEN row_number() OVER (PARTITION BY minute ORDER BY key = '', claims + completed DESC, key) <= ${LANES_MAX} THEN key ELSE ''
    END AS key
    FROM (${rows}) AS counted
  ) AS ranked GROUP BY minute, key`;

/** The sums of both by lane. */
const LANES = (sql: Runner) => sql`(
  SELECT coalesce(jsonb_object_agg(key, jsonb_build_array(claims, completed)), '{}') FROM (${BUSIEST(
    sql,
    sql`SELECT 1 AS minute, key, sum((value ->> 0)::int) AS claims, sum((value ->> 1)::int) AS completed FROM (
      SELECT key, value FROM jsonb_each(known.lanes) UNION ALL SELECT key, value FROM jsonb_each(excluded.lanes)
    ) AS pair GROUP BY key`,
  )}) AS summed)`;

/** The step of the scale that a duration is counted in (see scale.ts): its logarithm, in quarters of a doubling of a millisecond. */
const STEP = (sql: Runner, seconds: PendingQuery) =>
  sql`floor(4 * ln(greatest(${seconds} * 1000, 1)) / ln(2::float8))::int::text`;

/** Evenly spaced: of few all. */
const SAMPLED = (sql: Runner, measuredMax: number) => sql`
  total <= ${measuredMax} OR number * ${measuredMax} / total > (number - 1) * ${measuredMax} / total`;

interface Turn {
  /** The last event that was added up. */
  readonly afterSeq: number;
  readonly eventsMax: number;
  /** What the events weigh, but for the last of them (see WEIGHT). */
  readonly bytesMax: number;
  /** Of claims, and of ends: how many are measured. */
  readonly measuredMax: number;
}

/** Events before a claim that are looked at for the one that made the task claimable: mostly it is the first. */
const LOOKED_BACK_MAX = 20;

/** Of the page: (minute, step) of each claim that is measured. */
const WAITS = (sql: Runner, boardId: number, measuredMax: number) => sql`
  SELECT claim.minute, ${STEP(sql, sql`extract(epoch FROM claim.at - since.at)::float8`)} AS step
  FROM (
    SELECT seq, minute, at, task_id, waited, row_number() OVER (ORDER BY seq) AS number, count(*) OVER () AS total FROM page WHERE is_claim
  ) AS claim
  CROSS JOIN LATERAL (
    SELECT at FROM (
      SELECT seq, at, data ->> 'status_before' AS before, data ->> 'status_after' AS after FROM events
      WHERE board_id = ${boardId} AND task_id = claim.task_id AND seq < claim.seq ORDER BY seq DESC LIMIT ${LOOKED_BACK_MAX}
    ) AS earlier
    WHERE after = claim.waited AND before IS DISTINCT FROM after ORDER BY seq DESC LIMIT 1
  ) AS since
  WHERE ${SAMPLED(sql, measuredMax)}`;

/** The same of ends. */
const RUN_TIMES = (sql: Runner, boardId: number, measuredMax: number) => sql`
  SELECT ended.minute, ${STEP(sql, sql`extract(epoch FROM run.ended_at - run.started_at)::float8`)} AS step
  FROM (
    SELECT minute, task_id, attempt, row_number() OVER (ORDER BY seq) AS number, count(*) OVER () AS total FROM page WHERE outcome IS NOT NULL
  ) AS ended
  CROSS JOIN LATERAL (
    SELECT started_at, ended_at FROM runs WHERE board_id = ${boardId} AND task_id = ended.task_id AND attempt = ended.attempt OFFSET 0
  ) AS run
  WHERE run.ended_at IS NOT NULL AND (${SAMPLED(sql, measuredMax)})`;

/**
 * Compressed ones may unfold to a hundredfold; eightfold keeps the worst of them within a second or two, and the usual ones, which unfold
 * to a threefold, from being cut short for it.
 */
const COMPRESSED_WEIGHT = 8;

/** What it costs to read an event's data, in bytes, told from how it is stored: nothing is read for that. */
const WEIGHT = (sql: Runner) => sql`
  pg_column_size(data) * CASE WHEN pg_column_compression(data) IS NULL THEN 1 ELSE ${COMPRESSED_WEIGHT}::int END`;

/**
 * Adds up the next events, at least one if there is any, and moves the position. True: there are more.
 *
 * What is counted goes through one list of (minute, part, key, number), so nothing is joined. Plans are pinned as on the claim path: look-ups
 * are LATERAL, and OFFSET 0 keeps them from becoming joins.
 */
export async function addUpEvents(tx: Tx, boardId: number, turn: Turn): Promise<boolean> {
  const [row] = await tx<{ is_behind: boolean }[]>`
    /* stats.add_up */
    WITH page AS MATERIALIZED (
      SELECT seq, date_trunc('minute', at) AS minute, at, task_id, attempt, coalesce(lane, '') AS lane,
        kind = 'task.created' AS is_creation, kind = 'task.claimed' AS is_claim,
        CASE WHEN kind = 'task.claimed' THEN data ->> 'status_before' END AS waited,
        CASE WHEN kind = ANY (${END_KINDS as string[]}::text[]) AND data ->> 'status_before' = 'running' THEN data ->> 'outcome' END AS outcome
      FROM (
        SELECT *, sum(${WEIGHT(tx)}) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS weight_before
        FROM events WHERE board_id = ${boardId} AND seq > ${turn.afterSeq} ORDER BY seq LIMIT ${turn.eventsMax}
      ) AS next
      WHERE weight_before IS NULL OR weight_before < ${turn.bytesMax}
    ),
    place AS MATERIALIZED (SELECT max(seq) AS seq, max(minute) AS minute, count(*)::int AS events FROM page),
    wait AS MATERIALIZED (${WAITS(tx, boardId, turn.measuredMax)}),
    run AS MATERIALIZED (${RUN_TIMES(tx, boardId, turn.measuredMax)}),
    item AS (
      SELECT minute, 'created' AS part, '' AS key, count(*)::int AS number FROM page WHERE is_creation GROUP BY minute
      UNION ALL SELECT minute, 'claims', '', count(*)::int FROM page WHERE is_claim GROUP BY minute
      UNION ALL SELECT minute, 'ends', outcome, count(*)::int FROM page WHERE outcome IS NOT NULL GROUP BY minute, outcome
      UNION ALL SELECT minute, 'waits', step, count(*)::int FROM wait GROUP BY minute, step
      UNION ALL SELECT minute, 'runs', step, count(*)::int FROM run GROUP BY minute, step
      -- The newest minute has a row in any case, for the depth.
      UNION ALL SELECT minute, 'place', '', 0 FROM place WHERE events > 0
    ),
    lane AS (${BUSIEST(
      tx,
      tx`SELECT minute, lane AS key, count(*) FILTER (WHERE is_claim) AS claims, count(*) FILTER (WHERE outcome = 'completed') AS completed
        FROM page WHERE is_claim OR outcome = 'completed' GROUP BY minute, lane`,
    )}),
    fresh AS (
      SELECT minute, coalesce(sum(number) FILTER (WHERE part = 'created'), 0)::int AS created,
        coalesce(sum(number) FILTER (WHERE part = 'claims'), 0)::int AS claims,
        coalesce(jsonb_object_agg(key, number) FILTER (WHERE part = 'ends'), '{}') AS ends,
        coalesce(jsonb_object_agg(key, number) FILTER (WHERE part = 'waits'), '{}') AS waits,
        coalesce(jsonb_object_agg(key, number) FILTER (WHERE part = 'runs'), '{}') AS runs,
        coalesce(jsonb_object_agg(key, value) FILTER (WHERE part = 'lanes'), '{}') AS lanes
      FROM (
        SELECT minute, part, key, number, NULL::jsonb AS value FROM item
        UNION ALL SELECT minute, 'lanes', key, 0, jsonb_build_array(claims, completed) FROM lane
      ) AS all_items
      GROUP BY minute
    ),
    -- The counters of the very moment that the log was read at: true only where all of it was read.
    counter AS (
      SELECT jsonb_build_object('triage', triage, 'todo', todo, 'scheduled', scheduled, 'ready', ready, 'running', running, 'blocked', blocked,
        'review', review, 'done', done, 'cancelled', cancelled, 'archived', archived) AS depth
      FROM board_seq WHERE board_id = ${boardId} AND seq = (SELECT seq FROM place)
    ),
    added AS (
      INSERT INTO board_minutes AS known (board_id, minute, created, claims, ends, waits, runs, lanes, depth)
      SELECT ${boardId}, minute, created, claims, ends, waits, runs, lanes,
        CASE WHEN minute = (SELECT minute FROM place) THEN coalesce((SELECT depth FROM counter), '{}') ELSE '{}' END
      FROM fresh ORDER BY minute
      ON CONFLICT (board_id, minute) DO UPDATE SET created = known.created + excluded.created, claims = known.claims + excluded.claims,
        ends = ${SUMS(tx, tx`ends`)}, waits = ${SUMS(tx, tx`waits`)}, runs = ${SUMS(tx, tx`runs`)}, lanes = ${LANES(tx)},
        depth = CASE WHEN excluded.depth = '{}' THEN known.depth ELSE excluded.depth END
    ),
    moved AS (
      -- Also over what was pruned.
      UPDATE stats_progress SET seq = coalesce((SELECT seq FROM place), ${turn.afterSeq}) WHERE board_id = ${boardId}
    )
    SELECT coalesce(seq < (SELECT seq FROM board_seq WHERE board_id = ${boardId}), false) AS is_behind FROM place`;
  return row?.is_behind === true;
}

/** Deletes minutes that are past every window, of each board some. What somebody is at is left to the next time. */
export async function deleteOldMinutes(sql: Sql, rowsMax: number): Promise<number> {
  const { count } = await sql`
    /* stats.delete_old */
    WITH old AS MATERIALIZED (
      SELECT minute.board_id, minute.minute FROM stats_progress p
      CROSS JOIN LATERAL (
        SELECT board_id, minute FROM board_minutes
        WHERE board_id = p.board_id AND minute < now() - make_interval(hours => ${MINUTES_KEPT_HOURS}) ORDER BY minute LIMIT ${rowsMax}
        FOR UPDATE SKIP LOCKED
      ) AS minute
      LIMIT ${rowsMax}
    )
    DELETE FROM board_minutes m USING old WHERE m.board_id = old.board_id AND m.minute = old.minute`;
  return count;
}
