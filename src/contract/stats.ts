/** What happened on a board lately, by points in time, for charts: added up in the background, so it is seconds behind the log. */
import { z } from 'zod';
import { BoardCounts, BoardParams } from './boards.ts';
import { BoardName, LaneName, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { OUTCOMES, type Outcome } from './statuses.ts';

export const STATS_WINDOWS = ['15m', '1h', '6h', '24h'] as const;
export const StatsWindow = z.enum(STATS_WINDOWS).meta({ id: 'StatsWindow' });
export type StatsWindow = z.infer<typeof StatsWindow>;

/** Of how many, and the seconds that half and 95 % of them stayed within; null when there are none. */
const Durations = z
  .object({
    count: z.int().describe('How many were measured: a sample where there are very many.'),
    p50_seconds: z.number().nullable(),
    p95_seconds: z.number().nullable(),
  })
  .meta({
    id: 'StatsDurations',
    description: 'Read from a logarithmic scale: percentiles are within 10 % of the true ones.',
  });

const activity = {
  created: z.int().describe('Tasks that were created.'),
  claims: z.int().describe('Tasks that were claimed, also those that a takeover adopted.'),
  ends: z
    .object(Object.fromEntries(OUTCOMES.map((outcome) => [outcome, z.int()])) as Record<Outcome, z.ZodInt>)
    .describe('Claims that ended, by outcome. What a person ends without a claim is not among them.'),
  queue_wait: Durations.describe('From when a task could last be claimed to its claim.'),
  run_time: Durations.describe('From claim to end.'),
};

const StatsPoint = z
  .object({
    at: Timestamp.describe('The beginning; the point lasts step_seconds, the last one until now.'),
    ...activity,
    depth: BoardCounts.nullable().describe(
      'Tasks by status at its end, as last written down before it; null before the first time.',
    ),
  })
  .meta({ id: 'StatsPoint' });
export type StatsPoint = z.infer<typeof StatsPoint>;

/** Numbers by point. */
const LaneStats = z
  .object({ claims: z.array(z.int()), completed: z.array(z.int()) })
  .meta({ id: 'LaneStats', description: 'One number for each point.' });

export const BoardStats = z
  .object({
    board: BoardName,
    window: StatsWindow,
    step_seconds: z.int(),
    from_at: Timestamp.describe('The beginning of the first point.'),
    to_at: Timestamp.describe("Now, by the database's clock: where the last point ends so far."),
    counted_at: Timestamp.describe(
      'How far the log has been added up: what happened later is still missing.',
    ),
    points: z.array(StatsPoint).describe('Oldest first, without a gap.'),
    totals: z.object(activity).describe('Of all points together.'),
    lanes: z.record(LaneName, LaneStats).describe('The 200 lanes with the most claims and completed ones.'),
    other_lanes: LaneStats.nullable().describe('All others together; null when there are none.'),
  })
  .meta({ id: 'BoardStats' });
export type BoardStats = z.infer<typeof BoardStats>;

export const getStats = defineRoute({
  operationId: 'getStats',
  method: 'get',
  path: '/v1/boards/{board}/stats',
  summary:
    'Claims, ends by outcome, queue wait, run time and depth of the last minutes or hours, for charts.',
  tag: 'boards',
  access: 'authenticated',
  params: BoardParams,
  query: z.strictObject({ window: StatsWindow.optional().describe('Default: 1h.') }),
  responses: { 200: z.object({ stats: BoardStats }) },
  problems: ['not_found'],
});
