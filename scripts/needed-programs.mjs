// Tests of whole processes that need a program which npm does not bring. Where it is missing they are left out, aloud (scripts/test.mjs),
// unless LANEKEEPER_REQUIRE_PROGRAMS=1 insists on them, as in CI.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** With the package of Debian's that has it. */
const NEEDS = [
  { path: 'test/server/process/pgbouncer.e2e.test.ts', program: 'pgbouncer', from: 'pgbouncer' },
  { path: 'test/deploy/nginx.e2e.test.ts', program: 'nginx', from: 'nginx-light' },
];

/** Debian keeps what administrators run out of other people's way. */
const ALSO_IN = ['/usr/sbin', '/usr/local/sbin'];

/**
 * @param {string} program
 * @returns {string | null} its path
 */
export function findProgram(program) {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...ALSO_IN]) {
    try {
      const path = join(directory, program);
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there.
    }
  }
  return null;
}

/** @returns {{ path: string, program: string, from: string }[]} */
export function testsWithoutProgram() {
  if (process.env['LANEKEEPER_REQUIRE_PROGRAMS'] === '1') return [];
  return NEEDS.filter(({ program }) => findProgram(program) === null);
}
