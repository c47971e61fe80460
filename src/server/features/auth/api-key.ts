/**
 * The form of an API key: `lk_<role>_<id><secret><crc>`. The id names the row, the secret is 190 random bits, and the CRC lets
 * scanners and this server tell a mistyped or invented key without asking the database. Only its SHA-256 is stored.
 */
import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ROLES, type Role } from '../../../contract/statuses.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_CHARACTERS = 32;
const CHECKSUM_CHARACTERS = 6;
const KEY_PATTERN = new RegExp(
  `^(lk_(?:${ROLES.join('|')})_[0-9a-hjkmnp-tv-z]{26}[0-9A-Za-z]{${SECRET_CHARACTERS}})([0-9A-Za-z]{${CHECKSUM_CHARACTERS}})$`,
);

function checksum(text: string): string {
  let rest = crc32(text);
  let characters = '';
  for (let index = 0; index < CHECKSUM_CHARACTERS; index += 1) {
    characters = BASE62.charAt(rest % 62) + characters;
    rest = Math.floor(rest / 62);
  }
  return characters;
}

export function makeApiKey(role: Role, id: Uuid): string {
  const secret = Array.from({ length: SECRET_CHARACTERS }, () => BASE62.charAt(randomInt(62))).join('');
  const text = `lk_${role}_${formatId('key', id).slice('key_'.length)}${secret}`;
  return text + checksum(text);
}

/** False: has the prefix of our keys, but was not made by us. */
export function isWellFormedApiKey(key: string): boolean {
  const match = KEY_PATTERN.exec(key);
  return match?.[1] !== undefined && checksum(match[1]) === match[2];
}

export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
