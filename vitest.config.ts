// One project per thing a test needs: nothing, a Postgres, whole processes, a browser. The suffix of a file name
// says which. Groups of projects run one after the other (groupOrder), so that processes and databases do not starve the
// pure tests of a small machine, and vice versa.

import { configDefaults, defineConfig, type Plugin } from 'vitest/config';
import { alikeOnEveryPostgres } from './scripts/alike-on-every-postgres.mjs';
import { DRIVER_CONNECTION, fixDriver } from './scripts/driver-fix.mjs';
import { testsWithoutProgram } from './scripts/needed-programs.mjs';
import { LongestFirst } from './scripts/test/longest-first.mjs';

const SECONDS = 1000;

/** The tests run on the driver that the server ships with. */
const mendedDriver: Plugin = {
  name: 'mended-driver',
  transform: (code, id) => (DRIVER_CONNECTION.test(id) ? fixDriver(code) : undefined),
};

/** A worker loads the server once for all its files, which halves what the tests cost. Files that replace modules get fresh ones. */
const sharedModules = { isolate: false, setupFiles: ['test/fixtures/fresh-modules.ts'] };

/** Not with vitest's --exclude: a project takes that only as long as vitest happens to share one array between them. */
const leftOut =
  process.env['LANEKEEPER_OTHER_POSTGRES'] === '1' ? alikeOnEveryPostgres(import.meta.dirname) : [];

export default defineConfig({
  plugins: [mendedDriver],
  test: {
    server: { deps: { inline: ['postgres'] } },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{pg,e2e,browser}.test.ts', 'test/fixtures/**'],
          ...sharedModules,
          sequence: { groupOrder: 0 },
          // Some wait for a deadline; the default for two cores is one worker.
          maxWorkers: 2,
          // The slowest pure tests cruise the whole source tree.
          testTimeout: 20 * SECONDS,
        },
      },
      {
        extends: true,
        test: {
          name: 'pg',
          include: ['test/**/*.pg.test.ts'],
          exclude: [...configDefaults.exclude, ...leftOut],
          ...sharedModules,
          globalSetup: ['test/fixtures/postgres-global.ts'],
          sequence: { groupOrder: 1 },
          // On two cores 2 files at a time took 415 s, 3 took 349, and 4 took 351.
          maxWorkers: 3,
          // Some move a thousand tasks, beside whatever else keeps the cores busy.
          testTimeout: 120 * SECONDS,
          hookTimeout: 60 * SECONDS,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          ...sharedModules,
          globalSetup: ['test/fixtures/ready-cluster-global.ts'],
          exclude: [...configDefaults.exclude, ...testsWithoutProgram().map(({ path }) => path)],
          sequence: { groupOrder: 2 },
          // Each file runs servers and databases of its own, and waits for them: 299 to 307 s. With 4 at a time 290 to 308: no core is idle any more.
          maxWorkers: 3,
          testTimeout: 120 * SECONDS,
          hookTimeout: 120 * SECONDS,
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/**/*.browser.test.ts'],
          ...sharedModules,
          globalSetup: ['test/fixtures/postgres-global.ts'],
          // With the processes: half of the time a page waits for the server, or a test for the page.
          sequence: { groupOrder: 2 },
          maxWorkers: 3,
          testTimeout: 120 * SECONDS,
          hookTimeout: 120 * SECONDS,
        },
      },
    ],
  },
});
