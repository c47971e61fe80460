/** How long a board keeps what is over. Null, the default: for ever. */
import { z } from 'zod';

/** What is kept for a time of its own. */
export const RETENTION_KINDS = [
  'events',
  'finished_tasks',
  'runs',
  'output',
  'deliveries',
  'messages',
] as const;
export type RetentionKind = (typeof RETENTION_KINDS)[number];

/** Ten years: whoever wants more wants it for ever. */
const RETENTION_SECONDS_MAX = 10 * 366 * 86_400;

const seconds = z.int().min(1).max(RETENTION_SECONDS_MAX).nullable();

const retentionShape = {
  events_seconds: seconds.describe(
    'Events of the log. A cursor before what was pruned is answered cursor_expired.',
  ),
  finished_tasks_seconds: seconds.describe(
    'Tasks that are done, cancelled or archived, since they have been, with their runs, comments, messages, output, links and subscriptions, ' +
      'unless something that goes on needs them. Each leaves task.deleted in the log, with pruned: true.',
  ),
  runs_seconds: seconds.describe(
    'Runs since their end, but for the latest of a task and the one whose work is under review.',
  ),
  output_seconds: seconds.describe('Output of tasks that nobody holds, since their last line.'),
  deliveries_seconds: seconds.describe('Deliveries since they were acknowledged or given up.'),
  messages_seconds: seconds.describe('Messages of sessions: what they were told.'),
};

export const Retention = z
  .object(retentionShape)
  .describe('How long what is over is kept; null: for ever.')
  .meta({ id: 'Retention' });
export type Retention = z.infer<typeof Retention>;

/** What is left out keeps its value. */
export const RetentionPatch = z.strictObject(retentionShape).partial();
export type RetentionPatch = z.infer<typeof RetentionPatch>;
