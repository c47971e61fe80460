/** A task as text: what a worker is to read before it begins, the same whichever way it is asked for. */
import { z } from 'zod';
import { defineRoute } from './route.ts';
import { TaskParams } from './tasks.ts';

export const getContext = defineRoute({
  operationId: 'getContext',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/context',
  summary:
    'The task and its handoff as text (Markdown), as a worker that claimed it would read them. Claims nothing, and tells nobody that its messages were read.',
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 200: z.object({ text: z.string() }) },
  problems: ['not_found'],
});
