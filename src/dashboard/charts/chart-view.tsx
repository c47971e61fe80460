/** Draws one chart on a canvas, anew when the numbers, the size or the theme change. What it shows is said in words beside it. */
import { type ReactNode, useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { type Chart, durationText, shortNumber, stacked } from './chart-data.ts';

const HEIGHT_PX = 200;
const DASHES = [5, 4];

function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Hours and minutes, as the reader's language writes them. */
function clockTime(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

function dataOf({ times, series, isStacked }: Chart): uPlot.AlignedData {
  const rows = isStacked ? stacked(series) : series.map(({ values }) => values);
  // The tallest is drawn first, so that each is seen above the one below it.
  return [[...times], ...(isStacked ? rows.toReversed() : rows).map((row) => [...row])];
}

function optionsOf(chart: Chart, width: number): uPlot.Options {
  const text = (value: number): string =>
    chart.unit === 'seconds' ? durationText(value) : shortNumber(value);
  const line = { stroke: colourOf('line'), width: 1 };
  const axis = { stroke: colourOf('muted'), grid: line, ticks: line };
  const drawn = chart.isStacked ? chart.series.toReversed() : chart.series;
  const bars = uPlot.paths.bars?.({ size: [0.8, 40] });
  return {
    width,
    height: HEIGHT_PX,
    padding: [8, 28, 0, 0],
    legend: { live: true },
    cursor: { drag: { x: false, y: false } },
    scales: {
      y: { range: (_, __, highest) => [0, Math.max(highest * 1.1, chart.unit === 'seconds' ? 0.1 : 1)] },
    },
    axes: [
      { ...axis, space: 70, values: (_, splits) => splits.map(clockTime) },
      { ...axis, size: 70, values: (_, splits) => splits.map(text) },
    ],
    series: [
      { value: (_, seconds) => (seconds === null ? '–' : clockTime(seconds)) },
      ...drawn.map(({ label, colour, isDashed, values }): uPlot.Series => {
        const stroke = colourOf(colour);
        return {
          label,
          stroke,
          width: 2,
          ...(isDashed ? { dash: DASHES } : {}),
          ...(chart.isStacked && bars !== undefined
            ? { fill: stroke, paths: bars, points: { show: false } }
            : {}),
          // Of a stack the number is its own, not the height at which it ends.
          value: (_self, _raw, _series, index) => {
            const value = index === null ? null : values[index];
            return value === null || value === undefined ? '–' : text(value);
          },
        };
      }),
    ],
  };
}

export function ChartView({ chart, isDark }: { readonly chart: Chart; readonly isDark: boolean }): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(chart);
  latest.current = chart;
  // biome-ignore lint/correctness/useExhaustiveDependencies: its colours are those of the theme
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(
        optionsOf(latest.current, element.clientWidth),
        dataOf(latest.current),
        element,
      );
    };
    draw();
    let width = element.clientWidth;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth === width) return;
      width = element.clientWidth;
      plot.current?.setSize({ width, height: HEIGHT_PX });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [isDark]);
  useEffect(() => {
    plot.current?.setData(dataOf(chart));
  }, [chart]);
  return <div ref={place} className="charts-canvas" />;
}
