/** The gap-free log of a board: read, long-polled, and the snapshot to start watching from. */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { BoardName, Cursor, DelegationId, LaneName, RunId, TaskId, Timestamp } from './identifiers.ts';
import { Lane } from './lanes.ts';
import { defineRoute } from './route.ts';
import { EventKind } from './statuses.ts';
import { Task, TaskParams } from './tasks.ts';
import { Actor, LogLimitParameter, WordsParameter } from './values.ts';

export const Event = z
  .object({
    cursor: Cursor,
    seq: z.int().describe('Dense per board: 1, 2, 3, … in commit order.'),
    board: BoardName,
    kind: EventKind,
    at: Timestamp,
    task_id: TaskId.optional(),
    run_id: RunId.optional(),
    lane: LaneName.optional(),
    worker: z.string().optional(),
    attempt: z.int().optional(),
    task_version: z.int().optional(),
    delegation_id: DelegationId.optional(),
    actor: Actor,
    data: z.record(z.string(), z.json()),
  })
  .meta({ id: 'Event' });
export type Event = z.infer<typeof Event>;

/** "start" is the oldest retained event, "now" the end. */
const After = Cursor.optional().describe('A cursor, "start" (the default), or "now".');

export const listEvents = defineRoute({
  operationId: 'listEvents',
  method: 'get',
  path: '/v1/boards/{board}/events',
  summary:
    'Read the log after a cursor, or back from one; with Prefer: wait, until something matches; as text/event-stream, without an end.',
  tag: 'events',
  access: 'authenticated',
  params: BoardParams,
  query: z.strictObject({
    after: After,
    before: Cursor.optional().describe(
      'Instead of "after": back from a cursor, the newest event first; "now" is the end. The answer has the cursor to go further back from. Does not wait.',
    ),
    limit: LogLimitParameter,
    kinds: WordsParameter.optional().describe(
      'Comma-separated event kinds; "task.*" stands for all of tasks.',
    ),
    lanes: WordsParameter.optional().describe('Comma-separated names of lanes.'),
    tasks: WordsParameter.optional().describe(
      'Comma-separated ids of tasks (task_…); an external_ref is refused.',
    ),
  }),
  isWaitable: true,
  serverSentEvents: Event,
  responses: { 200: z.object({ events: z.array(Event), cursor: Cursor }) },
  problems: ['not_found', 'invalid_cursor', 'cursor_expired'],
});

export const listTaskEvents = defineRoute({
  operationId: 'listTaskEvents',
  method: 'get',
  path: '/v1/boards/{board}/tasks/{task}/events',
  summary: 'Read the events of one task, oldest first.',
  tag: 'events',
  access: 'authenticated',
  params: TaskParams,
  query: z.strictObject({ after: After, limit: LogLimitParameter }),
  responses: { 200: z.object({ events: z.array(Event), cursor: Cursor }) },
  problems: ['not_found', 'invalid_cursor', 'cursor_expired'],
});

export const getSnapshot = defineRoute({
  operationId: 'getSnapshot',
  method: 'get',
  path: '/v1/boards/{board}/snapshot',
  summary: 'Unfinished tasks and lanes of one instant, with the cursor to watch from.',
  tag: 'events',
  access: 'authenticated',
  params: BoardParams,
  responses: {
    200: z.object({ tasks: z.array(Task), lanes: z.array(Lane), cursor: Cursor, truncated: z.boolean() }),
  },
  problems: ['not_found'],
});
