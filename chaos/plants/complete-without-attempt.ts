/** A completion that asks neither which run nor which attempt holds the task: whoever held it once may end it. */
import type { Plant } from './plant.ts';

export const completeWithoutAttempt: Plant = {
  name: 'complete-without-attempt',
  properties: [2],
  patches: [
    {
      find: "t.id = operation.task_id AND t.attempt = operation.attempt AND t.status = 'running'",
      replace: "t.id = operation.task_id AND t.status = 'running'",
    },
    {
      find: 'c.task_id = held.task_id AND c.run_id = held.run_id AND c.attempt = held.attempt',
      replace: 'c.task_id = held.task_id',
    },
  ],
  sql: null,
};
