/** What the routes of tasks are bound with, and how they answer with a task. */
import type { Task } from '../../../../contract/tasks.ts';
import type { BroadReads } from '../../../db/broad-reads.ts';
import type { Wake } from '../../../db/wake.ts';
import type { Idempotency } from '../../../http/idempotency.ts';
import type { Why } from '../../attention/service.ts';
import type { BoardService } from '../../boards/service.ts';
import type { BoardFeeds } from '../../watch/service.ts';
import type { Linking, TaskCreation, TaskService } from '../service.ts';

export const CALLER = 'routes of tasks are not open';

export interface TaskRoutes {
  readonly tasks: TaskService;
  readonly linking: Linking;
  readonly creation: TaskCreation;
  readonly boards: BoardService;
  readonly feeds: BoardFeeds;
  readonly wake: Wake;
  readonly idempotency: Idempotency;
  readonly reads: BroadReads;
  readonly why: Why;
}

export const withTag = (status: number, task: Task) => ({
  status,
  body: { task },
  headers: { ETag: `"${task.version}"` },
});
