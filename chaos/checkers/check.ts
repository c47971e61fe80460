/**
 * Holds a recorded run against what the system promises. Pure: reads the history and the final state, and nothing else. The properties have
 * the numbers of docs/guarantees.md; each checker says in its own file what it proves and what it cannot.
 *
 * What the board of a run must keep to: it deletes no tasks and prunes no log, which is for retention.ts, its watchers watch the whole board,
 * and its final state is read in one snapshot after the board was left alone long enough for reaper and scheduler to do their work.
 */
import type { FinalState, HistoryEntry, Violation } from '../history.ts';
import { checkClocks } from './clocks.ts';
import { checkDelegations } from './delegations.ts';
import { checkDeliveries } from './deliveries.ts';
import { checkDeliveryLeases } from './delivery-leases.ts';
import { checkIdempotency } from './idempotency.ts';
import { checkLogFold } from './log-fold.ts';
import { checkLostAcknowledgements } from './lost-acknowledgements.ts';
import { checkLostWakes, DEFAULT_WAKE_BOUNDS, type WakeBounds } from './lost-wakes.ts';
import { checkRestingPlaces } from './resting-places.ts';
import { checkReviews } from './reviews.ts';
import { checkSingleClaims } from './single-claim.ts';
import { checkStaleWrites } from './stale-writes.ts';
import { checkWaitingChildren } from './waiting-children.ts';
import { checkWatchers } from './watchers.ts';

/** None: nothing that must never happen has happened in this run, as far as it can be seen. */
export function checkHistory(
  entries: readonly HistoryEntry[],
  final: FinalState,
  bounds: WakeBounds = DEFAULT_WAKE_BOUNDS,
): Violation[] {
  const operations = entries.filter((entry) => entry.entry === 'operation');
  return [
    ...checkSingleClaims(operations, final),
    ...checkStaleWrites(operations, final),
    ...checkLostAcknowledgements(operations, final),
    ...checkRestingPlaces(final),
    ...checkLostWakes(entries, final, bounds),
    ...checkWatchers(entries, final),
    ...checkLogFold(final),
    ...checkIdempotency(operations, final),
    ...checkDelegations(operations, final),
    ...checkDeliveries(operations, final),
    ...checkDeliveryLeases(operations, final),
    ...checkWaitingChildren(final),
    ...checkReviews(operations, final),
    ...checkClocks(entries, final),
  ];
}
