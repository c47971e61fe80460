/** Results as Markdown, so that a run can be pasted into the README as it is. */
import type { Machine } from './machine.ts';
import type { ComparisonResult, ScenarioResult } from './scenario.ts';

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
    ...result.metrics.map(({ key, digits }) => {
      const { median, min, max } = spread[key] ?? { median: Number.NaN, min: Number.NaN, max: Number.NaN };
      return Number.isNaN(median)
        ? '–'
        : `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
    }),
  ]);
  const header = ['median (min–max)', ...result.metrics.map(({ unit }) => unit)];
  return [
    `### ${result.id} ${result.title}`,
    renderTable([header, ...rows]),
    result.comparisons.map((comparison) => `- ${renderComparison(comparison)}`).join('\n'),
  ].join('\n\n');
}

function renderComparison({ metric, of, against, bar, perRound, median, isMet }: ComparisonResult): string {
  const unit = against === null ? '' : ' ×';
  const figures = perRound.map((value) => value.toFixed(2)).join(', ');
  const subject = against === null ? `${metric} of ${of}` : `${metric}, ${of} / ${against}`;
  const verdict =
    bar === null
      ? ''
      : `; bar ${bar.kind === 'at_least' ? '≥' : '≤'} ${bar.value}${unit}: ${isMet === true ? 'met' : 'not met'}`;
  return `${subject}: **${median.toFixed(2)}${unit}** (rounds ${figures})${verdict}`;
}

function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}
