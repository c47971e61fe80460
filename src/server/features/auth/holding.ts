/**
 * What a new key rests on stays as it is until the key is there: the key that grants it, its boards and its lane. Whoever deletes
 * or deregisters one of them waits, and ends the new key with it; or has come first, and is heard of here. So is a revocation; one that comes
 * later leaves what was granted before it. What a server has in memory may be older than all of these. Locked in the order of a board's
 * deletion: boards, lane, keys.
 */
import type { Tx } from '../../db/client.ts';
import { parseId } from '../../kernel/ids.ts';
import type { KeyPrincipal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { principalOfKey, unauthenticated } from './authenticator.ts';
import { type BoardsWish, grantedBoards, namedBoards } from './granting.ts';
import { boardNotFound } from './permissions.ts';
import { holdBoards, holdLane, holdLiveKey } from './store.ts';

interface Grant {
  /** As it is now, which may be less than it was when it was looked up. */
  readonly granter: KeyPrincipal;
  /** null: every board. */
  readonly boards: readonly string[] | null;
}

/** What is granted when all of it is held. Who names no board is granted what the granter has by then. */
export async function holdGrant(
  tx: Tx,
  known: KeyPrincipal,
  wish: BoardsWish,
  lane: string | null = null,
): Promise<Grant> {
  const { gone } = await holdPlace(tx, grantedBoards(known, wish), lane);
  const named = gone.find((board) => namedBoards(wish)?.includes(board));
  if (named !== undefined) throw boardNotFound(named);
  const granter = await holdGranter(tx, known);
  return { granter, boards: grantedBoards(granter, wish) };
}

export async function holdGranter(tx: Tx, known: KeyPrincipal): Promise<KeyPrincipal> {
  const id = parseId('key', known.keyId);
  const row = id === null ? null : await holdLiveKey(tx, id);
  if (row === null) throw unauthenticated('The key was revoked or has expired.');
  return principalOfKey(row);
}

interface HeldPlace {
  /** Names of boards. A name that no board has is in neither. */
  readonly held: readonly string[];
  /** Deleted while they were waited for. */
  readonly gone: readonly string[];
  /** Of one board; of several, in the last of them. */
  readonly isLaneHeld: boolean;
}

/**
 * A key may be for boards, and a lane, that are yet to be made. One that is deleted at this very moment is not meant by that: the key would
 * be for the next one of its name.
 * @param boards null: every board, which is none in particular.
 */
export async function holdPlace(
  tx: Tx,
  boards: readonly string[] | null,
  lane: string | null,
): Promise<HeldPlace> {
  const place = { held: [] as string[], gone: [] as string[], isLaneHeld: false };
  for (const { id, name, is_held } of boards === null ? [] : await holdBoards(tx, boards)) {
    (is_held ? place.held : place.gone).push(name);
    if (lane === null || !is_held) continue;
    const found = await holdLane(tx, id, lane);
    if (found === 'gone') throw laneGone(lane, name);
    place.isLaneHeld = found === 'held';
  }
  return place;
}

function laneGone(lane: string, board: string): ProblemError {
  return new ProblemError(
    'lane_not_found',
    `Lane ${JSON.stringify(lane)} of board ${JSON.stringify(board)} was deregistered while this request was under way.`,
    { extensions: { resource: 'lane' } },
  );
}
