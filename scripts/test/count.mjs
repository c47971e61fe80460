// What a run of vitest has come to, from its JSON report.

import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { ROOT } from '../ensure-built.mjs';

// Of each failure's message; the whole one stands further up.
const MESSAGE_CHARACTERS_MAX = 600;

/** @typedef {{ passed: number, failed: number, failures: string[] }} Count */
/** @typedef {{ status: string, fullName: string, failureMessages: string[] }} Assertion */
/** @typedef {{ status: string, name: string, message: string, assertionResults: Assertion[] }} TestFile */

/**
 * @param {string} report path of vitest's JSON report
 * @param {number | null} code vitest's exit code
 * @param {string[]} leftOut paths of test files that must not be in it
 * @returns {Count}
 */
export function countTests(report, code, leftOut) {
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
