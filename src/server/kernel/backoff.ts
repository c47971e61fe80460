/** Exponential backoff with full jitter: a uniform draw between nothing and the ceiling, so that retries never come in step. */

export interface BackoffPolicy {
  readonly baseSeconds: number;
  readonly factor: number;
  readonly capSeconds: number;
}

/** The domain's default for failed tasks: from 1 s, doubling, at most 300 s. */
export const TASK_BACKOFF: BackoffPolicy = { baseSeconds: 1, factor: 2, capSeconds: 300 };

/** Seconds to wait before the retry that follows failure number `failures` (1 is the first). */
export function backoffSeconds(
  policy: BackoffPolicy,
  failures: number,
  random: () => number = Math.random,
): number {
  // A finite growth, because a base of 0 times infinity would be no number at all.
  const growth = Math.min(policy.factor ** Math.max(0, failures - 1), Number.MAX_VALUE);
  const ceiling = Math.min(policy.capSeconds, policy.baseSeconds * growth);
  return ceiling * random();
}
