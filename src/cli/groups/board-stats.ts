/** board stats: what happened lately, as numbers. */
import { type Command, Option } from 'commander';
import type { BoardStats, StatsPoint, StatsWindow } from '../../contract/stats.ts';
import type { Outcome } from '../../contract/statuses.ts';
import type { Context } from '../context.ts';
import type { Output } from '../output.ts';
import { writeFields, writeTable } from '../table.ts';

/** As the contract has them; the lists themselves would bring its schemas along. */
const WINDOWS: readonly StatsWindow[] = ['15m', '1h', '6h', '24h'];

interface StatsFlags {
  readonly window?: StatsWindow;
}

/** As many rows as fit on a screen: the points of a window are put together until there are no more. */
const ROWS_MAX = 15;
const MS_PER_SECOND = 1000;

export function addStatsCommand(board: Command, contextOf: () => Context): void {
  board
    .command('stats [name]')
    .description('show claims, ends, queue wait, run time and depth of the last minutes or hours')
    .addOption(new Option('--window <span>', 'how far back (default 1h)').choices(WINDOWS))
    .action((name: string | undefined, flags: StatsFlags) => showStats(contextOf(), name, flags));
}

async function showStats(context: Context, name: string | undefined, { window }: StatsFlags): Promise<void> {
  const client = await context.client();
  const reply = await client.boards.stats(name ?? client.board, { window });
  if (context.output.isJson) context.output.json(reply);
  else writeStats(context.output, reply.stats);
}

interface Row {
  readonly at: string;
  readonly created: number;
  readonly claims: number;
  readonly seconds: number;
  readonly ends: BoardStats['totals']['ends'];
  readonly depth: StatsPoint['depth'];
}

function writeStats(output: Output, stats: BoardStats): void {
  writeTable(output, rowsOf(stats), [
    { title: 'FROM', text: (row) => row.at.slice(11, 16) },
    { title: 'CREATED', text: (row) => String(row.created) },
    { title: 'CLAIMS', text: (row) => String(row.claims) },
    { title: 'CLAIMS/S', text: (row) => rate(row.claims, row.seconds) },
    { title: 'ENDS', text: (row) => endsText(row.ends) },
    { title: 'DEPTH', text: (row) => depthText(row.depth) },
  ]);
  const { totals } = stats;
  const seconds = secondsBetween(stats.from_at, stats.to_at);
  output.line('');
  writeFields(output, [
    ['claims', `${totals.claims}, ${rate(totals.claims, seconds)} a second`],
    ['ends', endsText(totals.ends)],
    ['queue wait', durationsText(totals.queue_wait)],
    ['run time', durationsText(totals.run_time)],
    ['now', depthText(stats.points.at(-1)?.depth ?? null)],
    ['counted up to', stats.counted_at],
  ]);
}

/** Neighbouring points together. The last one goes on until now. */
function rowsOf({ points, step_seconds, to_at: to }: BoardStats): Row[] {
  const perRow = Math.ceil(points.length / ROWS_MAX);
  const rows: Row[] = [];
  for (let start = 0; start < points.length; start += perRow) {
    const part = points.slice(start, start + perRow);
    const at = part[0]?.at ?? to;
    const sum = (read: (point: StatsPoint) => number) =>
      part.reduce((total, point) => total + read(point), 0);
    const outcomes = Object.keys(points[0]?.ends ?? {}) as Outcome[];
    rows.push({
      at,
      created: sum((point) => point.created),
      claims: sum((point) => point.claims),
      seconds: Math.min(part.length * step_seconds, secondsBetween(at, to)),
      ends: Object.fromEntries(
        outcomes.map((outcome) => [outcome, sum((point) => point.ends[outcome])]),
      ) as Row['ends'],
      depth: part.at(-1)?.depth ?? null,
    });
  }
  return rows;
}

function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / MS_PER_SECOND;
}

function rate(count: number, seconds: number): string {
  if (count === 0) return '0';
  const perSecond = count / Math.max(seconds, 1);
  return perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toPrecision(2);
}

function endsText(ends: BoardStats['totals']['ends']): string {
  return countsText(ends) || '-';
}

function depthText(depth: StatsPoint['depth']): string {
  if (depth === null) return '-';
  return countsText(depth) || 'no tasks';
}

/** In the order in which the server lists them. */
function countsText(counts: Readonly<Record<string, number>>): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([word, count]) => `${count} ${word}`).join(', ');
}

function durationsText({ count, p50_seconds, p95_seconds }: BoardStats['totals']['queue_wait']): string {
  if (p50_seconds === null || p95_seconds === null) return '-';
  return `p50 ${secondsText(p50_seconds)}, p95 ${secondsText(p95_seconds)} (of ${count})`;
}

function secondsText(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * MS_PER_SECOND)} ms` : `${seconds} s`;
}
