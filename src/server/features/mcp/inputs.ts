/** Fields that many tools take, with what a model is told of them. */
import { z } from 'zod';
import { BoardName, PageToken } from '../../../contract/identifiers.ts';
import { absent } from '../../../contract/values.ts';

/** Pinned for issue 7; below the 60 s after which the common clients give a call up (MCP SDK, Codex). */
export const WAIT_SECONDS_MAX = 45;

export const WaitSeconds = absent(z.int().min(0).max(WAIT_SECONDS_MAX)).describe(
  `How long to wait, at most ${WAIT_SECONDS_MAX}. Default 0: answer at once.`,
);

/** What Idempotency-Key takes (http/request-headers.ts). A counted-up name would meet that of another agent under the same key. */
export const RequestId = absent(
  z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces'),
).describe(
  'A random id (UUID), new for each call. Call again with the same one only when the answer got lost: nothing is done twice.',
);

export const Board = absent(BoardName).describe('Default: the only board of your key, or "default".');

export const Cursor = absent(PageToken).describe('next_cursor of the answer before, to read on.');

type Given<T> = { [Name in keyof T]: NonNullable<T[Name]> };

/** The fields that say something. */
export function given<T extends object>(fields: T): Partial<Given<T>> {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(said) as Partial<Given<T>>;
}
