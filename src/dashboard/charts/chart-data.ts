/** What the charts draw, of what the server says. Pure. Times are seconds since 1970, as the drawing library counts them. */
import type { ReplyOf } from '../../client/index.ts';

export type Stats = ReplyOf<'getStats'>['stats'];
type Point = Stats['points'][number];

/** A colour of the theme, without its "--". */
type Colour = 'accent' | 'good' | 'danger' | 'warn' | 'violet' | 'teal' | 'muted';

export interface Series {
  readonly label: string;
  readonly colour: Colour;
  /** Lines of one colour are told apart by their dashes. */
  readonly isDashed?: boolean;
  readonly values: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  readonly unit: 'per second' | 'tasks' | 'runs' | 'seconds';
  /** Stands on each other instead of beside. */
  readonly isStacked: boolean;
  readonly times: readonly number[];
  readonly series: readonly Series[];
}

/** Outcomes that mean the same to who looks at a chart. */
const END_GROUPS: readonly {
  readonly label: string;
  readonly colour: Colour;
  readonly of: readonly (keyof Point['ends'])[];
}[] = [
  { label: 'completed', colour: 'good', of: ['completed'] },
  { label: 'changes requested', colour: 'violet', of: ['changes_requested'] },
  { label: 'blocked', colour: 'warn', of: ['blocked'] },
  { label: 'failed', colour: 'danger', of: ['failed', 'crashed', 'timed_out'] },
  { label: 'given back', colour: 'muted', of: ['released', 'reclaimed', 'cancelled'] },
];

const DEPTHS: readonly {
  readonly label: string;
  readonly colour: Colour;
  readonly of: keyof NonNullable<Point['depth']>;
}[] = [
  { label: 'ready', colour: 'accent', of: 'ready' },
  { label: 'running', colour: 'teal', of: 'running' },
  { label: 'blocked', colour: 'danger', of: 'blocked' },
  { label: 'review', colour: 'violet', of: 'review' },
  { label: 'scheduled', colour: 'warn', of: 'scheduled' },
  { label: 'to do', colour: 'muted', of: 'todo' },
];

export function chartsOf(stats: Stats): readonly Chart[] {
  const { points } = stats;
  const times = points.map(({ at }) => Date.parse(at) / 1000);
  const last = points.length - 1;
  /** The last point is not over yet. */
  const secondsOf = (index: number): number =>
    index === last
      ? Math.max(1, (Date.parse(stats.to_at) - Date.parse(points[index]?.at ?? stats.to_at)) / 1000)
      : stats.step_seconds;
  const rate = (read: (point: Point) => number): number[] =>
    points.map((point, index) => read(point) / secondsOf(index));
  return [
    {
      title: 'Claims',
      unit: 'per second',
      isStacked: false,
      times,
      series: [
        { label: 'claims', colour: 'teal', values: rate(({ claims }) => claims) },
        { label: 'created', colour: 'accent', isDashed: true, values: rate(({ created }) => created) },
      ],
    },
    {
      title: 'Ends by outcome',
      unit: 'runs',
      isStacked: true,
      times,
      series: END_GROUPS.map(({ label, colour, of }) => ({
        label,
        colour,
        values: points.map(({ ends }) => of.reduce((sum, outcome) => sum + ends[outcome], 0)),
      })),
    },
    durations('Queue wait', times, points, ({ queue_wait: wait }) => wait),
    durations('Run time', times, points, ({ run_time: run }) => run),
    {
      title: 'Depth',
      unit: 'tasks',
      isStacked: false,
      times,
      series: DEPTHS.map(({ label, colour, of }) => ({
        label,
        colour,
        values: points.map(({ depth }) => depth?.[of] ?? null),
      })),
    },
  ];
}

function durations(
  title: string,
  times: readonly number[],
  points: readonly Point[],
  read: (point: Point) => Point['queue_wait'],
): Chart {
  return {
    title,
    unit: 'seconds',
    isStacked: false,
    times,
    series: [
      { label: 'p50', colour: 'accent', values: points.map((point) => read(point).p50_seconds) },
      {
        label: 'p95',
        colour: 'warn',
        isDashed: true,
        values: points.map((point) => read(point).p95_seconds),
      },
    ],
  };
}

/** Each series on top of those before it; what is not known counts as nothing. */
export function stacked(series: readonly Series[]): readonly (readonly number[])[] {
  const heights: number[][] = [];
  for (const { values } of series) {
    const below = heights.at(-1);
    heights.push(values.map((value, index) => (value ?? 0) + (below?.[index] ?? 0)));
  }
  return heights;
}

/** A number in the room of a few characters. */
export function shortNumber(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : String(Number(value.toPrecision(2)));
}

/** "0.4 s", "12 s", "3.5 min", "2 h". */
export function durationText(seconds: number | null): string {
  if (seconds === null) return '–';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${shortNumber(seconds)} s`;
  return seconds < 5400 ? `${shortNumber(seconds / 60)} min` : `${shortNumber(seconds / 3600)} h`;
}

/** What a chart shows, in a sentence for those who do not see it. */
export function summaryOf({ title, unit, series }: Chart): string {
  const parts = series.flatMap(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    const now = known.at(-1);
    if (now === undefined) return [];
    const text = (value: number): string => (unit === 'seconds' ? durationText(value) : shortNumber(value));
    return [`${label} now ${text(now)}, at most ${text(Math.max(...known))}`];
  });
  const measure = unit === 'seconds' ? '' : ` (${unit})`;
  return parts.length === 0 ? `${title}: nothing yet` : `${title}${measure}: ${parts.join('; ')}`;
}
