/**
 * `npm run chaos`: real servers and workers on a Postgres of their own, everything that can break breaks, and what was recorded is held
 * against what the system promises. Exit code 0 only when nothing was found and every race window was hit.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHistory } from './checkers/check.ts';
import type { HistoryEntry, Violation } from './history.ts';
import { type ChaosOptions, readOptions, USAGE, UsageError } from './options.ts';
import { PLANTS } from './plants/plant.ts';
import { readRecording } from './recorder.ts';
import { renderDeliveries, renderFaults, renderLoad, renderViolations, renderWindows } from './report.ts';
import { ChaosRun, type RunOutcome } from './run.ts';
import { listSlowStretches } from './slow-stretches.ts';
import { countWindows } from './windows.ts';

const EXIT = { ok: 0, violated: 1, usage: 2, interrupted: 130 } as const;
/** Shorter runs may miss a window by chance. */
const WINDOWS_FROM_SECONDS = 60;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function runChaos(
  options: ChaosOptions,
  signal: AbortSignal,
  onRun: (run: ChaosRun) => void,
): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-chaos-'));
  // The account that runs Postgres must be able to pass.
  chmodSync(directory, 0o711);
  say(
    `chaos: seed ${options.seed}, ${options.seconds} s, ${options.servers} servers, ${options.workers} workers`,
  );
  if (options.plant !== null) say(`with a planted bug: ${options.plant}`);
  let isKept = true;
  try {
    const run = new ChaosRun(options, directory, say);
    onRun(run);
    const outcome = await run.run(signal);
    const code = judge(options, outcome, directory);
    isKept = options.isKept || code !== EXIT.ok;
    return code;
  } finally {
    if (isKept && !signal.aborted) say(`kept: ${directory}`);
    else rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function judge(options: ChaosOptions, outcome: RunOutcome, directory: string): number {
  const { final, hasTakeover, troubles } = outcome;
  const recording = readRecording(outcome.historyDirectory);
  const stretches = listSlowStretches(recording.entries);
  const violations = checkHistory([...recording.entries, ...stretches], final);
  writeFileSync(join(directory, 'final.json'), JSON.stringify(final));
  writeFileSync(join(directory, 'violations.json'), JSON.stringify(violations, null, 2));
  const windows = countWindows({ recording, final, faults: options.faults, hasTakeover });
  say(
    `\n${renderLoad(recording.entries)}\n\n${renderFaults(recording.entries)}\n\n${renderWindows(windows)}\n`,
  );
  say(`  ${final.tasks.length} tasks, ${final.runs.length} runs, ${final.events.length} events`);
  say(`  ${final.delegations.length} delegations, ${renderDeliveries(final)}`);
  if (violations.length > 0) say(`\n${renderViolations(violations)}`);
  if (options.plant !== null) return judgePlant(options, violations);
  const missed = windows.filter(({ count, isExpected }) => isExpected && count === 0);
  const isMissing = options.seconds >= WINDOWS_FROM_SECONDS && missed.length > 0;
  if (isMissing) say(`\nnever hit: ${missed.map(({ window }) => window).join('; ')}`);
  const made = countHandovers(recording.entries);
  const isShort = made < (options.delegations ?? 0);
  if (isShort) say(`\nonly ${made} delegations were made by orchestrators`);
  const isClean = violations.length === 0 && troubles.length === 0 && !isMissing && !isShort;
  say(`\n${violations.length} violations, ${troubles.length} troubles; seed ${options.seed}`);
  return isClean ? EXIT.ok : EXIT.violated;
}

/** Those that were acknowledged; what workers hand on comes on top. */
function countHandovers(entries: readonly HistoryEntry[]): number {
  const made = entries.flatMap((entry) =>
    entry.entry === 'operation' && entry.kind === 'delegate' && entry.sessionId !== null
      ? [entry.delegationId]
      : [],
  );
  return new Set(made.filter((id) => id !== undefined)).size;
}

/** A planted bug that is not found is the checkers' failure; one that is found ends the run as any bug does. */
function judgePlant({ plant, seed }: ChaosOptions, violations: readonly Violation[]): number {
  const expected = plant === null ? [] : PLANTS[plant].properties;
  const isFound = violations.some(({ property }) => expected.includes(property));
  say(
    isFound
      ? `\nthe planted bug ${plant} was found: property ${expected.join(' or ')}; seed ${seed}`
      : `\nthe planted bug ${plant} was NOT found as a violation of property ${expected.join(' or ')}; seed ${seed}`,
  );
  return isFound ? EXIT.violated : EXIT.ok;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    say(USAGE);
    return EXIT.ok;
  }
  const stopping = new AbortController();
  let current: ChaosRun | undefined;
  const stop = (): void => stopping.abort(new Error('stopped by a signal'));
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const crash = (error: unknown): void => {
    process.stderr.write(`${describe(error)}\n`);
    current?.kill();
    process.exit(EXIT.violated);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  try {
    return await runChaos(readOptions(args), stopping.signal, (run) => {
      current = run;
    });
  } catch (error) {
    if (stopping.signal.aborted) {
      say('stopped');
      return EXIT.interrupted;
    }
    const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    const shown = isUsage && error instanceof Error ? error.message : describe(error);
    process.stderr.write(`${shown}\n`);
    if (isUsage) process.stderr.write(`${USAGE}\n`);
    return isUsage ? EXIT.usage : EXIT.violated;
  }
}

process.exitCode = await main(process.argv.slice(2));
