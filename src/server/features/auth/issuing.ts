/** A new key: its row, and its secret, which is in this one answer and nowhere else. Who may have it is not decided here. */
import type { Key } from '../../../contract/keys.ts';
import type { Runner } from '../../db/client.ts';
import { formatId, type IdSource } from '../../kernel/ids.ts';
import { hashApiKey, makeApiKey } from './api-key.ts';
import { insertKey, type KeyRow, type NewKey } from './store.ts';

export interface IssuedKey {
  readonly key: Key;
  readonly secret: string;
}

export async function issueKey(
  runner: Runner,
  ids: IdSource,
  grant: Omit<NewKey, 'id' | 'hash'>,
): Promise<IssuedKey> {
  const id = ids.next();
  const secret = makeApiKey(grant.role, id);
  const row = await insertKey(runner, { ...grant, id, hash: hashApiKey(secret) });
  if (row === null) throw new Error('two keys of 190 random bits have the same hash');
  return { key: keyOf(row), secret };
}

export function keyOf(row: KeyRow): Key {
  return {
    id: formatId('key', row.id),
    role: row.role,
    name: row.name,
    boards: row.boards ?? ['*'],
    lane: row.lane,
    owner: row.owner,
    mcp_aliases: row.has_mcp_aliases,
    session: row.is_session,
    created_at: row.created_at,
    expires_at: row.expires_at,
    last_used_at: row.last_used_at,
  };
}
