/** Results as Markdown: printed as they come, and put into the README as they are. Pure. */
import type { Machine } from './machine.ts';
import type { RunRecord } from './record.ts';
import type { ComparisonResult, ScenarioResult } from './scenario.ts';
import type { Spread } from './statistics.ts';

export function renderMachine(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `Machine: ${machine.processor}, ${machine.cores} cores, ${machine.memoryGib} GiB, ${machine.platform}; load average before ${machine.loadAverage.toFixed(2)}`,
    `Versions: ${versions.join(', ')}`,
  ].join('\n\n');
}

export function renderScenario(result: ScenarioResult): string {
  const rows = result.contenders.map(({ name, spread }) => [
    name,
    ...result.metrics.map(({ key, digits }) => renderSpread(spread[key], digits)),
  ]);
  const header = ['median (min–max)', ...result.metrics.map(({ unit }) => unit)];
  const comparisons = result.comparisons.map((one) => `- ${renderComparison(result, one)}`);
  return [
    `### ${result.id} ${result.title}`,
    renderTable([header, ...rows]),
    ...result.series.map(({ series }) => renderTable([series.header, ...series.rows])),
    [...comparisons, ...result.leftOut.map((line) => `- ${line}`)].join('\n'),
  ].join('\n\n');
}

/** How many rounds there really were: some scenarios have fewer than were asked for. */
function countRounds({ rounds, results }: RunRecord): string {
  const most = Math.max(
    0,
    ...results.flatMap(({ contenders }) => contenders.map((one) => one.rounds.length)),
  );
  const count = most === 0 ? rounds : most;
  return count === 1 ? '1 round' : `${count} rounds`;
}

export function renderRun(record: RunRecord): string {
  const { seconds, elapsedSeconds, results } = record;
  const parts = results.map((result) => `${result.id} ${result.elapsedSeconds}`).join(', ');
  return `${countRounds(record)}, windows of ${seconds} s, ${elapsedSeconds} s in all (${parts})`;
}

/** A bar and what came out, in the words of the scenario's table. */
export function renderComparison(result: ScenarioResult, comparison: ComparisonResult): string {
  const { metric, of, against, bar, perRound, median, isMet } = comparison;
  const { unit: name, digits } = result.metrics.find(({ key }) => key === metric) ?? {
    unit: metric,
    digits: 2,
  };
  // A ratio needs two digits whatever its parts need.
  const inDigits = (value: number): string => value.toFixed(against === null ? digits : 2);
  const times = against === null ? '' : ' ×';
  const subject = against === null ? `${name}: ${of}` : `${name}: ${of} / ${against}`;
  const verdict =
    bar === null
      ? ''
      : `; bar ${bar.kind === 'at_least' ? '≥' : '≤'} ${bar.value}${times}: ${isMet === true ? 'met' : 'not met'}`;
  return `${subject}: **${inDigits(median)}${times}** (rounds ${perRound.map(inDigits).join(', ')})${verdict}`;
}

/** A figure that a party does not have is NaN, and null where the run was read back from JSON. */
function renderSpread(spread: Spread | undefined, digits: number): string {
  if (spread === undefined || !Number.isFinite(spread.median)) return '–';
  const { median, min, max } = spread;
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}
