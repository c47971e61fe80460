// One project per thing a test needs: nothing, a Postgres, whole processes, a browser. The suffix of a file name
// says which. Projects run one after the other (groupOrder), so that processes and databases do not starve the
// pure tests of a small machine, and vice versa.

import { defineConfig } from 'vitest/config';

const SECONDS = 1000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{pg,e2e,browser}.test.ts', 'test/fixtures/**'],
          sequence: { groupOrder: 0 },
          // The slowest pure tests cruise the whole source tree.
          testTimeout: 20 * SECONDS,
        },
      },
      {
        test: {
          name: 'pg',
          include: ['test/**/*.pg.test.ts'],
          globalSetup: ['test/fixtures/postgres-global.ts'],
          sequence: { groupOrder: 1 },
          // Two files already keep two cores busy: half of the work is done by Postgres.
          maxWorkers: 2,
          testTimeout: 60 * SECONDS,
          hookTimeout: 60 * SECONDS,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          sequence: { groupOrder: 2 },
          // Each file runs servers and databases of its own.
          maxWorkers: 2,
          testTimeout: 120 * SECONDS,
          hookTimeout: 120 * SECONDS,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/**/*.browser.test.ts'],
          sequence: { groupOrder: 3 },
          maxWorkers: 1,
          testTimeout: 120 * SECONDS,
          hookTimeout: 120 * SECONDS,
        },
      },
    ],
  },
});
