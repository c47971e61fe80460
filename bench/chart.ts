/**
 * The chart of a run: for every bar, how far beyond or short of it the median came, as an SVG that needs nothing else and reads
 * in dark and light. Ratios and absolute figures share one axis, because each is drawn as a multiple of its own bar. Pure.
 */
import type { RunRecord } from './record.ts';
import type { Bar, ComparisonResult, ScenarioResult } from './scenario.ts';

interface Row {
  readonly label: string;
  readonly value: string;
  /** Multiples of the bar, 1 being just met; more is better, whichever way the bar points. */
  readonly attained: number;
  readonly attainedMin: number;
  readonly attainedMax: number;
  readonly isMet: boolean;
}

const WIDTH = 760;
const MARGIN = 24;
const HEADER = 74;
const ROW_HEIGHT = 40;
const FOOTER = 16;
const BAR_HEIGHT = 10;
/** Three doublings to either side: anything beyond is cut there, and its figure stands in the text. */
const DOUBLINGS = 3;
const TICKS = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8];
const TICK_LABELS = ['⅛', '¼', '½', 'the bar', '2 ×', '4 ×', '8 ×'];

const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; stroke: #ffffff; stroke-width: 3; paint-order: stroke; }
  .back { fill: #ffffff; } .title { font-size: 15px; font-weight: 600; } .faint { fill: #59636e; }
  .grid { stroke: #d1d9e0; } .bar { stroke: #1f2328; stroke-width: 1.5; } .range { stroke: #1f2328; }
  .met { fill: #1a7f37; } .missed { fill: #cf222e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; stroke: #0d1117; } .back { fill: #0d1117; } .faint { fill: #9198a1; }
    .grid { stroke: #3d444d; } .bar { stroke: #f0f6fc; } .range { stroke: #f0f6fc; }
    .met { fill: #3fb950; } .missed { fill: #f85149; }
  }`;

export function renderChart(record: RunRecord): string {
  const rows = record.results.flatMap((result) =>
    result.comparisons.flatMap((comparison) => rowOf(result, comparison)),
  );
  const height = HEADER + rows.length * ROW_HEIGHT + FOOTER;
  const metCount = rows.filter(({ isMet }) => isMet).length;
  const summary = `${metCount} of ${rows.length} bars met`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">Lanekeeper beside its peers: ${escapeText(summary)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>`,
    `<text class="title" x="${MARGIN}" y="28">Multiples of the bar, median of the rounds (line: lowest to highest)</text>`,
    `<text class="faint" x="${MARGIN}" y="46">Right of the bar is better than asked. ${escapeText(summary)}.</text>`,
    ...TICKS.map((tick, index) => renderTick(tick, TICK_LABELS[index] ?? '', height)),
    ...rows.map((row, index) => renderRow(row, HEADER + index * ROW_HEIGHT)),
    '</svg>',
    '',
  ].join('\n');
}

/** Nothing for a figure without a bar, and for a bar of zero, which has no multiples. */
function rowOf(result: ScenarioResult, comparison: ComparisonResult): Row[] {
  const { of, against, bar, perRound, median, isMet } = comparison;
  if (bar === null || bar.value === 0) return [];
  const metric = result.metrics.find(({ key }) => key === comparison.metric);
  const times = against === null ? '' : ' ×';
  const digits = against === null ? (metric?.digits ?? 2) : 2;
  const sign = bar.kind === 'at_least' ? '≥' : '≤';
  const attained = perRound.map((value) => attainedOf(bar, value));
  return [
    {
      label: `${result.id}  ${metric?.unit ?? comparison.metric}: ${of}${against === null ? '' : ` / ${against}`}`,
      value: `${median.toFixed(digits)}${times}  (${sign} ${bar.value}${times})`,
      attained: attainedOf(bar, median),
      attainedMin: Math.min(...attained),
      attainedMax: Math.max(...attained),
      isMet: isMet === true,
    },
  ];
}

function attainedOf(bar: Bar, value: number): number {
  return bar.kind === 'at_least' ? value / bar.value : bar.value / value;
}

/** Logarithmic: half and twice the bar are equally far from it. */
export function positionOf(attained: number): number {
  const doublings = Math.max(-DOUBLINGS, Math.min(DOUBLINGS, Math.log2(attained)));
  const half = (WIDTH - 2 * MARGIN) / 2;
  return Math.round((MARGIN + half + (doublings / DOUBLINGS) * half) * 10) / 10;
}

function renderTick(tick: number, label: string, height: number): string {
  const x = positionOf(tick);
  const anchors: Readonly<Record<string, string>> = {
    [MARGIN]: 'start',
    [WIDTH - MARGIN]: 'end',
  };
  return [
    `<line class="${tick === 1 ? 'bar' : 'grid'}" x1="${x}" y1="${HEADER - 6}" x2="${x}" y2="${height - FOOTER}"/>`,
    `<text class="faint" x="${x}" y="${HEADER - 10}" text-anchor="${anchors[x] ?? 'middle'}">${label}</text>`,
  ].join('');
}

function renderRow(row: Row, top: number): string {
  const bar = positionOf(1);
  const end = positionOf(row.attained);
  const y = top + 20;
  const middle = y + BAR_HEIGHT / 2;
  return [
    `<text x="${MARGIN}" y="${top + 14}">${escapeText(row.label)}</text>`,
    `<text x="${WIDTH - MARGIN}" y="${top + 14}" text-anchor="end">${escapeText(row.value)}</text>`,
    `<rect class="${row.isMet ? 'met' : 'missed'}" x="${Math.min(bar, end)}" y="${y}" width="${Math.round(Math.abs(end - bar) * 10) / 10}" height="${BAR_HEIGHT}"/>`,
    `<line class="range" x1="${positionOf(row.attainedMin)}" y1="${middle}" x2="${positionOf(row.attainedMax)}" y2="${middle}"/>`,
  ].join('');
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
