/** Which lanes of a board have figures of their own. */
import type { BoardStats } from '../../../contract/stats.ts';

/** A minute's row stays within some ten kilobytes, and an answer within a hundred; most boards have a tenth of these lanes. */
export const LANES_MAX = 200;

/** Of one point: how many by lane; '' stands for those that have no figures of their own. */
export interface LanePoint {
  readonly at: string;
  readonly lane: string;
  readonly claims: number;
  readonly completed: number;
}

type LaneFigures = BoardStats['lanes'][string];

const total = ({ claims, completed }: LaneFigures): number =>
  [...claims, ...completed].reduce((sum, number) => sum + number, 0);

/** @param times Of the points, in order. */
export function laneStatsOf(
  rows: readonly LanePoint[],
  times: readonly string[],
): Pick<BoardStats, 'lanes' | 'other_lanes'> {
  const places = new Map(times.map((at, index) => [at, index]));
  const byLane = new Map<string, LaneFigures>();
  const none = (): LaneFigures => ({ claims: times.map(() => 0), completed: times.map(() => 0) });
  const add = (lane: string, index: number, claims: number, completed: number): void => {
    const figures = byLane.get(lane) ?? none();
    byLane.set(lane, figures);
    figures.claims[index] = (figures.claims[index] ?? 0) + claims;
    figures.completed[index] = (figures.completed[index] ?? 0) + completed;
  };
  for (const { at, lane, claims, completed } of rows) {
    const index = places.get(at);
    if (index !== undefined) add(lane, index, claims, completed);
  }
  const named = [...byLane].filter(([lane]) => lane !== '');
  named.sort(
    ([leftLane, left], [rightLane, right]) => total(right) - total(left) || (leftLane < rightLane ? -1 : 1),
  );
  for (const [lane, { claims, completed }] of named.slice(LANES_MAX)) {
    byLane.delete(lane);
    for (const index of times.keys()) add('', index, claims[index] ?? 0, completed[index] ?? 0);
  }
  return { lanes: Object.fromEntries(named.slice(0, LANES_MAX)), other_lanes: byLane.get('') ?? null };
}
