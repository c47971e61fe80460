// `npm test`: every static check, then every test, then one last line `N passed, N failed`. A failing part does
// not stop the next one, so one run reports everything. A static check counts as one item, a test as one item.
//   --only NAMES      a comma-separated choice of the parts below
//   --other-postgres  the database tests have passed on one Postgres: leave out those that are alike on every one
//   --summary FILE    also writes {"passed": n, "failed": n, "failures": [text]} there, for a caller that adds up runs
// What failed is named once more at the end: whoever keeps only the last lines of a log still learns which test it was.
// Tests are counted from vitest's JSON report, never from its exit code alone: a suite that could not be loaded
// has no failed test, and must not look green.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { alikeOnEveryPostgres } from './alike-on-every-postgres.mjs';
import { ROOT } from './ensure-built.mjs';

// npm scripts of the same name. The build is a check as well: the e2e tests run what it makes.
const CHECKS = ['lint', 'typecheck', 'depcruise', 'knip', 'build'];
// vitest projects, see vitest.config.ts.
const PROJECTS = ['unit', 'pg', 'e2e', 'browser'];
// A short run of the chaos tests. Always the same seed: what fails here can be had again. It takes two minutes and all of the
// machine, so that outside of CI it runs when it is asked for.
const CHAOS_ARGUMENTS = ['--', '--seed', '1', '--seconds', '90'];
// A part that hangs must end the run, not the patience of whoever waits: about five times the slowest known part.
const PART_MINUTES_MAX = 30;

// Of each failure's message; the whole one stands further up.
const MESSAGE_CHARACTERS_MAX = 600;

/** @typedef {{ passed: number, failed: number, failures: string[] }} Count */
/** @typedef {{ status: string, fullName: string, failureMessages: string[] }} Assertion */
/** @typedef {{ status: string, name: string, message: string, assertionResults: Assertion[] }} TestFile */

/**
 * Runs a program with its output going through; answers its exit code, or null when it was killed.
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} [environment]
 * @returns {Promise<number | null>}
 */
function run(command, args, environment = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...environment },
      timeout: PART_MINUTES_MAX * 60_000,
    });
    child.once('error', (error) => {
      console.error(error.message);
      resolve(null);
    });
    child.once('exit', (code) => resolve(code));
  });
}

/**
 * @param {string} name
 * @param {string[]} [options]
 * @returns {Promise<Count>}
 */
async function runCheck(name, options = []) {
  console.log(`\n── ${name}`);
  const isOk = (await run('npm', ['run', '--silent', name, ...options])) === 0;
  console.log(isOk ? `${name}: ok` : `${name}: FAILED`);
  return isOk ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [name] };
}

/**
 * @param {string[]} projects
 * @param {string[]} leftOut paths of test files, see vitest.config.ts
 * @returns {Promise<Count>}
 */
async function runProjects(projects, leftOut) {
  console.log(`\n── tests: ${projects.join(', ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-test-'));
  const report = join(directory, 'report.json');
  try {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const selection = projects.flatMap((project) => ['--project', project]);
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    // The build has been checked above; processes under test must neither repeat it nor race on it.
    const code = await run(process.execPath, [vitest, 'run', ...selection, ...reporters], {
      LANEKEEPER_NO_BUILD: '1',
      LANEKEEPER_OTHER_POSTGRES: leftOut.length > 0 ? '1' : '0',
    });
    return countTests(report, code, leftOut);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * @param {string} report path of vitest's JSON report
 * @param {number | null} code vitest's exit code
 * @param {string[]} leftOut paths of test files that must not be in it
 * @returns {Count}
 */
function countTests(report, code, leftOut) {
  if (!existsSync(report)) return { passed: 0, failed: 1, failures: ['the tests left no report'] };
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const failures = testResults.flatMap(nameFailures);
  const paths = testResults.map((/** @type {TestFile} */ { name }) => relative(ROOT, name));
  failures.push(
    ...leftOut.filter((path) => paths.includes(path)).map((path) => `${path}: was to be left out`),
  );
  // No test at all, or an error outside of any test (an unhandled rejection, a failed global set-up).
  if (failures.length === 0 && (code !== 0 || numPassedTests === 0))
    failures.push('an error outside of any test');
  return { passed: numPassedTests, failed: failures.length, failures };
}

/**
 * @param {TestFile} file
 * @returns {string[]} one text for each failed test, or for a file that could not be loaded
 */
function nameFailures(file) {
  const path = relative(ROOT, file.name);
  const failed = file.assertionResults.filter(({ status }) => status === 'failed');
  if (failed.length > 0) {
    return failed.map((test) => `${path}: ${test.fullName}\n${excerpt(test.failureMessages.join('\n'))}`);
  }
  return file.status === 'failed' ? [`${path}: ${excerpt(file.message)}`] : [];
}

/** @param {string} message */
function excerpt(message) {
  return message.slice(0, MESSAGE_CHARACTERS_MAX).replaceAll(/^/gm, '    ');
}

/**
 * Browser tests need a Chromium. Without one they are left out, aloud, unless the caller insists on them.
 * @returns {'none' | 'run' | 'left out' | 'missing'}
 */
function planBrowserTests() {
  const names = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  if (!names.some((name) => name.endsWith('.browser.test.ts'))) return 'none';
  if (existsSync(process.env['CHROME_PATH'] ?? '/usr/bin/chromium')) return 'run';
  return process.env['LANEKEEPER_REQUIRE_BROWSER'] === '1' ? 'missing' : 'left out';
}

/** @returns {{ parts: string[], leftOut: string[], summary: string | undefined }} */
function readArguments() {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, summary: { type: 'string' }, 'other-postgres': { type: 'boolean' } },
  });
  const usual = [...CHECKS, ...PROJECTS, ...(process.env['CI'] === 'true' ? ['chaos'] : [])];
  const known = [...CHECKS, ...PROJECTS, 'chaos'];
  const parts = values.only === undefined ? usual : values.only.split(',');
  const unknown = parts.filter((part) => !known.includes(part));
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown.join(', ')}. Parts are ${known.join(', ')}.`);
  const leftOut = values['other-postgres'] === true ? alikeOnEveryPostgres(ROOT) : [];
  return { parts, leftOut, summary: values.summary };
}

async function main() {
  const { parts, leftOut, summary } = readArguments();
  /** @type {Count[]} */
  const counts = [];
  for (const check of CHECKS.filter((name) => parts.includes(name))) counts.push(await runCheck(check));

  const browser = parts.includes('browser') ? planBrowserTests() : 'none';
  if (browser === 'missing') counts.push({ passed: 0, failed: 1, failures: ['browser tests: no Chromium'] });
  const projects = PROJECTS.filter(
    (name) => parts.includes(name) && (name !== 'browser' || browser === 'run'),
  );
  if (projects.length > 0) counts.push(await runProjects(projects, leftOut));
  if (parts.includes('chaos')) counts.push(await runCheck('chaos', CHAOS_ARGUMENTS));

  if (browser === 'left out' || browser === 'missing') {
    console.log('Browser tests left out: no Chromium. Install one (Debian: chromium) or set CHROME_PATH.');
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
