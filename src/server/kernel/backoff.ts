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
  const ceiling = Math.min(
    policy.capSeconds,
    policy.baseSeconds * policy.factor ** Math.max(0, failures - 1),
  );
  return ceiling * random();
}
