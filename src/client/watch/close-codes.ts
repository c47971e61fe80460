/** What the code with which a server closes a socket means to whoever would come back. */
import { CLOSE_CODES } from '../../contract/constants.ts';

/** Trying again would meet the same answer: our frames, our credential, our rights, or a newer worker of our name. */
export const FINAL_CLOSE_CODES: ReadonlySet<number> = new Set([
  CLOSE_CODES.policy,
  CLOSE_CODES.tooBig,
  CLOSE_CODES.badFrame,
  CLOSE_CODES.unauthenticated,
  CLOSE_CODES.forbidden,
  CLOSE_CODES.superseded,
]);
