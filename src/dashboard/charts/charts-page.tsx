/** How the board has been doing: claims, ends, waits, run times and depth of the last minutes to hours, from the server's statistics. */
import { type ReactNode, useState } from 'react';
import { useSearchParams } from 'wouter';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { firstCommands } from '../shell/first-commands.ts';
import { useIsDark } from '../theme/theme.ts';
import { Button } from '../ui/button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { type Chart, chartsOf, durationText, type Stats, shortNumber, summaryOf } from './chart-data.ts';
import { ChartView } from './chart-view.tsx';
import './charts.css';

const WINDOWS = ['15m', '1h', '6h', '24h'] as const;
type Window = (typeof WINDOWS)[number];
const WINDOW_LABELS: Readonly<Record<Window, string>> = {
  '15m': '15 minutes',
  '1h': '1 hour',
  '6h': '6 hours',
  '24h': '24 hours',
};
/** As often as the server adds the log up. */
const REREAD_MS = 5000;

export function ChartsPage(): ReactNode {
  const [search, setSearch] = useSearchParams();
  const asked = search.get('window');
  const window = WINDOWS.find((each) => each === asked) ?? '1h';
  const { data, error } = useLiveQuery({
    key: ['stats', window],
    read: (client, signal) => client.boards.stats(client.board, { window }, { signal }),
    isTouchedBy: () => false,
    everyMs: REREAD_MS,
  });
  return (
    <>
      <PageHeader title="Charts">
        <fieldset className="charts-windows" aria-label="How far back">
          {WINDOWS.map((each) => (
            <Button
              key={each}
              size="small"
              tone={each === window ? 'primary' : 'plain'}
              aria-pressed={each === window}
              onClick={() => setSearch({ window: each }, { replace: true })}
            >
              {WINDOW_LABELS[each]}
            </Button>
          ))}
        </fieldset>
      </PageHeader>
      <Problem error={error} />
      {data !== undefined && <Charts stats={data.stats} />}
    </>
  );
}

function Charts({ stats }: { readonly stats: Stats }): ReactNode {
  const { board } = useClient();
  const isDark = useIsDark();
  if (stats.points.every(({ created, claims, depth }) => created + claims === 0 && depth === null))
    return <EmptyState title="Nothing has happened here lately." commands={firstCommands(board)} />;
  return (
    <>
      <Totals stats={stats} />
      <div className="charts-grid">
        {chartsOf(stats).map((chart) => (
          <ChartPanel key={chart.title} chart={chart} isDark={isDark} />
        ))}
      </div>
    </>
  );
}

function Totals({ stats: { totals, from_at: from, to_at: to } }: { readonly stats: Stats }): ReactNode {
  const minutes = Math.max(1, (Date.parse(to) - Date.parse(from)) / 60_000);
  const failed = totals.ends.failed + totals.ends.crashed + totals.ends.timed_out;
  const entries: readonly (readonly [string, string])[] = [
    ['claims', `${totals.claims}`],
    ['claims per minute', shortNumber(totals.claims / minutes)],
    ['completed', `${totals.ends.completed}`],
    ['failed', `${failed}`],
    ['queue wait p95', durationText(totals.queue_wait.p95_seconds)],
    ['run time p95', durationText(totals.run_time.p95_seconds)],
  ];
  return (
    <dl className="charts-totals">
      {entries.map(([label, value]) => (
        <div key={label} className="panel">
          <dt className="muted small">{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function ChartPanel({ chart, isDark }: { readonly chart: Chart; readonly isDark: boolean }): ReactNode {
  const [isTable, setTable] = useState(false);
  return (
    <section className="panel charts-panel" aria-label={chart.title}>
      <div className="panel-head">
        <h2>
          {chart.title} <span className="muted small">{chart.unit}</span>
        </h2>
        <Button size="small" tone="ghost" aria-pressed={isTable} onClick={() => setTable(!isTable)}>
          {isTable ? 'As a chart' : 'As a table'}
        </Button>
      </div>
      <p className="visually-hidden">{summaryOf(chart)}</p>
      {isTable ? <ChartTable chart={chart} /> : <ChartView chart={chart} isDark={isDark} />}
    </section>
  );
}

function ChartTable({ chart: { times, series, unit } }: { readonly chart: Chart }): ReactNode {
  const text = (value: number | null | undefined): string => {
    if (value === null || value === undefined) return '–';
    return unit === 'seconds' ? durationText(value) : shortNumber(value);
  };
  const newestFirst = times.map((time, index) => ({ time, index })).toReversed();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard too
    <section className="table-scroll charts-table" tabIndex={0} aria-label="Numbers">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">from</th>
            {series.map(({ label }) => (
              <th key={label} scope="col" className="number">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {newestFirst.map(({ time, index }) => (
            <tr key={time}>
              <th scope="row">{new Date(time * 1000).toLocaleTimeString()}</th>
              {series.map(({ label, values }) => (
                <td key={label} className="number">
                  {text(values[index])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
