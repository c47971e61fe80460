/** How tools ask the routes: as the caller, on the board that is meant, for as long as a tool may wait. */
import { z } from 'zod';
import { BoardName } from '../../../contract/identifiers.ts';
import type { Route } from '../../../contract/route.ts';
import { absent } from '../../../contract/values.ts';
import type { RouteCall, Said } from '../../http/route-calls.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { ToolCall } from './tool.ts';

/** Pinned for issue 7; below the 60 s after which the common clients give a call up (MCP SDK, Codex). */
const WAIT_SECONDS_MAX = 45;

export const WaitSeconds = absent(z.int().min(0).max(WAIT_SECONDS_MAX)).describe(
  `How long to wait, at most ${WAIT_SECONDS_MAX}. Default 0: answer at once.`,
);

/** What Idempotency-Key takes (http/request-headers.ts). */
export const RequestId = absent(
  z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces'),
).describe(
  'Made up by you, new for each call. Call again with the same one when the answer got lost: nothing is done twice.',
);

export const Board = absent(BoardName).describe('Default: the only board of your key, or "default".');

const DEFAULT_BOARD = 'default';

/** The board that is meant. Whether the caller may see it is decided with what is asked of it. */
export function boardOf(caller: Principal, named?: string | null): string {
  if (named) return named;
  if (caller.kind === 'claim') return caller.board;
  if (caller.boards === '*' || caller.boards.has(DEFAULT_BOARD)) return DEFAULT_BOARD;
  const [only, ...others] = caller.boards;
  if (only !== undefined && others.length === 0) return only;
  throw new ProblemError('invalid_request', 'Your key is good for several boards: name one.', {
    errors: [{ pointer: '/board', detail: 'is needed' }],
  });
}

/** In the name of whoever called the tool. */
export async function ask<R extends Route>(
  call: ToolCall,
  route: R,
  asked: Omit<RouteCall<R>, 'caller'>,
): Promise<Said<R>> {
  return askAs(call, call.caller, route, asked);
}

/** In the name of the holder of a run, for whom the caller may speak. */
export async function askAs<R extends Route>(
  { parts, exchange }: ToolCall,
  caller: Principal,
  route: R,
  asked: Omit<RouteCall<R>, 'caller'>,
): Promise<Said<R>> {
  const { body } = await parts.calls.call<R>(route, exchange, { ...asked, caller });
  return body;
}
