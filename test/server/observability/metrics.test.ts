import { expect, test } from 'vitest';
import { createMetrics } from '../../../src/server/observability/metrics.ts';

test('two servers in a process count for themselves, and measure the process once', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.claims.inc(3);
  expect(await one.registry.metrics()).toMatch(/^lanekeeper_claims_total 3$/m);
  expect(await other.registry.metrics()).toMatch(/^lanekeeper_claims_total 0$/m);
  for (const name of ['lanekeeper_nodejs_eventloop_lag_seconds', 'lanekeeper_nodejs_gc_duration_seconds']) {
    const measured = one.registry.getSingleMetric(name);
    expect(measured).toBeDefined();
    expect(other.registry.getSingleMetric(name)).toBe(measured);
  }
});
