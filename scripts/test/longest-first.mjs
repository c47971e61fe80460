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
  'test/fuzz/openapi.pg.test.ts': 92,
  'test/model/lifecycle.pg.test.ts': 86,
  'test/dashboard/frame.browser.test.ts': 83,
  'test/docs/walks.e2e.test.ts': 55,
  'test/server/process/backup.e2e.test.ts': 50,
  'test/upgrade/rolling-upgrade.e2e.test.ts': 50,
  'test/server/db/embedded/crashes.e2e.test.ts': 49,
  'test/server/db/backup/kept-aside.pg.test.ts': 38,
  'test/dashboard/board.browser.test.ts': 37,
  'test/server/db/plans.pg.test.ts': 37,
  'test/server/process/start-stop.e2e.test.ts': 35,
  'test/server/process/outage.e2e.test.ts': 34,
  'test/cli/real-server.e2e.test.ts': 33,
  'test/server/db/embedded/lifecycle.e2e.test.ts': 33,
  'test/dashboard/board-settings.browser.test.ts': 32,
  'test/server/db/backup/restore.pg.test.ts': 32,
  'test/readme/walk.e2e.test.ts': 31,
  'test/cli/delegation/verbs.e2e.test.ts': 29,
  'test/server/db/embedded/failures.e2e.test.ts': 29,
  'test/dashboard/task-page.browser.test.ts': 24,
  'test/dashboard/delegations.browser.test.ts': 23,
  'test/dashboard/keys.browser.test.ts': 23,
  'test/dashboard/output.browser.test.ts': 23,
  'test/packaging/tarball.e2e.test.ts': 23,
  'test/model/concurrent.pg.test.ts': 22,
  'test/dashboard/lanes.browser.test.ts': 21,
  'test/server/db/embedded/directories.e2e.test.ts': 21,
  'test/cli/dispatch/killed-dispatcher.e2e.test.ts': 17,
  'test/server/features/bulk/turns.pg.test.ts': 17,
  'test/server/features/claims/batch-cut.pg.test.ts': 17,
  'test/mcp/stdio.e2e.test.ts': 15,
  'test/server/features/attention/stranded.pg.test.ts': 15,
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
