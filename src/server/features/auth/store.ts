/** API keys and signing keys in the database. */
import type { SignInRole } from '../../../contract/sign-in.ts';
import type { Role } from '../../../contract/statuses.ts';
import { begin } from '../../db/begin.ts';
import type { JsonParameter, Runner, Sql, Tx } from '../../db/client.ts';
import type { Uuid } from '../../kernel/ids.ts';

export interface KeyRow {
  readonly id: Uuid;
  readonly role: Role;
  readonly name: string;
  readonly boards: string[] | null;
  readonly lane: string | null;
  readonly owner: string | null;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly has_mcp_aliases: boolean;
  readonly is_session: boolean;
}

export interface NewKey {
  readonly id: Uuid;
  readonly hash: string;
  readonly role: Role;
  readonly name: string;
  readonly boards: readonly string[] | null;
  readonly lane: string | null;
  readonly owner: string | null;
  readonly expiresAt: string | null;
  readonly hasMcpAliases: boolean;
  /** Made by a sign-in. Default: it is not. */
  readonly isSession?: boolean;
}

const KEY_COLUMNS = (sql: Runner) =>
  sql`id, role, name, to_json(boards) AS boards, lane, owner, created_at, expires_at, last_used_at,
    has_mcp_aliases, is_session`;

/** The live key with this hash. Expiry is the database's time, revocation is immediate. */
export async function findLiveKey(sql: Runner, hash: string): Promise<KeyRow | null> {
  const [row] = await sql<KeyRow[]>`
    /* auth.find_live_key */
    SELECT ${KEY_COLUMNS(sql)} FROM api_keys
    WHERE hash = ${hash} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  return row ?? null;
}

/** The live key with this id. */
export async function findLiveKeyById(sql: Runner, id: Uuid): Promise<KeyRow | null> {
  const [row] = await sql<KeyRow[]>`
    /* auth.find_live_key_by_id */
    SELECT ${KEY_COLUMNS(sql)} FROM api_keys
    WHERE id = ${id} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
  return row ?? null;
}

