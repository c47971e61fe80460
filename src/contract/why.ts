/** Why a task is not running: what keeps it, in the order in which it has to be dealt with. */
import { z } from 'zod';
import { TaskId, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { Task, TaskParams } from './tasks.ts';

export const WHY_CODES = [
  'board_paused',
  'lane_unknown',
  'lane_offline',
  'lane_paused',
  'lane_draining',
  'lane_at_capacity',
  'lane_mutations_none',
  'lane_human',
  'unassigned',
  'waiting_for_parents',
  'parent_cancelled',
  'scheduled',
  'cooling_down',
  'blocked',
  'in_triage',
  'in_review',
  'behind',
  'claimable',
  'finished',
] as const;
export type WhyCode = (typeof WHY_CODES)[number];

export const WhyReason = z
  .object({
    code: z.enum(WHY_CODES),
    detail: z.string().describe('For people; may be worded differently at any time.'),
    since: Timestamp.describe(
      'Of the task, when it came into this state. Of a lane or board, its last change or sign of life.',
    ),
    parents: z
      .array(TaskId)
      .optional()
      .describe('Of waiting_for_parents and parent_cancelled: which, the first hundred.'),
    until_at: Timestamp.optional().describe('Of scheduled and cooling_down.'),
    ahead: z
      .int()
      .optional()
      .describe('Of behind: how many tasks. Counted up to 1,000, in a list of many lanes less far.'),
  })
  .meta({ id: 'WhyReason' });
export type WhyReason = z.infer<typeof WhyReason>;

/** A task of a list. */
export const ListedTask = Task.extend({
  reasons: z
    .array(WhyReason)
    .optional()
    .describe('Why it is not running; only in lists that were asked to include it.'),
}).meta({ id: 'ListedTask' });
export type ListedTask = z.infer<typeof ListedTask>;

export const getWhy = defineRoute({
  operationId: 'getWhy',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/why',
  summary: 'Why the task is not running; no reasons while it is.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 200: z.object({ reasons: z.array(WhyReason) }) },
  problems: ['not_found'],
});
