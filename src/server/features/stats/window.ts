/** The windows that charts show, and how long what they are made of is kept. */
import type { StatsWindow } from '../../../contract/stats.ts';

interface WindowShape {
  readonly stepSeconds: number;
  readonly points: number;
}

/** Pinned by the issue: about as many points as a small chart has pixels for, in whole minutes. */
export const WINDOWS: Readonly<Record<StatsWindow, WindowShape>> = {
  '15m': { stepSeconds: 60, points: 15 },
  '1h': { stepSeconds: 60, points: 60 },
  '6h': { stepSeconds: 300, points: 72 },
  '24h': { stepSeconds: 900, points: 96 },
};

export const DEFAULT_WINDOW: StatsWindow = '1h';

/** A week and a day: whoever looks at a Monday still has the Monday before. */
export const MINUTES_KEPT_HOURS = 8 * 24;
