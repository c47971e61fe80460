// `npm test`: every static check, then every test, then one last line `N passed, N failed`. A failing part does
// not stop the next one, so one run reports everything. A static check counts as one item, a test as one item.
//   --only NAMES      a comma-separated choice of the parts below
//   --other-postgres  the database tests have passed on one Postgres: leave out those that are alike on every one
//   --partitioned     the database tests run on tables that are hash-partitioned by board, as a sharded database would have them
//   --summary FILE    also writes {"passed": n, "failed": n, "failures": [text]} there, for a caller that adds up runs
// What failed is named once more at the end: whoever keeps only the last lines of a log still learns which test it was.
// Tests are counted from vitest's JSON report, never from its exit code alone: a suite that could not be loaded
// has no failed test, and must not look green.
// Checks that leave a core idle run at the same time, and beside them the pure tests, most of which wait. What tests write goes to memory where there is enough of it.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alikeOnEveryPostgres } from './alike-on-every-postgres.mjs';
import { findChromium } from './chromium.mjs';
import { ROOT } from './ensure-built.mjs';
import { makeMemoryDirectory, removeMemoryDirectory } from './memory-directory.mjs';
import { testsWithoutProgram } from './needed-programs.mjs';
import { chaosArguments } from './test/chaos-arguments.mjs';
import { run, runAtOnce, stopSignal } from './test/child-runs.mjs';
import { countTests } from './test/count.mjs';

// npm scripts of the same name, the longest first. The build is a check as well: the e2e tests run what it makes.
const CHECKS = ['typecheck', 'knip', 'build', 'lint', 'depcruise'];
// Each of them uses more than one core for part of its time only, and the pure tests half of one: 53 s for all together instead of 106 in turns.
const QUICK_PARTS_AT_ONCE = 2;
// vitest projects, see vitest.config.ts: the pure tests with the checks, then runs of vitest, one after the other. Two of those at the same time
// were tried: on two cores everything then takes longer than its deadlines, and the sum of both was 16 minutes instead of 13.
const QUICK_PROJECT = 'unit';
const PROJECT_RUNS = [['pg'], ['e2e', 'browser']];
const PROJECTS = [QUICK_PROJECT, ...PROJECT_RUNS.flat()];

/** @typedef {import('./test/count.mjs').Count} Count */

/**
 * @param {string} name
 * @param {{ options?: string[], showing?: import('./test/child-runs.mjs').Showing }} [how]
 * @returns {Promise<Count>}
 */
async function runCheck(name, { options = [], showing = 'whole' } = {}) {
  const args = ['run', '--silent', name, ...options];
  const since = performance.now();
  const isOk = (await run({ label: name, command: 'npm', args, showing })) === 0;
  console.log(`${name}: ${isOk ? 'ok' : 'FAILED'}, ${secondsSince(since)}`);
  return isOk ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [name] };
}

/**
 * @param {string[]} projects
 * @param {string[]} leftOut paths of test files, see vitest.config.ts
 * @param {boolean} isPartitioned see test/fixtures/postgres-global.ts
 * @param {string} place where tests write
 * @returns {Promise<Count>}
 */
