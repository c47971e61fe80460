/** Holds the record of a run against what the system promises, and says what came of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkHistory } from './checkers/check.ts';
import { KnownLog } from './checkers/known-log.ts';
import { measureReach } from './checkers/pruned-tasks.ts';
import { checkRetention } from './checkers/retention.ts';
import type { FinalState, HistoryEntry, Violation } from './history.ts';
import type { Means } from './means.ts';
import type { ChaosOptions } from './options.ts';
import { omitFaultsOfOthers } from './own-faults.ts';
import { PLANTS } from './plants/plant.ts';
import { readRecording } from './recorder.ts';
import {
  type FaultCount,
  listFaults,
  listLoad,
  type OperationCount,
  renderDeliveries,
  renderFaults,
  renderLoad,
  renderPruned,
  renderViolations,
  renderWindows,
} from './report.ts';
import type { RunOutcome } from './run.ts';
import { listSlowStretches } from './slow-stretches.ts';
import { countWindows, type WindowCount } from './windows.ts';

/** Shorter runs may miss a window by chance. */
const WINDOWS_FROM_SECONDS = 60;

/** What a run showed. */
export interface Verdict {
  readonly seed: number;
  readonly seconds: number;
  /** Nothing was found, and nothing missed. Of a run against a planted bug: it was not found, so that the checkers are at fault. */
  readonly isClean: boolean;
  readonly operations: readonly OperationCount[];
  readonly faults: readonly FaultCount[];
  /** Planned, and not carried out. */
  readonly skipped: readonly FaultCount[];
  readonly windows: readonly WindowCount[];
  readonly violations: readonly Violation[];
  readonly troubles: readonly string[];
  readonly omissions: readonly string[];
  readonly counts: Readonly<
    Record<'tasks' | 'runs' | 'events' | 'delegations' | 'deliveries' | 'servers' | 'workers', number>
  >;
  readonly postgresVersion: string;
}

export function judge(
  options: ChaosOptions,
  means: Means,
  outcome: RunOutcome,
  directory: string,
  say: (text: string) => void,
): Verdict {
  const { final, hasTakeover, plannedKinds, serverUrls, skipped, troubles, postgresVersion } = outcome;
  const recording = readRecording(outcome.historyDirectory);
  const stretches = listSlowStretches(recording.entries);
  const { entries } = readRecording(outcome.shortMemory.historyDirectory);
  const shortMemory = { entries, final: outcome.shortMemory.final };
  const violations = [
    ...checkHistory([...omitFaultsOfOthers(recording.entries, entries), ...stretches], final),
    ...checkRetention(shortMemory.entries, shortMemory.final),
  ];
  writeFileSync(join(directory, 'final.json'), JSON.stringify(final));
  writeFileSync(join(directory, 'short-memory.json'), JSON.stringify(shortMemory.final));
  writeFileSync(join(directory, 'violations.json'), JSON.stringify(violations, null, 2));
  const windows = countWindows({
    recording,
    final,
    shortMemory,
    faults: plannedKinds,
    hasTakeover,
    serverUrls,
  });
  const operations = listLoad([...recording.entries, ...shortMemory.entries]);
  const faults = listFaults(recording.entries);
  const reach = measureReach(new KnownLog(shortMemory.entries, shortMemory.final), shortMemory.final);
  say(`\n${renderLoad(operations)}\n\n${renderFaults(faults, skipped)}\n\n${renderWindows(windows)}\n`);
  say(`  ${final.tasks.length} tasks, ${final.runs.length} runs, ${final.events.length} events`);
  say(`  ${final.delegations.length} delegations, ${renderDeliveries(final)}`);
  say(`  ${renderPruned(shortMemory.final, reach)}`);
  if (violations.length > 0) say(`\n${renderViolations(violations)}`);
  const isClean =
    options.plant === null
      ? isAllWell({ options, windows, entries: recording.entries, violations, troubles }, say)
      : !isPlantFound(options, violations, say);
  const { seed, seconds, servers, workers } = options;
  return {
    ...{
      seed,
      seconds,
      isClean,
      operations,
      faults,
      skipped,
      windows,
      violations,
      troubles,
      postgresVersion,
    },
    omissions: means.omissions,
    counts: { ...countRows(final), servers, workers },
  };
}

interface Findings {
  readonly options: ChaosOptions;
  readonly windows: readonly WindowCount[];
  readonly entries: readonly HistoryEntry[];
  readonly violations: readonly Violation[];
  readonly troubles: readonly string[];
}

function isAllWell(
  { options, windows, entries, violations, troubles }: Findings,
  say: (text: string) => void,
): boolean {
  const missed = listMissed(windows);
  const isMissing = options.seconds >= WINDOWS_FROM_SECONDS && missed.length > 0;
  if (isMissing) say(`\nnever hit: ${missed.join('; ')}`);
  const made = countHandovers(entries);
  const isShort = made < (options.delegations ?? 0);
  if (isShort) say(`\nonly ${made} delegations were made by orchestrators`);
  say(`\n${violations.length} violations, ${troubles.length} troubles; seed ${options.seed}`);
  return violations.length === 0 && troubles.length === 0 && !isMissing && !isShort;
}

export function listMissed(windows: readonly WindowCount[]): string[] {
  return windows.filter(({ count, isExpected }) => isExpected && count === 0).map(({ window }) => window);
}

function countRows({ tasks, runs, events, delegations, deliveries }: FinalState) {
  return {
    tasks: tasks.length,
    runs: runs.length,
    events: events.length,
    delegations: delegations.length,
    deliveries: deliveries.length,
  };
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
function isPlantFound(
  { plant, seed }: ChaosOptions,
  violations: readonly Violation[],
  say: (text: string) => void,
): boolean {
  const expected = plant === null ? [] : PLANTS[plant].properties;
  const isFound = violations.some(({ property }) => expected.includes(property));
  say(
    isFound
      ? `\nthe planted bug ${plant} was found: property ${expected.join(' or ')}; seed ${seed}`
      : `\nthe planted bug ${plant} was NOT found as a violation of property ${expected.join(' or ')}; seed ${seed}`,
  );
  return isFound;
}
