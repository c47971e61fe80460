// What tests need of a machine that npm does not bring. Where it is missing they are left out, aloud, or do with something else, unless
// LANEKEEPER_REQUIRE_PROGRAMS=1 insists on it, as the gates do (scripts/gates.sh): what is missing then fails, by its name.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** @typedef {Readonly<Record<string, string | undefined>>} Environment */

/** Tests of whole processes, with the package of Debian's that has what they need. */
const NEEDS = [
  { path: 'test/server/process/pgbouncer.e2e.test.ts', program: 'pgbouncer', from: 'pgbouncer' },
  { path: 'test/deploy/nginx.e2e.test.ts', program: 'nginx', from: 'nginx-light' },
  { path: 'test/deploy/caddy.e2e.test.ts', program: 'caddy', from: 'caddy' },
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

/**
 * @param {Environment} [environment]
 * @returns {boolean}
 */
export function areProgramsRequired(environment = process.env) {
  return environment['LANEKEEPER_REQUIRE_PROGRAMS'] === '1';
}

/**
 * For whoever has found that something is missing and could do without it: throws where that will not do.
 * @param {string} what
 * @param {string} from the package of Debian's that has it
 * @param {Environment} [environment]
 */
export function insistOn(what, from, environment = process.env) {
  if (!areProgramsRequired(environment)) return;
  throw new Error(`There is no ${what} (Debian: ${from}), and LANEKEEPER_REQUIRE_PROGRAMS=1 insists on it.`);
}

/**
 * @param {Environment} [environment]
 * @returns {{ path: string, program: string, from: string }[]} tests that are left out; where programs are required they run, and fail
 */
export function testsWithoutProgram(environment = process.env) {
  if (areProgramsRequired(environment)) return [];
  return NEEDS.filter(({ program }) => findProgram(program) === null);
}
