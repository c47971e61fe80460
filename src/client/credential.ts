/** Whom a client speaks for: a key that stays, or one that is asked for whenever it is needed, because it may change or is yet to come. */

import { onAbort } from './abort-hub.ts';
import { LanekeeperError } from './errors.ts';
import { reasonOf } from './timing.ts';

/** Asked before every attempt and every opening of a socket, so it should answer from memory or a file. undefined: there is none (yet). */
export type TokenSource = () => string | undefined | Promise<string | undefined>;

/** Between a refusal and asking the source again: a server that has just started is still telling where its key is. */
export const ASKED_AGAIN_AFTER_MS = 250;

/** What is given; of a source, what it says now. Rejects with the signal's reason when that fires before there is an answer. */
export async function currentToken(
  token: string | TokenSource | undefined,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (typeof token !== 'function') return token;
  const answer = token();
  if (signal === undefined || !(answer instanceof Promise)) return answer;
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(reasonOf(signal));
    else stopListening = onAbort(signal, () => reject(reasonOf(signal)));
  });
  return Promise.race([answer, aborted]).finally(() => stopListening());
}

/** The credential was refused, and nothing was done. */
export function isUnauthenticated(error: unknown): boolean {
  return error instanceof LanekeeperError && error.code === 'unauthenticated';
}
