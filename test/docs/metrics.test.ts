/** Whoever looks at /metrics finds in the documentation what it says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createMetrics } from '../../src/server/observability/metrics.ts';
import { ROOT } from '../fixtures/server-process.ts';

/** Of the process, named by their library. */
const OF_PROCESS = /^lanekeeper_(process|nodejs)_/;

test('every metric is on the page of operations, and none that is not there', async () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const told = new Set(page.match(/`lanekeeper_[a-z_]+`/g)?.map((name) => name.slice(1, -1)));
  const { registry } = createMetrics();
  const made = registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => !OF_PROCESS.test(name));
  expect([...told].sort()).toEqual([...made].sort());
});
