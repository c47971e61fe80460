// The order of test files: the longest first, so that no worker is left alone with a long file at the end. vitest knows durations from the
// run before only, and a clean checkout, as CI has it, has none: the long ones are listed.

import { relative } from 'node:path';
import { BaseSequencer } from 'vitest/node';
import { ROOT } from '../ensure-built.mjs';

/**
 * Seconds on two cores that had other work, too: the order is what counts. What is not here takes less than the last one.
 * @type {Record<string, number>}
 */
export const LONG_FILES = {
  'test/dashboard/frame.browser.test.ts': 240,
  'test/cli/real-server.e2e.test.ts': 180,
  'test/model/lifecycle.pg.test.ts': 145,
  'test/fuzz/openapi.pg.test.ts': 130,
  'test/server/db/embedded/crashes.e2e.test.ts': 115,
  'test/dashboard/board.browser.test.ts': 112,
  'test/server/process/start-stop.e2e.test.ts': 107,
  'test/docs/walks.e2e.test.ts': 100,
  'test/readme/walk.e2e.test.ts': 90,
  'test/server/db/embedded/directories.e2e.test.ts': 87,
  'test/dashboard/keys.browser.test.ts': 86,
  'test/dashboard/task-page.browser.test.ts': 85,
  'test/dashboard/output.browser.test.ts': 75,
  'test/packaging/tarball.e2e.test.ts': 75,
  'test/server/process/backup.e2e.test.ts': 75,
  'test/server/db/embedded/failures.e2e.test.ts': 74,
  'test/cli/dispatch/dispatch.e2e.test.ts': 69,
  'test/server/process/replicas.e2e.test.ts': 69,
  'test/server/process/outage.e2e.test.ts': 68,
  'test/dashboard/lanes.browser.test.ts': 67,
  'test/server/db/embedded/lifecycle.e2e.test.ts': 66,
  'test/cli/dispatch/killed-dispatcher.e2e.test.ts': 61,
  'test/dashboard/delegations.browser.test.ts': 60,
  'test/upgrade/rolling-upgrade.e2e.test.ts': 60,
  'test/server/process/kill-batch.e2e.test.ts': 52,
  'test/cli/work/work.e2e.test.ts': 51,
  'test/cli/delegation/verbs.e2e.test.ts': 47,
  'test/mcp/stdio.e2e.test.ts': 46,
  'test/server/features/claims/race.pg.test.ts': 46,
  'test/dashboard/attention.browser.test.ts': 40,
  'test/dashboard/board-settings.browser.test.ts': 40,
  'test/server/process/failover.e2e.test.ts': 40,
  'test/server/features/claims/sweeps.pg.test.ts': 38,
  'test/server/features/claims/capacity.pg.test.ts': 37,
  'test/server/features/claims/batch-cut.pg.test.ts': 35,
  'test/testing/test-server.e2e.test.ts': 34,
  'test/cli/dispatch/kept-process.e2e.test.ts': 32,
  'test/server/features/claims/outage.pg.test.ts': 32,
  'test/cli/work/command.e2e.test.ts': 31,
  'test/server/features/claims/idempotent-ends.pg.test.ts': 31,
  'test/dashboard/lanes-connect.browser.test.ts': 30,
  'test/server/features/claims/push-race.pg.test.ts': 30,
  'test/server/process/pgbouncer.e2e.test.ts': 30,
  'test/acceptance/claims.e2e.test.ts': 28,
  'test/server/process/kill.e2e.test.ts': 28,
  'test/server/features/claims/batched-race.pg.test.ts': 27,
  'test/server/features/claims/lost-claims.pg.test.ts': 27,
  'test/dashboard/activity.browser.test.ts': 25,
  'test/examples/chat-gateway.e2e.test.ts': 25,
  'test/server/db/backup/restore.pg.test.ts': 25,
  'test/cli/dispatch/spawned-process.e2e.test.ts': 24,
  'test/cli/commands.e2e.test.ts': 22,
  'test/server/db/plans.pg.test.ts': 22,
  'test/server/features/claims/takeover-race.pg.test.ts': 22,
  'test/cli/synthesize/synthesize.e2e.test.ts': 20,
  'test/examples/lanes.e2e.test.ts': 19,
  'test/cli/work/leaving.e2e.test.ts': 18,
  'test/server/features/claims/waiters-order.pg.test.ts': 18,
  'test/server/features/bulk/turns.pg.test.ts': 17,
  'test/server/features/claims/crash-on-disconnect.pg.test.ts': 17,
  'test/examples/supervisor.e2e.test.ts': 16,
  'test/model/concurrent.pg.test.ts': 16,
  'test/server/features/claims/review-lanes.pg.test.ts': 16,
  'test/server/features/claims/takeover.pg.test.ts': 16,
  'test/server/features/claims/signals.pg.test.ts': 15,
  'test/server/features/claims/handoff.pg.test.ts': 14,
};

export class LongestFirst extends BaseSequencer {
  /**
   * Files of one project stay together: its workers pass on the modules that they have loaded.
   * @override
   * @param {import('vitest/node').TestSpecification[]} files
   * @returns {Promise<import('vitest/node').TestSpecification[]>}
   */
  async sort(files) {
    const usual = await super.sort(files);
    const rank = new Map(usual.map((file, index) => [file, index]));
    return usual.toSorted((a, b) => {
      if (a.project.name !== b.project.name) return (rank.get(a) ?? 0) - (rank.get(b) ?? 0);
      return secondsOf(b) - secondsOf(a) || (rank.get(a) ?? 0) - (rank.get(b) ?? 0);
    });
  }
}

/** @param {import('vitest/node').TestSpecification} file */
function secondsOf(file) {
  return LONG_FILES[relative(ROOT, file.moduleId).replaceAll('\\', '/')] ?? 0;
}
