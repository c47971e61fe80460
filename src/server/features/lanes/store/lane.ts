/** Lanes in the database. */
import type { ClaimMode, LaneKind, StatusMutations } from '../../../../contract/lanes.ts';
import type { JsonParameter, Runner, Tx } from '../../../db/client.ts';
import { RaceError } from '../../../db/failures.ts';
import { present } from '../../../kernel/assert.ts';

/** What is stored of a lane and may be changed by its registration. */
export interface LaneFields {
  readonly kind: LaneKind;
  readonly claim_mode: ClaimMode;
  readonly allowed_status_mutations: StatusMutations;
  readonly max_concurrent_claims: number | null;
  readonly lease_seconds: number;
  readonly no_progress_seconds: number | null;
  readonly max_runtime_seconds: number | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string | null;
  readonly spawn: Readonly<Record<string, unknown>> | null;
}

export interface LaneRow extends LaneFields {
  readonly name: string;
  readonly is_paused: boolean;
  readonly is_draining: boolean;
  readonly epoch: number;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface NamedLane {
  readonly name: string;
  readonly fields: LaneFields;
}

const COLUMNS = (sql: Runner) => sql`
  name, kind, claim_mode, allowed_status_mutations, max_concurrent_claims, lease_seconds, no_progress_seconds, max_runtime_seconds,
  labels, description, spawn, is_paused, is_draining, epoch, version, created_at, updated_at`;

export async function findLane(sql: Runner, boardId: number, name: string): Promise<LaneRow | null> {
  const [row] = await sql<LaneRow[]>`
    /* lanes.find */ SELECT ${COLUMNS(sql)} FROM lanes WHERE board_id = ${boardId} AND name = ${name}`;
  return row ?? null;
}

export async function lockLane(tx: Tx, boardId: number, name: string): Promise<LaneRow | null> {
  const [row] = await tx<LaneRow[]>`
    /* lanes.lock */ SELECT ${COLUMNS(tx)} FROM lanes WHERE board_id = ${boardId} AND name = ${name} FOR NO KEY UPDATE`;
  return row ?? null;
}

/** For its end: whoever says hello as one of its workers waits for that, or has been; then its workers, in the order of everybody. */
export async function lockLaneForEnd(tx: Tx, boardId: number, name: string): Promise<boolean> {
  const rows =
    await tx`/* lanes.lock_for_end */ SELECT FROM lanes WHERE board_id = ${boardId} AND name = ${name} FOR UPDATE`;
  await tx`
    /* lanes.lock_workers */
    SELECT FROM workers WHERE board_id = ${boardId} AND lane = ${name} ORDER BY worker FOR UPDATE`;
  return rows.length > 0;
}

/** Which of these there are. */
export async function findLaneNames(
  sql: Runner,
  boardId: number,
  names: readonly string[],
): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    /* lanes.find_names */ SELECT name FROM lanes WHERE board_id = ${boardId} AND name = ANY (${names as string[]}::text[])`;
  return rows.map(({ name }) => name);
}

export async function listLanes(
  sql: Runner,
  boardId: number,
  afterName: string | null,
  rowsMax: number,
): Promise<LaneRow[]> {
  return sql<LaneRow[]>`
    /* lanes.list */
    SELECT ${COLUMNS(sql)} FROM lanes
    WHERE board_id = ${boardId} AND (${afterName}::text IS NULL OR name > ${afterName}::text) ORDER BY name LIMIT ${rowsMax}`;
}

/**
 * Work may be sent for review to a lane that is not there, and both are decided by what is committed: so a lane is made while nobody does
 * that, and nobody does that while one is made. Before any lane or task is locked. Without it a lane could begin with reviews that nothing
 * says it has, and have them wait behind all of its new work. Who does neither is not held up, but for ends that are in one batch
 * with one that names a lane which is not there: they wait with it, for as long as an import takes that registers a lane.
 */
async function lockUnknownReviewers(tx: Tx, boardId: number, isLaneMade: boolean): Promise<void> {
  const key = tx`hashtextextended('unknown reviewers', ${boardId})`;
  await tx`
    /* lanes.lock_unknown_reviewers */
    SELECT ${isLaneMade ? tx`pg_advisory_xact_lock(${key})` : tx`pg_advisory_xact_lock_shared(${key})`}`;
}

/** False: the lane exists. It reviews from the first when work waits for that already. */
export async function insertLane(
  tx: Tx,
  boardId: number,
  name: string,
  fields: LaneFields,
): Promise<boolean> {
  if ((await findLane(tx, boardId, name)) !== null) return false;
  return (await insertLanes(tx, boardId, [{ name, fields }])).length > 0;
}

/** Those that nobody has registered meanwhile. In the order of their names. */
export async function insertLanes(
  tx: Tx,
  boardId: number,
  lanes: readonly NamedLane[],
): Promise<NamedLane[]> {
  if (lanes.length === 0) return [];
  await lockUnknownReviewers(tx, boardId, true);
  const made: NamedLane[] = [];
  for (const lane of lanes) if (await insertOne(tx, boardId, lane)) made.push(lane);
  return made;
}

async function insertOne(tx: Tx, boardId: number, { name, fields }: NamedLane): Promise<boolean> {
  const rows = await tx`
    /* lanes.insert */
    INSERT INTO lanes (board_id, name, kind, claim_mode, allowed_status_mutations, max_concurrent_claims, lease_seconds,
      no_progress_seconds, max_runtime_seconds, labels, description, spawn, is_reviewer)
    VALUES (${boardId}, ${name}, ${fields.kind}, ${fields.claim_mode}, ${fields.allowed_status_mutations}, ${fields.max_concurrent_claims},
      ${fields.lease_seconds}, ${fields.no_progress_seconds}, ${fields.max_runtime_seconds}, ${tx.json(fields.labels)},
      ${fields.description}, ${fields.spawn === null ? null : tx.json(fields.spawn as JsonParameter)},
      EXISTS (SELECT FROM tasks WHERE board_id = ${boardId} AND reviewer = ${name} AND status = 'review'))
    ON CONFLICT (board_id, name) DO NOTHING RETURNING name`;
  return rows.length > 0;
}

/**
 * Lanes that are asked to review for the first time: claims look for reviews there from now on. Before any task is locked. True: there are
 * some, and whatever becomes of what asked them, the version of the configuration is to be raised: claims that were decided without
 * knowing are then decided again, on every server. Lanes that are not registered learn of it when they are: of those that are being
 * registered just now the outcome is waited for, and looked at again.
 */
export async function markReviewers(tx: Tx, boardId: number, lanes: readonly string[]): Promise<boolean> {
  if (lanes.length === 0) return false;
  const { marked, unknown } = await markKnown(tx, boardId, lanes, false);
  if (!unknown) return marked > 0;
  await lockUnknownReviewers(tx, boardId, false);
  return (await markKnown(tx, boardId, lanes, true)).marked > 0;
}

/**
 * Where one is unknown none is marked, and so none locked, unless that is settled. Those that are known stay until the transaction ends: who
 * registers one anew finds the work that waits for it. That is a lock that they share, and written into the lane's row by each end of this
 * kind; claims and ends of no review do not come here. One that was deregistered while it was waited for is a race, for lanes are locked by now.
 */
async function markKnown(
  tx: Tx,
  boardId: number,
  lanes: readonly string[],
  isSettled: boolean,
): Promise<{ readonly marked: number; readonly unknown: boolean }> {
  const [row] = await tx<{ marked: number; unknown: boolean; gone: boolean }[]>`
    /* lanes.mark_reviewers */
    WITH wanted AS MATERIALIZED (SELECT DISTINCT name FROM unnest(${lanes as string[]}::text[]) AS name ORDER BY name),
    known AS MATERIALIZED (
      SELECT name FROM wanted WHERE EXISTS (SELECT FROM lanes WHERE board_id = ${boardId} AND name = wanted.name)
    ),
    due AS MATERIALIZED (
      SELECT name FROM known WHERE ${isSettled ? tx`true` : tx`(SELECT count(*) FROM known) = (SELECT count(*) FROM wanted)`} ORDER BY name
    ),
    held AS MATERIALIZED (
      SELECT due.name, lane.is_reviewer FROM due
      CROSS JOIN LATERAL (SELECT is_reviewer FROM lanes WHERE board_id = ${boardId} AND name = due.name FOR KEY SHARE) AS lane
    ),
    fresh AS MATERIALIZED (
      SELECT held.name FROM (SELECT name FROM held WHERE NOT is_reviewer ORDER BY name) AS held
      CROSS JOIN LATERAL (
        SELECT FROM lanes WHERE board_id = ${boardId} AND name = held.name AND NOT is_reviewer FOR NO KEY UPDATE
      ) AS lane
    ),
    marked AS (
      UPDATE lanes l SET is_reviewer = true FROM fresh WHERE l.board_id = ${boardId} AND l.name = fresh.name RETURNING 1
    )
    SELECT (SELECT count(*) FROM marked)::int AS marked, (SELECT count(*) FROM known) < (SELECT count(*) FROM wanted) AS unknown,
      (SELECT count(*) FROM held) < (SELECT count(*) FROM due) AS gone`;
  const found = present(row, 'an aggregate is one row');
  if (found.gone) throw new RaceError('a lane was deregistered while it was sent work for review');
  return found;
}

export async function updateLane(tx: Tx, boardId: number, name: string, fields: LaneFields): Promise<void> {
  await tx`
    /* lanes.update */
    UPDATE lanes SET kind = ${fields.kind}, claim_mode = ${fields.claim_mode},
      allowed_status_mutations = ${fields.allowed_status_mutations}, max_concurrent_claims = ${fields.max_concurrent_claims},
      lease_seconds = ${fields.lease_seconds}, no_progress_seconds = ${fields.no_progress_seconds},
      max_runtime_seconds = ${fields.max_runtime_seconds}, labels = ${tx.json(fields.labels)}, description = ${fields.description},
      spawn = ${fields.spawn === null ? null : tx.json(fields.spawn as JsonParameter)},
      version = version + 1, updated_at = clock_timestamp()
    WHERE board_id = ${boardId} AND name = ${name}`;
}

export async function setLaneState(
  tx: Tx,
  boardId: number,
  name: string,
  state: { isPaused: boolean; isDraining: boolean },
): Promise<void> {
  await tx`
    /* lanes.set_state */
    UPDATE lanes SET is_paused = ${state.isPaused}, is_draining = ${state.isDraining}, version = version + 1, updated_at = clock_timestamp()
    WHERE board_id = ${boardId} AND name = ${name}`;
}

/** A takeover: what was claimed before it is of an older epoch. */
export async function raiseEpoch(
  tx: Tx,
  boardId: number,
  name: string,
): Promise<{ epoch: number; at: string }> {
  const [row] = await tx<{ epoch: number; at: string }[]>`
    /* lanes.raise_epoch */
    UPDATE lanes SET epoch = epoch + 1, version = version + 1, updated_at = clock_timestamp()
    WHERE board_id = ${boardId} AND name = ${name} RETURNING epoch, updated_at AS at`;
  return present(row, 'a locked lane is there');
}

export async function deleteLane(tx: Tx, boardId: number, name: string): Promise<void> {
  await tx`/* lanes.delete_workers */ DELETE FROM workers WHERE board_id = ${boardId} AND lane = ${name}`;
  await tx`/* lanes.delete */ DELETE FROM lanes WHERE board_id = ${boardId} AND name = ${name}`;
}

export async function hasLaneClaims(sql: Runner, boardId: number, name: string): Promise<boolean> {
  const rows =
    await sql`/* lanes.has_claims */ SELECT FROM claims WHERE board_id = ${boardId} AND lane = ${name} AND lane <> '' LIMIT 1`;
  return rows.length > 0;
}

/** Draining lanes of any board whose last claim has ended. */
export async function listDrainedLanes(
  sql: Runner,
  rowsMax: number,
): Promise<{ board_id: number; name: string }[]> {
  return sql<{ board_id: number; name: string }[]>`
    /* lanes.list_drained */
    SELECT l.board_id, l.name FROM lanes l
    WHERE l.is_draining AND NOT EXISTS (SELECT FROM claims c WHERE c.board_id = l.board_id AND c.lane = l.name AND c.lane <> '') LIMIT ${rowsMax}`;
}

export interface ConfigRow
  extends Pick<
    LaneRow,
    'name' | 'kind' | 'claim_mode' | 'allowed_status_mutations' | 'max_concurrent_claims'
  > {
  readonly config_version: number;
  readonly settings: Record<string, unknown>;
  readonly lease_seconds: number;
  readonly no_progress_seconds: number | null;
  readonly max_runtime_seconds: number | null;
  readonly is_paused: boolean;
  readonly is_draining: boolean;
  /** Tasks were sent to it for review. */
  readonly is_reviewer: boolean;
  /** Of the board: tasks that wait for review. */
  readonly review_count: number;
}

/** All that a claim is decided on, of one instant. A board without lanes gives one row with a null name. */
export async function readConfig(
  sql: Runner,
  boardId: number,
): Promise<(Omit<ConfigRow, 'name'> & { readonly name: string | null })[]> {
  return sql<(Omit<ConfigRow, 'name'> & { readonly name: string | null })[]>`
    /* lanes.read_config */
    SELECT s.config_version, b.settings, l.name, l.kind, l.claim_mode, l.allowed_status_mutations, l.max_concurrent_claims,
      l.lease_seconds, l.no_progress_seconds, l.max_runtime_seconds, l.is_paused, l.is_draining, l.is_reviewer, s.review AS review_count
    FROM board_seq s JOIN boards b ON b.id = s.board_id LEFT JOIN lanes l ON l.board_id = s.board_id
    WHERE s.board_id = ${boardId}`;
}
