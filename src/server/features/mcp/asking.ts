/** How tools ask the routes: as the caller, on the board that is meant. */
import type { Route } from '../../../contract/route.ts';
import type { RouteCall, Said } from '../../http/route-calls.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { ToolCall } from './tool.ts';

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