/** Which of these are live keys, and as what. */
export async function findLiveKeys(
  sql: Runner,
  hashes: readonly string[],
): Promise<(KeyRow & { readonly hash: string })[]> {
  return sql<(KeyRow & { readonly hash: string })[]>`
    /* auth.find_live_keys */
    SELECT hash, ${KEY_COLUMNS(sql)} FROM api_keys
    WHERE hash = ANY(${hashes as string[]}::text[]) AND revoked_at IS NULL
      AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
}

/** null: there is a key with this hash already. */
export async function insertKey(sql: Runner, key: NewKey): Promise<KeyRow | null> {
  const [row] = await sql<KeyRow[]>`
    /* auth.insert_key */
    INSERT INTO api_keys (id, hash, role, name, boards, lane, owner, expires_at, has_mcp_aliases,
      is_session)
    VALUES (${key.id}, ${key.hash}, ${key.role}, ${key.name}, ${key.boards as string[] | null}, ${key.lane}, ${key.owner}, ${key.expiresAt},
      ${key.hasMcpAliases}, ${key.isSession ?? false})
    ON CONFLICT (hash) DO NOTHING
    RETURNING ${KEY_COLUMNS(sql)}`;
  return row ?? null;
}

export async function findKey(sql: Runner, id: Uuid): Promise<KeyRow | null> {
  const [row] = await sql<KeyRow[]>`
    /* auth.find_key */ SELECT ${KEY_COLUMNS(sql)} FROM api_keys WHERE id = ${id} AND revoked_at IS NULL`;
  return row ?? null;
}

/** Live keys whose boards all lie within `boards` (null: any), after `afterId`, oldest first. */
export async function listKeys(
  sql: Runner,
  boards: readonly string[] | null,
  afterId: Uuid | null,
  rowsMax: number,
): Promise<KeyRow[]> {
  return sql<KeyRow[]>`
    /* auth.list_keys */
    SELECT ${KEY_COLUMNS(sql)} FROM api_keys
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
      AND (${boards === null} OR boards <@ ${boards as string[] | null}::text[])
      AND (${afterId}::uuid IS NULL OR id > ${afterId}::uuid)
    ORDER BY id LIMIT ${rowsMax}`;
}

export async function revokeKey(sql: Runner, id: Uuid): Promise<boolean> {
  const rows = await sql`
    /* auth.revoke_key */
    UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = ${id} AND revoked_at IS NULL RETURNING id`;
  return rows.length > 0;
}

/** False: it is not live, or no sign-in made it. */
export async function revokeSessionKey(sql: Runner, id: Uuid): Promise<boolean> {
  const rows = await sql`
    /* auth.revoke_session_key */
    UPDATE api_keys SET revoked_at = clock_timestamp()
    WHERE id = ${id} AND is_session AND revoked_at IS NULL RETURNING id`;
  return rows.length > 0;
}

export async function revokeLaneKeys(sql: Runner, board: string, lane: string): Promise<void> {
  await sql`
    /* auth.revoke_lane_keys */
    UPDATE api_keys SET revoked_at = clock_timestamp()
    WHERE role = 'lane' AND boards = ARRAY[${board}] AND lane = ${lane} AND revoked_at IS NULL`;
}

export async function touchKey(sql: Runner, id: Uuid): Promise<void> {
  await sql`/* auth.touch_key */ UPDATE api_keys SET last_used_at = clock_timestamp() WHERE id = ${id}`;
}

/** The live key with this id, which stays live until the transaction ends. */
export async function holdLiveKey(sql: Runner, id: Uuid): Promise<KeyRow | null> {
  const [row] = await sql<KeyRow[]>`
    /* auth.hold_live_key */
    SELECT ${KEY_COLUMNS(sql)} FROM api_keys
    WHERE id = ${id} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
    FOR SHARE`;
  return row ?? null;
}

/**
 * Boards of these names; those that are held stay until the transaction ends. One that was deleted while it was waited for is there and not
 * held, and a name that no board has is left out. Waits for that alone: who changes a board, or imports into it, has its row for seconds.
 */
export async function holdBoards(
  tx: Tx,
  names: readonly string[],
): Promise<{ id: number; name: string; is_held: boolean }[]> {
  return tx<{ id: number; name: string; is_held: boolean }[]>`
    /* auth.hold_boards */
    WITH held AS MATERIALIZED (
      SELECT id FROM boards WHERE name = ANY(${names as string[]}::text[]) ORDER BY id FOR KEY SHARE
    )
    SELECT id, name, id IN (SELECT id FROM held) AS is_held FROM boards WHERE name = ANY(${names as string[]}::text[])`;
}

/** Held, the lane stays until the transaction ends. Gone: it was deregistered while it was waited for. Null: there is none. */
export async function holdLane(tx: Tx, boardId: number, lane: string): Promise<'held' | 'gone' | null> {
  const [row] = await tx<{ is_held: boolean }[]>`
    /* auth.hold_lane */
    WITH held AS MATERIALIZED (SELECT name FROM lanes WHERE board_id = ${boardId} AND name = ${lane} FOR KEY SHARE)
    SELECT EXISTS (SELECT FROM held) AS is_held FROM lanes WHERE board_id = ${boardId} AND name = ${lane}`;
  if (row === undefined) return null;
  return row.is_held ? 'held' : 'gone';
}

interface NewSignInCode {
  readonly hash: string;
  readonly role: SignInRole;
  readonly name: string;
  readonly boards: readonly string[] | null;
  readonly createdBy: Uuid | null;
  readonly lifeSeconds: number;
}

/** How many live codes of keys there may be. */
interface CodeBounds {
  readonly perMaker: number;
  readonly total: number;
}

/**
 * When it expires; null: there are too many live ones. Those of the server itself neither count nor are refused: there is one for each start.
 * Deletes those that have expired, which are never many more than that: nobody else has to. Two at the same time may both find the last
 * place, which does no harm.
 */
export async function insertSignInCode(
  sql: Runner,
  code: NewSignInCode,
  bounds: CodeBounds,
): Promise<string | null> {
  const [row] = await sql<{ expires_at: string }[]>`
    /* auth.insert_sign_in_code */
    WITH expired AS (
      DELETE FROM sign_in_codes WHERE hash IN (
        SELECT hash FROM sign_in_codes WHERE expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO sign_in_codes (hash, role, name, boards, created_by, expires_at)
    SELECT ${code.hash}, ${code.role}, ${code.name}, ${code.boards as string[] | null}, ${code.createdBy}::uuid,
      clock_timestamp() + make_interval(secs => ${code.lifeSeconds})
    WHERE ${code.createdBy}::uuid IS NULL OR (
      SELECT count(*) < ${bounds.total} AND count(*) FILTER (WHERE created_by = ${code.createdBy}::uuid) < ${bounds.perMaker}
      FROM sign_in_codes WHERE expires_at > clock_timestamp() AND created_by IS NOT NULL)
    RETURNING expires_at`;
  return row?.expires_at ?? null;
}

interface SignInCodeRow {
  readonly role: SignInRole;
  readonly name: string;
  readonly boards: string[] | null;
  readonly created_by: Uuid | null;
  readonly is_live: boolean;
  /** Of a session that begins now. */
  readonly session_ends_at: string;
}

/** Each code once, also over several servers: who deletes its row has it. */
export async function takeSignInCode(
  sql: Runner,
  hash: string,
  sessionSeconds: number,
): Promise<SignInCodeRow | null> {
  const [row] = await sql<SignInCodeRow[]>`
    /* auth.take_sign_in_code */
    DELETE FROM sign_in_codes WHERE hash = ${hash}
    RETURNING role, name, to_json(boards) AS boards, created_by, expires_at > clock_timestamp() AS is_live,
      clock_timestamp() + make_interval(secs => ${sessionSeconds}) AS session_ends_at`;
  return row ?? null;
}

export interface SigningKeyRow {
  readonly kid: string;
  readonly public_jwk: Record<string, unknown>;
  readonly private_jwk: string;
  readonly created_at: string;
  readonly signs_from: string;
  readonly tokens_until: string | null;
}

/** One may be made every five minutes and is kept for a good day, which is 290. */
const SIGNING_KEYS_MAX = 400;

export async function listSigningKeys(sql: Runner): Promise<SigningKeyRow[]> {
  return sql<SigningKeyRow[]>`
    /* auth.list_signing_keys */
    SELECT kid, public_jwk, private_jwk, created_at, signs_from, tokens_until FROM signing_keys
    ORDER BY signs_from DESC LIMIT ${SIGNING_KEYS_MAX}`;
}

/** "sign" in ASCII: two servers that start at once make one first key, not two. */
const SIGNING_KEY_LOCK = 0x7369676e;

interface NewSigningKey {
  readonly kid: string;
  readonly publicJwk: Record<string, unknown>;
  readonly privateJwk: string;
  readonly delaySeconds: number;
  /** Insert only when no key is younger than this; null: always. */
  readonly unlessYoungerThanSeconds: number | null;
}

/** Does nothing while there is a key that is yet to sign: one is enough, and nobody shall fill the table. */
export async function insertSigningKey(sql: Sql, key: NewSigningKey): Promise<void> {
  await begin(sql, '', async (tx) => {
    await tx`/* auth.lock_signing_keys */ SELECT pg_advisory_xact_lock(${SIGNING_KEY_LOCK})`;
    await tx`
      /* auth.insert_signing_key */
      INSERT INTO signing_keys (kid, public_jwk, private_jwk, signs_from)
      SELECT ${key.kid}, ${tx.json(key.publicJwk as JsonParameter)}, ${key.privateJwk},
        clock_timestamp() + make_interval(secs => ${key.delaySeconds})
      WHERE NOT EXISTS (SELECT FROM signing_keys WHERE signs_from > clock_timestamp() AND tokens_until IS NULL)
        AND (${key.unlessYoungerThanSeconds}::int IS NULL OR NOT EXISTS (
          SELECT FROM signing_keys WHERE tokens_until IS NULL AND created_at > clock_timestamp() - make_interval(secs => ${key.unlessYoungerThanSeconds})))`;
  });
}

/** Drops keys whose last token has expired: their successor has been signing for longer than any token lives. */
export async function deleteRetiredSigningKeys(sql: Runner, tokenLifeSeconds: number): Promise<void> {
  await sql`
    /* auth.delete_retired_signing_keys */
    DELETE FROM signing_keys AS old
    WHERE EXISTS (
      SELECT FROM signing_keys AS successor
      WHERE successor.signs_from > old.signs_from
        AND successor.signs_from < clock_timestamp() - make_interval(secs => ${tokenLifeSeconds}))`;
}
