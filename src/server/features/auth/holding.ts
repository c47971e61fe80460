/**
 * What a new key rests on stays as it is until the key is there: the key that grants it, its boards and its lane. Whoever revokes, deletes
 * or deregisters one of them waits, and finds the new key then; or has come first, and is heard of here. What a server has in memory may be
 * older than both. Locked in the order of a board's deletion: boards, lane, keys.
 */
import type { Tx } from '../../db/client.ts';
import { parseId } from '../../kernel/ids.ts';
import type { KeyPrincipal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { principalOfKey, unauthenticated } from './authenticator.ts';
import { boardNotFound } from './permissions.ts';
import { holdBoards, holdLane, holdLiveKey } from './store.ts';

/** As the granter is now, which may be less than it was when it was looked up. */
export async function holdGranter(tx: Tx, granter: KeyPrincipal): Promise<KeyPrincipal> {
  const id = parseId('key', granter.keyId);
  const row = id === null ? null : await holdLiveKey(tx, id);
  if (row === null) throw unauthenticated('The key was revoked or has expired.');
  return principalOfKey(row);
}

/**
 * A key may be for boards, and a lane, that are yet to be made. One that is deleted at this very moment is not meant by that: the key would
 * be for the next one of its name.
 * @param boards null: every board, which is none in particular.
 */
export async function holdPlace(
  tx: Tx,
  boards: readonly string[] | null,
  lane: string | null = null,
): Promise<void> {
  if (boards === null) return;
  for (const { id, name, is_held } of await holdBoards(tx, boards)) {
    if (!is_held) throw boardNotFound(name);
    if (lane !== null && (await holdLane(tx, id, lane)) === 'gone') throw laneGone(lane, name);
  }
}

function laneGone(lane: string, board: string): ProblemError {
  return new ProblemError(
    'not_found',
    `Lane ${JSON.stringify(lane)} of board ${JSON.stringify(board)} was deregistered while this request was under way.`,
    { extensions: { resource: 'lane' } },
  );
}
