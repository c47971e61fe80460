/** What a key may hand on: nobody grants more than they have. */
import type { KeyPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound, maySeeBoard } from './permissions.ts';

/** Only a key may manage keys; the permission table lets nobody else come here. */
export function keyCaller(caller: Principal | null): KeyPrincipal {
  if (caller?.kind === 'key') return caller;
  throw new ProblemError('forbidden', 'This takes an API key.');
}

/** A key that is bound to a delivery owner hands on that owner and no other. */
export function grantedOwner(granter: KeyPrincipal, asked: string | null): string | null {
  if (granter.owner === null || asked === null || asked === granter.owner) return asked ?? granter.owner;
  throw new ProblemError('forbidden', `This key is bound to the owner ${JSON.stringify(granter.owner)}.`);
}

/** No key outlives the one that issued it; without a wish it lives as long. */
export function grantedExpiry(granter: KeyPrincipal, asked: string | null): string | null {
  if (granter.expiresAt === null || asked === null) return asked ?? granter.expiresAt;
  if (Date.parse(asked) <= Date.parse(granter.expiresAt)) return asked;
  throw new ProblemError(
    'forbidden',
    `This key expires at ${granter.expiresAt}; it cannot issue one that lives longer.`,
  );
}

export interface BoardsWish {
  readonly boards?: readonly string[] | null | undefined;
  readonly board?: string | null | undefined;
}

/** Null: the wish names none. */
export function namedBoards({ boards, board }: BoardsWish): readonly string[] | null {
  return boards ?? (board ? [board] : null);
}

/** The boards a new key gets: the ones asked for when the caller has them, else the caller's own. null: every board. */
export function grantedBoards(caller: KeyPrincipal, wish: BoardsWish): readonly string[] | null {
  if (wish.boards && wish.board) {
    throw new ProblemError('invalid_request', 'Give board or boards, not both.', {
      errors: [{ pointer: '/board', detail: 'not together with boards' }],
    });
  }
  const asked = namedBoards(wish);
  if (asked === null) return caller.boards === '*' ? null : [...caller.boards];
  if (asked.includes('*')) {
    if (caller.boards !== '*')
      throw new ProblemError('forbidden', 'Only a key for every board may grant every board.');
    return null;
  }
  for (const board of asked) if (!maySeeBoard(caller, board)) throw boardNotFound(board);
  return [...new Set(asked)];
}
