/** Where an agent's requests come from, as a gateway says it to the bridge. The agent itself never sets it: see docs/mcp.md. */
import { isObject, parseObject } from '../../client/errors.ts';
import type { OriginBody } from '../../contract/origins.ts';
import { UsageError } from '../exit-codes.ts';

/** The compiler holds them against the contract. */
const PARTS: Record<keyof OriginBody, true> = {
  platform: true,
  chat_id: true,
  thread_id: true,
  user_id: true,
  session_id: true,
  profile: true,
  context: true,
};

/** JSON → the value of Lanekeeper-Origin. Base64url, so nothing in it can end the header. Lengths are for the server to judge. */
export function originHeader(text: string): string {
  const origin = parseObject(text);
  const isOrigin =
    isObject(origin) &&
    Object.entries(origin).every(([part, value]) => Object.hasOwn(PARTS, part) && typeof value === 'string');
  if (!isOrigin) {
    const parts = Object.keys(PARTS).join(', ');
    throw new UsageError(`The origin must be a JSON object of texts, with any of ${parts}`);
  }
  return Buffer.from(JSON.stringify(origin), 'utf8').toString('base64url');
}
