/** API keys: issued, listed, revoked; nobody grants more than they have. */
import type { z } from 'zod';
import type { createKey, Key } from '../../../contract/keys.ts';
import type { createLaneKey } from '../../../contract/lanes.ts';
import type { Role } from '../../../contract/statuses.ts';
import type { Runner, Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { formatId, type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import type { KeyPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { hashApiKey, makeApiKey } from './api-key.ts';
import { principalOfKey } from './authenticator.ts';
import { boardNotFound, maySeeBoard } from './permissions.ts';
import {
  findKey,
  findLiveKeyById,
  insertKey,
  type KeyRow,
  listKeys,
  revokeKey,
  revokeLaneKeys,
} from './store.ts';

export { makeApiKey } from './api-key.ts';
export { Authenticator, createPrincipalLimit } from './authenticator.ts';
export { ClaimTokens } from './claim-tokens.ts';
export { authorise, boardNotFound, maySeeBoard } from './permissions.ts';
export { SecretBox } from './secret-box.ts';
export { SigningKeys } from './signing-keys.ts';
export { WaitingRequests } from './waiting-requests.ts';

type KeyRequest = z.infer<(typeof createKey)['body']>;

export interface IssuedKey {
  readonly key: Key;
  readonly secret: string;
}

function keyOf(row: KeyRow): Key {
  return {
    id: formatId('key', row.id),
    role: row.role,
    name: row.name,
    boards: row.boards ?? ['*'],
    lane: row.lane,
    owner: row.owner,
    mcp_aliases: row.has_mcp_aliases,
    created_at: row.created_at,
    expires_at: row.expires_at,
    last_used_at: row.last_used_at,
  };
}

/** Only a key may manage keys; the permission table lets nobody else come here. */
function keyCaller(caller: Principal | null): KeyPrincipal {
  if (caller?.kind === 'key') return caller;
  throw new ProblemError('forbidden', 'This takes an API key.');
}

interface NewKeyGrant {
  readonly role: Role;
  readonly name: string;
  readonly boards: readonly string[] | null;
  readonly lane: string | null;
  readonly owner: string | null;
  readonly expiresAt: string | null;
  readonly hasMcpAliases: boolean;
}

/** What may be asked for a lane's key; the rest is the lane's. */
type LaneKeyWish = z.infer<(typeof createLaneKey)['body']>;

export class KeyService {
  readonly #sql: Sql;
  readonly #ids: IdSource;

  constructor(sql: Sql, ids: IdSource) {
    this.#sql = sql;
    this.#ids = ids;
  }

  async issue(runner: Runner, caller: Principal | null, request: KeyRequest): Promise<IssuedKey> {
    const granter = keyCaller(caller);
    const boards = grantedBoards(granter, request);
    const isLane = request.role === 'lane';
    if (isLane && (boards === null || boards.length !== 1 || !request.lane)) {
      throw new ProblemError('invalid_request', 'A lane key needs one board and a lane.', {
        errors: [{ pointer: '/lane', detail: 'is required with role lane' }],
      });
    }
    if (!isLane && request.lane) {
      throw new ProblemError('invalid_request', 'Only a lane key is bound to a lane.', {
        errors: [{ pointer: '/lane', detail: 'only with role lane' }],
      });
    }
    return this.#issue(runner, {
      role: request.role,
      name: request.name,
      boards,
      lane: request.lane ?? null,
      owner: grantedOwner(granter, request.owner ?? null),
      expiresAt: grantedExpiry(granter, request.expires_at ?? null),
      hasMcpAliases: request.mcp_aliases ?? false,
    });
  }

  /** A key for one lane, which the caller has found to exist. */
  async issueForLane(
    runner: Runner,
    caller: Principal | null,
    place: { readonly board: string; readonly lane: string },
    wish: LaneKeyWish,
  ): Promise<IssuedKey> {
    const granter = keyCaller(caller);
    return this.#issue(runner, {
      role: 'lane',
      name: wish.name ?? `lane ${place.lane}`,
      boards: [place.board],
      lane: place.lane,
      owner: grantedOwner(granter, null),
      expiresAt: grantedExpiry(granter, wish.expires_at ?? null),
      hasMcpAliases: wish.mcp_aliases ?? false,
    });
  }

  async #issue(runner: Runner, grant: NewKeyGrant): Promise<IssuedKey> {
    const id = this.#ids.next();
    const secret = makeApiKey(grant.role, id);
    const row = await insertKey(runner, { ...grant, id, hash: hashApiKey(secret) });
    if (row === null) throw new Error('two keys of 190 random bits have the same hash');
    return { key: keyOf(row), secret };
  }

  /** Makes the given text an admin key for every board, unless it is a key already. */
  async ensureAdminKey(secret: string, name: string): Promise<void> {
    const id = this.#ids.next();
    await insertKey(this.#sql, {
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

  async revoke(caller: Principal | null, id: string): Promise<void> {
    const uuid = parseId('key', id);
    const row = uuid === null ? null : await withinDeadline(findKey(this.#sql, uuid));
    if (uuid === null || row === null || !isWithin(keyCaller(caller), row.boards)) throw keyNotFound(id);
    if (!(await withinDeadline(revokeKey(this.#sql, uuid)))) throw keyNotFound(id);
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

/** A key that is bound to a delivery owner hands on that owner and no other. */
function grantedOwner(granter: KeyPrincipal, asked: string | null): string | null {
  if (granter.owner === null || asked === null || asked === granter.owner) return asked ?? granter.owner;
  throw new ProblemError('forbidden', `This key is bound to the owner ${JSON.stringify(granter.owner)}.`);
}

/** No key outlives the one that issued it; without a wish it lives as long. */
function grantedExpiry(granter: KeyPrincipal, asked: string | null): string | null {
  if (granter.expiresAt === null || asked === null) return asked ?? granter.expiresAt;
  if (Date.parse(asked) <= Date.parse(granter.expiresAt)) return asked;
  throw new ProblemError(
    'forbidden',
    `This key expires at ${granter.expiresAt}; it cannot issue one that lives longer.`,
  );
}

/** The boards a new key gets: the ones asked for when the caller has them, else the caller's own. null: every board. */
function grantedBoards(caller: KeyPrincipal, request: KeyRequest): readonly string[] | null {
  if (request.boards && request.board) {
    throw new ProblemError('invalid_request', 'Give board or boards, not both.', {
      errors: [{ pointer: '/board', detail: 'not together with boards' }],
    });
  }
  const asked = request.boards ?? (request.board ? [request.board] : null);
  if (asked === null) return caller.boards === '*' ? null : [...caller.boards];
  if (asked.includes('*')) {
    if (caller.boards !== '*')
      throw new ProblemError('forbidden', 'Only a key for every board may grant every board.');
    return null;
  }
  for (const board of asked) if (!maySeeBoard(caller, board)) throw boardNotFound(board);
  return asked;
}
