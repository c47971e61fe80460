/**
 * Durations counted by steps of a logarithmic scale: few numbers that can be added up, and percentiles that are off by less than 10 %
 * whatever the durations are. Step n reaches from 2^(n/4) to 2^((n+1)/4) milliseconds; what is shorter than one is in step 0.
 */
import type { BoardStats } from '../../../contract/stats.ts';

/** How many by step. */
export type StepCounts = ReadonlyMap<number, number>;

type Durations = BoardStats['totals']['queue_wait'];

const STEPS_PER_DOUBLING = 4;
const MS_PER_SECOND = 1000;
/** Three digits say more than the scale knows. */
const SIGNIFICANT_DIGITS = 3;

/** The geometric middle of the step, which is 2^(1/8) from either end: at most 9.1 %. */
function middleSeconds(step: number): number {
  const seconds = 2 ** ((step + 0.5) / STEPS_PER_DOUBLING) / MS_PER_SECOND;
  return Number(seconds.toPrecision(SIGNIFICANT_DIGITS));
}

export function durationsOf(counts: StepCounts): Durations {
  const steps = [...counts].sort(([left], [right]) => left - right);
  const count = steps.reduce((sum, [, number]) => sum + number, 0);
  const percentile = (share: number): number | null => {
    let left = Math.ceil(count * share);
    for (const [step, number] of steps) {
      left -= number;
      if (left <= 0 && number > 0) return middleSeconds(step);
    }
    return null;
  };
  return { count, p50_seconds: percentile(0.5), p95_seconds: percentile(0.95) };
}

export function addCounts(sum: Map<number, number>, counts: StepCounts): void {
  for (const [step, number] of counts) sum.set(step, (sum.get(step) ?? 0) + number);
}
