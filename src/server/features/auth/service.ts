/** API keys: issued, listed, revoked; nobody grants more than they have. */
import type { z } from 'zod';
import type { createKey, Key } from '../../../contract/keys.ts';
import type { createLaneKey } from '../../../contract/lanes.ts';
import type { Runner, Sql, Tx } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import type { KeyPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { hashApiKey } from './api-key.ts';
import { principalOfKey } from './authenticator.ts';
import { grantedBoards, grantedExpiry, grantedOwner, keyCaller } from './granting.ts';
import { holdGrant, holdGranter } from './holding.ts';
import { type IssuedKey, issueKey, keyOf } from './issuing.ts';
import { boardNotFound, maySeeBoard } from './permissions.ts';
import { findKey, findLiveKeyById, insertKey, listKeys, revokeKey, revokeLaneKeys } from './store.ts';

export { makeApiKey } from './api-key.ts';
export { Authenticator, createPrincipalLimit } from './authenticator.ts';
export { ClaimTokens } from './claim-tokens.ts';
export { holdPlace } from './holding.ts';
export { authorise, boardNotFound, maySeeBoard } from './permissions.ts';
export { SecretBox } from './secret-box.ts';
export { SignIn } from './sign-in.ts';
export { SigningKeys } from './signing-keys.ts';
export { WaitingRequests } from './waiting-requests.ts';

type KeyRequest = z.infer<(typeof createKey)['body']>;

/** What may be asked for a lane's key; the rest is the lane's. */
type LaneKeyWish = z.infer<(typeof createLaneKey)['body']>;

export class KeyService {
  readonly #sql: Sql;
  readonly #ids: IdSource;

  constructor(sql: Sql, ids: IdSource) {
    this.#sql = sql;
    this.#ids = ids;
  }

  async issue(tx: Tx, caller: Principal | null, request: KeyRequest): Promise<IssuedKey> {
    const known = keyCaller(caller);
    const asked = grantedBoards(known, request);
    const isLane = request.role === 'lane';
    if (isLane && (asked === null || asked.length !== 1 || !request.lane)) {
      throw new ProblemError('invalid_request', 'A lane key needs one board and a lane.', {
        errors: [{ pointer: '/lane', detail: 'is required with role lane' }],
      });
    }
    if (!isLane && request.lane) {
      throw new ProblemError('invalid_request', 'Only a lane key is bound to a lane.', {
        errors: [{ pointer: '/lane', detail: 'only with role lane' }],
      });
    }
    const { granter, boards } = await holdGrant(tx, known, request, request.lane ?? null);
    return issueKey(tx, this.#ids, {
      role: request.role,
      name: request.name,
      boards,
      lane: request.lane ?? null,
      owner: grantedOwner(granter, request.owner ?? null),
      expiresAt: grantedExpiry(granter, request.expires_at ?? null),
      hasMcpAliases: request.mcp_aliases ?? false,
    });
  }

  /** A key for one lane, which is held (holdPlace) in this transaction. */
  async issueForLane(
    tx: Tx,
    caller: Principal | null,
    place: { readonly board: string; readonly lane: string },
    wish: LaneKeyWish,
  ): Promise<IssuedKey> {
    const granter = await holdGranter(tx, keyCaller(caller));
    if (!maySeeBoard(granter, place.board)) throw boardNotFound(place.board);
    return issueKey(tx, this.#ids, {
      role: 'lane',
      name: wish.name ?? `lane ${place.lane}`,
      boards: [place.board],
      lane: place.lane,
      owner: grantedOwner(granter, null),
      expiresAt: grantedExpiry(granter, wish.expires_at ?? null),
      hasMcpAliases: wish.mcp_aliases ?? false,
    });
  }

  /** Makes the given text an admin key for every board; null: it is a key already. */
  async ensureAdminKey(secret: string, name: string): Promise<Key | null> {
    const id = this.#ids.next();
    const row = await insertKey(this.#sql, {
      id,
      hash: hashApiKey(secret),
      role: 'admin',
      name,
      boards: null,
      lane: null,
      owner: null,
      expiresAt: null,
      hasMcpAliases: false,
    });
    return row === null ? null : keyOf(row);
  }

  async list(caller: Principal | null, afterId: string | null, rowsMax: number): Promise<Key[]> {
    const { boards } = keyCaller(caller);
    const after = afterId === null ? null : parseId('key', afterId);
    const rows = await withinDeadline(
      listKeys(this.#sql, boards === '*' ? null : [...boards], after, rowsMax),
    );
    return rows.map(keyOf);
  }

  async get(caller: KeyPrincipal): Promise<Key> {
    const row = await withinDeadline(findKey(this.#sql, parseId('key', caller.keyId) as Uuid));
    if (row === null) throw new ProblemError('unauthenticated', 'The key was revoked.');
    return keyOf(row);
  }

  /** For what is done in a key's name after its request has been answered. Null: it was revoked, or has expired. */
  async livePrincipal(runner: Runner, keyId: string): Promise<KeyPrincipal | null> {
    const id = parseId('key', keyId);
    const row = id === null ? null : await findLiveKeyById(runner, id);
    return row === null ? null : principalOfKey(row);
  }

  async revoke(caller: Principal | null, id: string): Promise<Key> {
    const uuid = parseId('key', id);
    const row = uuid === null ? null : await withinDeadline(findKey(this.#sql, uuid));
    if (uuid === null || row === null || !isWithin(keyCaller(caller), row.boards)) throw keyNotFound(id);
    if (!(await withinDeadline(revokeKey(this.#sql, uuid)))) throw keyNotFound(id);
    return keyOf(row);
  }

  async revokeLaneKeys(runner: Runner, board: string, lane: string): Promise<void> {
    await revokeLaneKeys(runner, board, lane);
  }
}

function keyNotFound(id: string): ProblemError {
  return new ProblemError('not_found', `There is no key ${JSON.stringify(id)}.`, {
    extensions: { resource: 'key' },
  });
}

function isWithin(caller: KeyPrincipal, boards: readonly string[] | null): boolean {
  if (caller.boards === '*') return true;
  return boards?.every((board) => maySeeBoard(caller, board)) ?? false;
}
