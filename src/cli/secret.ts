/** Shows a new key: the secret alone on stdout, so that `> file` keeps exactly it, and the words on stderr. */
import type { ReplyOf } from '../client/operation-types.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import type { Output } from './output.ts';

export function secretOf({ key, secret }: ReplyOf<'createKey'>): string {
  if (secret !== undefined) return secret;
  const next = `Next: lanekeeper key revoke ${key.id}, then try again`;
  throw new ExitError(EXIT.error, `The key ${key.id} was made, but its secret was lost on the way. ${next}`);
}

export function writeSecret(output: Output, reply: ReplyOf<'createKey'>): void {
  const { key } = reply;
  const secret = secretOf(reply);
  if (output.isJson) output.json(reply);
  else output.line(secret);
  output.note(`Key ${key.id} (${key.role}); the secret is not shown again.`);
}
