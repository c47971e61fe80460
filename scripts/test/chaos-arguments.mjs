// The run of the chaos tests that is part of `npm test` in CI.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { areProgramsRequired } from '../needed-programs.mjs';

// A short one. Always the same seed: what fails here can be had again. It takes two minutes and all of the
// machine, so that outside of CI it runs when it is asked for.
const SHORT_RUN = ['--', '--seed', '1', '--seconds', '90'];
// Failovers need pg_basebackup, which the embedded Postgres does not have.
const DEBIAN_POSTGRES = '/usr/lib/postgresql';
const MAJOR_MIN = 15;

/**
 * With all faults that this machine can bring about. Where programs are required, with all that there are: the run then says itself what
 * it lacks, and fails (chaos/means.ts).
 * @param {string} [postgres] where Debian keeps a folder for each major version
 * @param {boolean} [areAllRequired]
 * @returns {string[]} arguments of `npm run chaos`
 */
export function chaosArguments(postgres = DEBIAN_POSTGRES, areAllRequired = areProgramsRequired()) {
  const versions = existsSync(postgres) ? readdirSync(postgres) : [];
  const canFailOver = versions.some(
    (version) => Number(version) >= MAJOR_MIN && existsSync(join(postgres, version, 'bin', 'pg_basebackup')),
  );
  return canFailOver || areAllRequired ? [...SHORT_RUN, '--failover'] : SHORT_RUN;
}
