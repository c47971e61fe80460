/** Of a lane, whatever may keep a task from being claimed there: how it is set, who is there, whether it has room. */
import type { LaneKind, StatusMutations } from '../../../../contract/lanes.ts';
import type { Runner } from '../../../db/client.ts';
import { ONLINE_SECONDS } from './presence.ts';

export interface LaneState {
  readonly name: string;
  readonly kind: LaneKind;
  readonly allowed_status_mutations: StatusMutations;
  readonly is_paused: boolean;
  readonly is_draining: boolean;
  readonly max_concurrent_claims: number | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly is_online: boolean;
  /** The last sign of life of any of its workers; null: there never was one. */
  readonly last_seen_at: string | null;
  /** Its claims are as many as it may have since this one was made; null: there is room. */
  readonly full_since: string | null;
}

/** Lanes that are not registered are missing. Each is looked up by its keys; only claims under a cap are counted. */
export async function readLaneStates(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<LaneState[]> {
  return sql<LaneState[]>`
    /* lanes.read_states */
    SELECT lane.*, seen.last_seen_at,
      (held.is_holding OR seen.last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})) IS TRUE AS is_online,
      CASE WHEN room.claims >= lane.max_concurrent_claims THEN room.claimed_at END AS full_since
    FROM unnest(${lanes as string[]}::text[]) AS wanted (name)
    CROSS JOIN LATERAL (
      SELECT name, kind, allowed_status_mutations, is_paused, is_draining, max_concurrent_claims, created_at, updated_at
      FROM lanes WHERE board_id = ${boardId} AND name = wanted.name OFFSET 0
    ) AS lane
    CROSS JOIN LATERAL (
      SELECT max(last_seen_at) AS last_seen_at FROM workers WHERE board_id = ${boardId} AND lane = wanted.name
    ) AS seen
    CROSS JOIN LATERAL (
      SELECT (
        SELECT true FROM claims WHERE board_id = ${boardId} AND lane = wanted.name AND lane <> '' AND NOT is_superseded LIMIT 1
      ) AS is_holding
    ) AS held
    CROSS JOIN LATERAL (
      SELECT count(*) AS claims, max(claimed_at) AS claimed_at FROM claims
      WHERE lane.max_concurrent_claims IS NOT NULL AND board_id = ${boardId} AND lane = wanted.name AND lane <> ''
    ) AS room`;
}

export interface LaneOffline {
  readonly name: string;
  readonly kind: LaneKind;
  /** When its last worker was seen, or the next task became ready, whatever was later. */
  readonly since: string;
  readonly last_seen_at: string | null;
  /** Tasks that are ready, counted no further than asked for. */
  readonly ready: number;
}

/**
 * Lanes that would claim, have work, and nobody there to do it, in the order of their names. A paused one is left out: somebody has decided
 * that it is to rest.
 */
export async function listLanesOffline(
  sql: Runner,
  boardId: number,
  most: { readonly lanes: number; readonly ready: number },
): Promise<LaneOffline[]> {
  return sql<LaneOffline[]>`
    /* lanes.list_offline */
    SELECT lane.name, lane.kind, lane.last_seen_at, greatest(coalesce(lane.last_seen_at, lane.created_at), next.status_since) AS since,
      (SELECT count(*)::int FROM (
        SELECT FROM tasks WHERE board_id = ${boardId} AND lane = lane.name AND status = 'ready' LIMIT ${most.ready}) AS waiting) AS ready
    FROM (
      SELECT l.name, l.kind, l.created_at, (
        SELECT max(last_seen_at) FROM workers WHERE board_id = ${boardId} AND lane = l.name
      ) AS last_seen_at
      FROM lanes l
      WHERE l.board_id = ${boardId} AND l.kind <> 'human' AND l.allowed_status_mutations <> 'none' AND NOT l.is_paused
      OFFSET 0
    ) AS lane
    CROSS JOIN LATERAL (
      SELECT status_since FROM tasks WHERE board_id = ${boardId} AND lane = lane.name AND status = 'ready'
      ORDER BY priority DESC, id LIMIT 1
    ) AS next
    WHERE (lane.last_seen_at > clock_timestamp() - make_interval(secs => ${ONLINE_SECONDS})) IS NOT TRUE
      AND (
        SELECT true FROM claims WHERE board_id = ${boardId} AND lane = lane.name AND lane <> '' AND NOT is_superseded LIMIT 1
      ) IS NULL
    ORDER BY lane.name LIMIT ${most.lanes}`;
}