async function runProjects(projects, leftOut, isPartitioned, place) {
  const label = projects.join('+');
  const since = performance.now();
  const directory = mkdtempSync(join(place, 'lanekeeper-test-'));
  const report = join(directory, 'report.json');
  try {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const selection = projects.flatMap((project) => ['--project', project]);
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const code = await run({
      label,
      command: process.execPath,
      args: [vitest, 'run', ...selection, ...reporters],
      environment: {
        TMPDIR: place,
        // It has been built, or is being built beside the pure tests, which read nothing of dist/: processes under test must neither repeat that
        // nor race on it.
        LANEKEEPER_NO_BUILD: '1',
        LANEKEEPER_OTHER_POSTGRES: leftOut.length > 0 ? '1' : '0',
        LANEKEEPER_PARTITIONED: isPartitioned ? '1' : '0',
      },
      showing: 'by line',
    });
    console.log(`${label}: ${secondsSince(since)}`);
    return countTests(report, code, projects.includes('pg') ? leftOut : []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param {number} since */
const secondsSince = (since) => `${((performance.now() - since) / 1000).toFixed(0)} s`;

/**
 * Browser tests need a Chromium. Without one they are left out, aloud, unless the caller insists on them.
 * @returns {'none' | 'run' | 'left out' | 'missing'}
 */
function planBrowserTests() {
  const names = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  if (!names.some((name) => name.endsWith('.browser.test.ts'))) return 'none';
  if (findChromium() !== null) return 'run';
  return process.env['LANEKEEPER_REQUIRE_BROWSER'] === '1' ? 'missing' : 'left out';
}

/** @returns {{ parts: string[], leftOut: string[], isPartitioned: boolean, summary: string | undefined }} */
function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      summary: { type: 'string' },
      'other-postgres': { type: 'boolean' },
      partitioned: { type: 'boolean' },
    },
  });
  const usual = [...CHECKS, ...PROJECTS, ...(process.env['CI'] === 'true' ? ['chaos'] : [])];
  const known = [...CHECKS, ...PROJECTS, 'chaos'];
  const parts = values.only === undefined ? usual : values.only.split(',');
  const unknown = parts.filter((part) => !known.includes(part));
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown.join(', ')}. Parts are ${known.join(', ')}.`);
  const leftOut = values['other-postgres'] === true ? alikeOnEveryPostgres(ROOT) : [];
  return { parts, leftOut, isPartitioned: values.partitioned === true, summary: values.summary };
}

async function main() {
  const { parts, leftOut, isPartitioned, summary } = readArguments();
  // Gone when this process is. Not for the chaos run: what it keeps after a failure must stay.
  const memory = makeMemoryDirectory(process.pid);
  if (memory !== null) process.once('exit', () => removeMemoryDirectory(memory));
  const place = memory ?? tmpdir();
  const quick = CHECKS.filter((name) => parts.includes(name)).map((name) => () => runCheck(name));
  if (parts.includes(QUICK_PROJECT))
    quick.unshift(() => runProjects([QUICK_PROJECT], leftOut, isPartitioned, place));
  const counts = await runAtOnce(QUICK_PARTS_AT_ONCE, quick);

  const browser = parts.includes('browser') ? planBrowserTests() : 'none';
  if (browser === 'missing') counts.push({ passed: 0, failed: 1, failures: ['browser tests: no Chromium'] });
  const isChosen = (/** @type {string} */ name) =>
    parts.includes(name) && (name !== 'browser' || browser === 'run');
  for (const together of PROJECT_RUNS) {
    const projects = together.filter(isChosen);
    if (projects.length > 0) counts.push(await runProjects(projects, leftOut, isPartitioned, place));
  }
  if (parts.includes('chaos'))
    counts.push(await runCheck('chaos', { options: chaosArguments(), showing: 'by line' }));

  if (browser === 'left out' || browser === 'missing') {
    console.log(
      'Browser tests left out: no Chromium. Install one (Debian: chromium-headless-shell) or set CHROME_PATH.',
    );
  }
  if (stopSignal() !== null) counts.push({ passed: 0, failed: 1, failures: [`stopped by ${stopSignal()}`] });
  if (parts.includes('e2e')) {
    for (const { path, program, from } of testsWithoutProgram())
      console.log(`${path} left out: no ${program}. Install it (Debian: ${from}).`);
  }
  const passed = counts.reduce((sum, count) => sum + count.passed, 0);
  const failed = counts.reduce((sum, count) => sum + count.failed, 0);
  const failures = counts.flatMap((count) => count.failures);
  if (summary !== undefined) writeFileSync(summary, JSON.stringify({ passed, failed, failures }));
  for (const failure of failures) console.log(`FAILED ${failure}`);
  process.exitCode = failed > 0 ? 1 : 0;
  console.log(`\n${passed} passed, ${failed} failed`);
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
