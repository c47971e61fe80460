/** `npm run bench`: runs the scenarios beside their peers on one Postgres and prints what came out. Never a timed test. */
import { writeFile } from 'node:fs/promises';
import { openBench } from './bench.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, readOptions, USAGE, UsageError } from './options.ts';
import { renderMachine, renderScenario } from './report.ts';
import { runScenario, type Scenario, type ScenarioResult } from './scenario.ts';
import { singleCycle } from './scenarios/p1-single-cycle.ts';
import { latency } from './scenarios/p4-latency.ts';

/** As every command of ours ends that was interrupted. */
const EXIT_INTERRUPTED = 130;

const SCENARIOS: readonly Scenario[] = [singleCycle, latency];

async function runBench(options: BenchOptions, signal: AbortSignal): Promise<void> {
  const scenarios = chooseScenarios(options.only);
  const startedAt = performance.now();
  const bench = await openBench(options, signal);
  try {
    const machine = describeMachine(bench);
    console.log(`${renderMachine(machine)}\n`);
    const results: ScenarioResult[] = [];
    for (const scenario of scenarios) {
      const result = await runScenario(scenario, bench, options.rounds);
      results.push(result);
      console.log(`${renderScenario(result)}\n`);
    }
    const elapsedSeconds = Math.round((performance.now() - startedAt) / 1000);
    console.log(`${options.rounds} rounds, windows of ${options.seconds} s, ${elapsedSeconds} s in all`);
    if (options.jsonFile !== null) {
      const { rounds, seconds } = options;
      const record = { at: new Date().toISOString(), machine, rounds, seconds, elapsedSeconds, results };
      await writeFile(options.jsonFile, `${JSON.stringify(record, null, 2)}\n`);
    }
  } finally {
    await bench.close();
  }
}

function chooseScenarios(only: readonly string[]): readonly Scenario[] {
  const unknown = only.filter((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  const known = SCENARIOS.map((scenario) => scenario.id).join(', ');
  if (unknown.length > 0) throw new UsageError(`no scenario ${unknown.join(', ')}; there are ${known}`);
  return only.length === 0 ? SCENARIOS : SCENARIOS.filter((scenario) => only.includes(scenario.id));
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  // The measurement in progress ends first, at most a window later, so that everything is ended in order.
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new Error('stopped by a signal'));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await runBench(readOptions(args), stopping.signal);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) {
      console.error('stopped');
      return EXIT_INTERRUPTED;
    }
    const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    console.error(error instanceof Error ? error.message : error);
    if (isUsage) console.error(USAGE);
    return isUsage ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
