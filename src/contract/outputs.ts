/** Output: what a worker prints, the last lines of each task. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { RunId, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { TaskParams } from './tasks.ts';

export const OutputLine = z
  .object({
    number: z.int().describe('Rises by one with every line of the task.'),
    run_id: RunId,
    at: Timestamp,
    text: z.string(),
  })
  .meta({ id: 'OutputLine' });
export type OutputLine = z.infer<typeof OutputLine>;

export const OutputBody = z.strictObject({
  lines: z
    .array(z.string().max(LIMITS.outputLineReceivedCharactersMax))
    .min(1)
    .max(LIMITS.outputLinesReceivedMax)
    .describe(
      `The last ${LIMITS.outputLinesKept} lines of a task are kept, of each its first ${LIMITS.outputLineCharactersKept} characters.`,
    ),
});
export type OutputBody = z.infer<typeof OutputBody>;

export const OutputReply = z
  .object({ accepted: z.int().describe('Lines taken: all that were sent.') })
  .meta({ id: 'OutputReply' });
export type OutputReply = z.infer<typeof OutputReply>;

export const listOutput = defineRoute({
  operationId: 'listOutput',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/output',
  summary: `The last ${LIMITS.outputLinesKept} lines that workers of the task printed, oldest first.`,
  tag: 'tasks',
  access: 'authenticated',
  params: TaskParams,
  responses: { 200: z.object({ lines: z.array(OutputLine) }) },
  problems: ['not_found'],
});
