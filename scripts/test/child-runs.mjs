// Programs that a test run starts, of which several may run at once: their output stays readable, and a signal to the run ends them all.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ROOT } from '../ensure-built.mjs';

// A part that hangs must end the run, not the patience of whoever waits: about five times the slowest known part.
const PART_MINUTES_MAX = 30;

/** @typedef {'whole' | 'by line'} Showing 'whole': when it has ended, for what is short; 'by line': at once, each line with the label */

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
/** @type {NodeJS.Signals | null} */
let stoppedBy = null;

// A terminal sends SIGINT to the whole group, and kill its signal to this process alone. The children get SIGINT for either.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
  process.on(signal, () => {
    stoppedBy = signal;
    for (const child of running) child.kill('SIGINT');
  });

/** @returns {NodeJS.Signals | null} the signal that has ended the run */
export function stopSignal() {
  return stoppedBy;
}

/**
 * @param {{ label: string, command: string, args: string[], environment?: Record<string, string>, showing: Showing }} order
 * @returns {Promise<number | null>} its exit code; null when it was killed, or not begun because the run is over
 */
export async function run({ label, command, args, environment = {}, showing }) {
  if (stoppedBy !== null) return null;
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}), ...process.env, ...environment },
    timeout: PART_MINUTES_MAX * 60_000,
  });
  running.add(child);
  /** @type {string[]} */
  const lines = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      if (showing === 'by line') console.log(`${label} │ ${line}`);
      else lines.push(line);
    });
  /** @type {number | null} */
  const code = await new Promise((resolve) => {
    child.once('error', (error) => {
      lines.push(error.message);
      resolve(null);
    });
    child.once('close', resolve);
  });
  running.delete(child);
  if (showing === 'whole') console.log([`\n── ${label}`, ...lines].join('\n'));
  return code;
}

/**
 * @template T
 * @param {number} atOnce
 * @param {(() => Promise<T>)[]} jobs begun in this order
 * @returns {Promise<T[]>} in the same order
 */
export async function runAtOnce(atOnce, jobs) {
  /** @type {T[]} */
  const results = [];
  const waiting = [...jobs.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, job] = next;
      results[index] = await job();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}
