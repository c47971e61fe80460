/** What charts show of a board: the minutes that the counting has written down, put into points. Reads neither the log nor tasks. */

import type { BoardStats, StatsPoint, StatsWindow } from '../../../contract/stats.ts';
import { OUTCOMES, type Outcome } from '../../../contract/statuses.ts';
import { pinPlans, type Tx } from '../../db/client.ts';
import { boardNotFound } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import { laneStatsOf } from './lane-stats.ts';
import { addCounts, durationsOf, type StepCounts } from './scale.ts';
import {
  type Frame,
  type PointSums,
  readDepths,
  readFrame,
  readLanePoints,
  readPoints,
} from './store/read.ts';
import { WINDOWS } from './window.ts';

type Activity = BoardStats['totals'];

interface Sums {
  created: number;
  claims: number;
  readonly ends: Record<Outcome, number>;
  readonly waits: Map<number, number>;
  readonly runs: Map<number, number>;
}

/** @param tx A snapshot: the parts are of one instant. */
export async function readStats(tx: Tx, board: BoardRef, window: StatsWindow): Promise<BoardStats> {
  const shape = WINDOWS[window];
  await pinPlans(tx);
  const frame = await readFrame(tx, board.id, shape);
  if (frame === null) throw boardNotFound(board.name);
  const rows = await readPoints(tx, board.id, frame.from, shape.stepSeconds);
  const depths = await readDepths(tx, board.id, frame.from, shape.stepSeconds);
  const lanes = await readLanePoints(tx, board.id, frame.from, shape.stepSeconds);
  const total = noSums();
  const points = pointsOf(frame, rows, new Map(depths.map(({ at, depth }) => [at, depth])), total);
  return {
    board: board.name,
    window,
    step_seconds: shape.stepSeconds,
    from_at: frame.from,
    to_at: frame.to,
    counted_at: frame.up_to,
    points,
    totals: activityOf(total),
    ...laneStatsOf(lanes, frame.times),
  };
}

function pointsOf(
  frame: Frame,
  rows: readonly PointSums[],
  depths: ReadonlyMap<string, Frame['depth']>,
  total: Sums,
): StatsPoint[] {
  const rowByTime = new Map(rows.map((row) => [row.at, row]));
  let depth = frame.depth_before;
  return frame.times.map((at, index) => {
    const row = rowByTime.get(at);
    const sums = noSums();
    if (row !== undefined) {
      add(sums, row);
      add(total, row);
    }
    // Where nothing was written down nothing has moved, unless the counting is behind.
    depth = depths.get(at) ?? depth;
    return { at, ...activityOf(sums), depth: index === frame.times.length - 1 ? frame.depth : depth };
  });
}

function noSums(): Sums {
  const ends = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  return { created: 0, claims: 0, ends, waits: new Map(), runs: new Map() };
}

function add(sums: Sums, row: PointSums): void {
  sums.created += row.created;
  sums.claims += row.claims;
  for (const outcome of OUTCOMES) sums.ends[outcome] += row.ends[outcome] ?? 0;
  addCounts(sums.waits, stepsOf(row.waits));
  addCounts(sums.runs, stepsOf(row.runs));
}

function stepsOf(counts: Readonly<Record<string, number>>): StepCounts {
  return new Map(Object.entries(counts).map(([step, number]) => [Number(step), number]));
}

function activityOf({ created, claims, ends, waits, runs }: Sums): Activity {
  return { created, claims, ends, queue_wait: durationsOf(waits), run_time: durationsOf(runs) };
}
