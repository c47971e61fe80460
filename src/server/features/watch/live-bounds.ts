/** What holds for sockets and event streams alike: whoever follows the log live may choose either, and is served as well by both. */
import { ProblemError } from '../../kernel/problem-error.ts';

/** The wire contract promises a bookmark, or a comment, at least every 15 s while nothing happens. */
export const SIGN_OF_LIFE_INTERVAL_MS = 10_000;
/** Clients of a server that stops come back over this span, each at a time of its own, instead of all at once. */
export const RECONNECT_SPREAD_MS = 2000;
/** Open for one claim token, of either: a process, its helpers, and what is not known to be dead yet. */
export const OPEN_PER_RUN_MAX = 20;

/** Places are given back as others leave; a few seconds later there may well be one. */
export function noPlace(detail: string): ProblemError {
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '5' } });
}
