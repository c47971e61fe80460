/** `npm run bench`: runs the scenarios beside their peers on one Postgres and prints what came out. Never a timed test. */
import { writeFile } from 'node:fs/promises';
import { openBench } from './bench.ts';
import { renderChart } from './chart.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, commandOf, readOptions, USAGE, UsageError } from './options.ts';
import { requireReadmeFor, writeReadme } from './readme.ts';
import { type RunRecord, readRecord, writeRecord } from './record.ts';
import { renderMachine, renderRun, renderScenario } from './report.ts';
import { requireSeconds, runScenario, type Scenario, type ScenarioResult } from './scenario.ts';
import { singleCycle } from './scenarios/p1-single-cycle.ts';
import { batchCycle } from './scenarios/p2-batch-cycle.ts';
import { push } from './scenarios/p3-push.ts';
import { latency } from './scenarios/p4-latency.ts';
import { growth } from './scenarios/p5-growth.ts';
import { shareOfLimit } from './scenarios/p6-share-of-limit.ts';
import { slowWatcher } from './scenarios/p7-slow-watcher.ts';
import { watchers } from './scenarios/p7-watchers.ts';
import { heartbeats } from './scenarios/p8-heartbeats.ts';
import { churn } from './scenarios/p9-churn.ts';
import { replicas } from './scenarios/p10-replicas.ts';
import { cancel } from './scenarios/p11-cancel.ts';
import { why } from './scenarios/p12-why.ts';
import { returning } from './scenarios/p13-return.ts';
import { sdkWorker } from './scenarios/p14-sdk-worker.ts';
import { dashboard } from './scenarios/p15-dashboard.ts';
import { retention } from './scenarios/p16-retention.ts';
import { backup } from './scenarios/p17-backup.ts';
import { tenThousandBoards } from './scenarios/p18-ten-thousand-boards.ts';

/** As every command of ours ends that was interrupted. */
const EXIT_INTERRUPTED = 130;

const SCENARIOS: readonly Scenario[] = [
  singleCycle,
  batchCycle,
  push,
  latency,
  growth,
  shareOfLimit,
  watchers,
  slowWatcher,
  heartbeats,
  churn,
  replicas,
  cancel,
  why,
  returning,
  sdkWorker,
  dashboard,
  retention,
  backup,
  tenThousandBoards,
];

async function runBench(options: BenchOptions, signal: AbortSignal): Promise<RunRecord> {
  const scenarios = chooseScenarios(options.only);
  requireSeconds(scenarios, options);
  if (options.isForReadme) await requireReadmeFor(scenarios);
  const startedAt = performance.now();
  const bench = await openBench(options, signal);
  try {
    const machine = describeMachine(bench);
    console.log(`${renderMachine(machine)}\n`);
    const results: ScenarioResult[] = [];
    for (const scenario of scenarios) {
      const result = await runScenario(scenario, bench);
      results.push(result);
      console.log(`${renderScenario(result)}\n`);
    }
    return {
      at: new Date().toISOString(),
      command: commandOf(options),
      machine,
      rounds: options.rounds,
      seconds: options.seconds,
      elapsedSeconds: Math.round((performance.now() - startedAt) / 1000),
      results,
    };
  } finally {
    await bench.close();
  }
}

function chooseScenarios(only: readonly string[]): readonly Scenario[] {
  const unknown = only.filter((id) => !SCENARIOS.some((scenario) => scenario.id === id));
  const known = SCENARIOS.map((scenario) => scenario.id).join(', ');
  if (unknown.length > 0) throw new UsageError(`no scenario ${unknown.join(', ')}; there are ${known}`);
  return SCENARIOS.filter(({ id, isExtra }) => (only.length === 0 ? isExtra !== true : only.includes(id)));
}

async function keep(record: RunRecord, options: BenchOptions): Promise<void> {
  console.log(renderRun(record));
  if (options.jsonFile !== null) await writeRecord(options.jsonFile, record);
  if (options.chartFile !== null) await writeFile(options.chartFile, renderChart(record));
  if (options.isForReadme) await writeReadme(record);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  // What is under way fails, and everything that was started is ended in order.
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(new Error('stopped by a signal'));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    const options = readOptions(args);
    const { fromFile } = options;
    const record = await (fromFile === null ? runBench(options, stopping.signal) : readRecord(fromFile));
    await keep(record, options);
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
