/**
 * What a command that follows a board says about its connection: why there is none, once, before the first one; after that each loss and
 * each return. A first connection that does not come about ends the command; a later one is waited for.
 */
import { UnreachableError } from '../client/errors.ts';
import type { StateName } from '../client/watch/machine.ts';
import type { Output } from './output.ts';

/** As long as other commands try to reach a server; a wrong address does not become right by waiting. */
const FIRST_CONNECT_SECONDS = 30;

/** Options of a watch. */
interface ConnectionNotes {
  readonly onState: (state: StateName) => void;
  readonly onConnectFailure: (error: Error) => void;
  readonly limits: { readonly firstConnectMs: number };
}

export function connectionNotes(output: Output, url: string): ConnectionNotes {
  let hasConnected = false;
  let isAway = false;
  let isExplained = false;
  return {
    onState: (state) => {
      if (state === 'live') {
        if (isAway) output.note('connected again');
        else if (isExplained && !hasConnected) output.note('connected');
        hasConnected = true;
        isAway = false;
      } else if (state === 'backing_off' && hasConnected && !isAway) {
        output.note('disconnected; reconnecting');
        isAway = true;
      }
    },
    onConnectFailure: (error) => {
      if (hasConnected || isExplained) return;
      isExplained = true;
      // The address is part of the one, and not of what a server or a proxy says.
      const why = error instanceof UnreachableError ? error.message : `${url}: ${error.message}`;
      output.note(`${why}; trying again for ${FIRST_CONNECT_SECONDS} s`);
    },
    limits: { firstConnectMs: FIRST_CONNECT_SECONDS * 1000 },
  };
}
