/**
 * `npm run chaos`: real servers and workers on a Postgres of their own, everything that can break breaks, and what was recorded is held
 * against what the system promises. Exit code 0 only when nothing was found and every race window was hit.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDebianPostgres } from './debian-postgres.ts';
import { findMeans, MissingMeansError } from './means.ts';
import { type ChaosOptions, readOptions, USAGE, UsageError } from './options.ts';
import { PROOF_SEEDS, readOrigin, writeProof } from './proof.ts';
import { ChaosRun } from './run.ts';
import { judge, type Verdict } from './verdict.ts';

const EXIT = { ok: 0, violated: 1, usage: 2, interrupted: 130 } as const;

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function runChaos(
  options: ChaosOptions,
  signal: AbortSignal,
  onRun: (run: ChaosRun) => void,
): Promise<Verdict> {
  const means = findMeans(options);
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-chaos-'));
  // The account that runs Postgres must be able to pass.
  chmodSync(directory, 0o711);
  say(
    `chaos: seed ${options.seed}, ${options.seconds} s, ${options.servers} servers, ${options.workers} workers`,
  );
  for (const omission of means.omissions) say(omission);
  if (options.plant !== null) say(`with a planted bug: ${options.plant}`);
  let isKept = true;
  try {
    const run = new ChaosRun(options, means, directory, say);
    onRun(run);
    const outcome = await run.run(signal);
    const verdict = judge(options, means, outcome, directory, say);
    isKept = options.isKept || !verdict.isClean;
    return verdict;
  } finally {
    if (isKept && !signal.aborted) say(`kept: ${directory}`);
    else rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** One run for each seed, and what they showed, whatever it was. */
async function prove(
  options: ChaosOptions,
  minutes: number,
  signal: AbortSignal,
  onRun: (run: ChaosRun) => void,
): Promise<boolean> {
  const verdicts: Verdict[] = [];
  const origin = readOrigin();
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-proof-'));
  for (const seed of PROOF_SEEDS) {
    const own = { ...options, seed, seconds: minutes * 60, hasStandby: findDebianPostgres() !== null };
    verdicts.push(await runChaos(own, signal, onRun));
    say(`written down: ${writeProof(verdicts, origin, directory)}`);
  }
  return verdicts.every(({ isClean }) => isClean);
}

async function perform(
  options: ChaosOptions,
  signal: AbortSignal,
  onRun: (run: ChaosRun) => void,
): Promise<number> {
  const { proofMinutes } = options;
  const isClean =
    proofMinutes === null
      ? (await runChaos(options, signal, onRun)).isClean
      : await prove(options, proofMinutes, signal, onRun);
  return isClean ? EXIT.ok : EXIT.violated;
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
    return await perform(readOptions(args), stopping.signal, (run) => {
      current = run;
    });
  } catch (error) {
    if (stopping.signal.aborted) {
      say('stopped');
      return EXIT.interrupted;
    }
    const isUsage =
      error instanceof UsageError ||
      error instanceof MissingMeansError ||
      (error instanceof TypeError && 'code' in error);
    const shown = isUsage && error instanceof Error ? error.message : describe(error);
    process.stderr.write(`${shown}\n`);
    if (isUsage) process.stderr.write(`${USAGE}\n`);
    return isUsage ? EXIT.usage : EXIT.violated;
  }
}

process.exitCode = await main(process.argv.slice(2));
