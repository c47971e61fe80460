/** Dependencies: a child waits for its parents. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { BoardName, LaneName, TaskId, TaskReference } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { TaskStatus } from './statuses.ts';
import { TaskParams, TaskResponse } from './tasks.ts';

const LinkParams = z.object({ board: BoardName, task: TaskReference, parent: TaskReference });

const link = {
  path: '/v1/boards/{board}/tasks/{task}/parents/{parent}',
  tag: 'tasks',
  access: 'authenticated',
  params: LinkParams,
  responses: { 200: TaskResponse },
} as const;

export const linkParent = defineRoute({
  ...link,
  operationId: 'linkParent',
  method: 'put',
  summary: 'Make a task wait for another one; a ready task goes back to todo unless the other is done.',
  problems: ['not_found', 'illegal_transition', 'dependency_cycle', 'claim_lost'],
});

export const unlinkParent = defineRoute({
  ...link,
  operationId: 'unlinkParent',
  method: 'delete',
  summary: 'Let a task wait for another one no longer; when it was the last one, the task goes on.',
  problems: ['not_found', 'claim_lost'],
});

export const TaskGraph = z
  .object({
    nodes: z.array(
      z.object({ id: TaskId, title: z.string(), status: TaskStatus, lane: LaneName.nullable() }),
    ),
    edges: z.array(
      z.object({
        parent: TaskId,
        child: TaskId,
        met: z.boolean().describe('The parent was done, and has not been reopened since.'),
      }),
    ),
    truncated: z
      .boolean()
      .describe(
        `There are more; the nearest are shown, at most ${LIMITS.graphTasksMax} tasks and ${LIMITS.graphLinksMax} links.`,
      ),
  })
  .meta({ id: 'TaskGraph' });
export type TaskGraph = z.infer<typeof TaskGraph>;

export const getGraph = defineRoute({
  operationId: 'getGraph',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/graph',
  summary: 'Everything the task waits for and everything that waits for it, however far.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 200: TaskGraph },
  problems: ['not_found'],
});
