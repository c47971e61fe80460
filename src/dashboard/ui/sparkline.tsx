/** A course of numbers in the size of a word. It says little by itself: `label` says it to those who do not see it. */
import type { ReactNode } from 'react';
import { SPARKLINE_HEIGHT, SPARKLINE_WIDTH, sparklinePoints } from './sparkline-points.ts';

interface SparklineProps {
  /** One number for each point in time, oldest first. */
  readonly values: readonly number[];
  readonly label: string;
}

export function Sparkline({ values, label }: SparklineProps): ReactNode {
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${SPARKLINE_WIDTH} ${SPARKLINE_HEIGHT}`}
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <polyline points={sparklinePoints(values)} fill="none" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
