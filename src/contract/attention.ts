/** What on a board waits for a person, and what that person can do about it. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LaneName, TaskId, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { TaskStatus } from './statuses.ts';

export const ATTENTION_CODES = [
  'blocked',
  'gave_up',
  'stranded',
  'lane_offline',
  'lease_lapsing',
  'review_waiting',
  'in_triage',
] as const;
export type AttentionCode = (typeof ATTENTION_CODES)[number];

/** Verbs of tasks as their paths and commands have them; `work` and `dispatch` are the commands that serve a lane. */
export const ATTENTION_ACTIONS = [
  'accept',
  'assign',
  'cancel',
  'complete',
  'dispatch',
  'promote',
  'reclaim',
  'register',
  'request-changes',
  'resume',
  'steer',
  'unblock',
  'work',
] as const;
export type AttentionAction = (typeof ATTENTION_ACTIONS)[number];

export const AttentionEntry = z
  .object({
    task: z
      .object({
        id: TaskId,
        title: z.string(),
        status: TaskStatus,
        lane: LaneName.nullable(),
        priority: z.int(),
        version: z.int(),
      })
      .optional()
      .describe('What it is about, unless it is about a lane.'),
    lane: LaneName.optional().describe('What it is about, unless it is about a task.'),
    code: z.enum(ATTENTION_CODES),
    since: Timestamp,
    detail: z.string().describe('For people; may be worded differently at any time.'),
    actions: z.array(z.enum(ATTENTION_ACTIONS)).describe('What resolves it, the most likely first.'),
  })
  .meta({ id: 'AttentionEntry' });
export type AttentionEntry = z.infer<typeof AttentionEntry>;

export const getAttention = defineRoute({
  operationId: 'getAttention',
  method: 'get',
  path: '/v1/boards/{board}/attention',
  summary: 'What waits for a person, oldest first, with the actions that resolve it.',
  tag: 'boards',
  access: 'authenticated',
  params: BoardParams,
  responses: {
    200: z.object({
      attention: z.array(AttentionEntry).describe('At most 200.'),
      truncated: z.boolean().describe('There is more than this.'),
    }),
  },
  problems: ['not_found'],
});
