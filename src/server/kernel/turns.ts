/**
 * Work that comes in portions, from several places: each gets one portion, then those that may have more another one, and so on. So one
 * place with a mountain of work stands before nobody, and a place that fails keeps nobody from theirs.
 */
import { assert } from './assert.ts';

export interface TurnsOptions {
  /** Portions of one place. */
  readonly roundsMax: number;
  /** No portion is begun after this. */
  readonly durationMsMax: number;
  readonly signal: AbortSignal;
}

/**
 * Calls `take` for each place until none has more, a bound is reached or the signal is aborted. `take` resolves to whether there may be
 * more. What it throws ends only its own place's turns; the first such error is thrown when all the others have had theirs.
 */
export async function takeTurns<P>(
  places: readonly P[],
  { roundsMax, durationMsMax, signal }: TurnsOptions,
  take: (place: P) => Promise<boolean>,
): Promise<void> {
  assert(roundsMax > 0 && durationMsMax > 0, 'everybody gets a turn');
  const deadline = performance.now() + durationMsMax;
  const errors: unknown[] = [];
  let left = places;
  for (let round = 0; round < roundsMax && left.length > 0; round += 1) {
    const withMore: P[] = [];
    for (const place of left) {
      if (signal.aborted || performance.now() > deadline) return rethrow(errors);
      try {
        if (await take(place)) withMore.push(place);
      } catch (error) {
        errors.push(error);
      }
    }
    left = withMore;
  }
  return rethrow(errors);
}

function rethrow(errors: readonly unknown[]): void {
  if (errors.length > 0) throw errors[0];
}
