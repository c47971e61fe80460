/**
 * Taking tasks over from another board, with what became of them there. Generic on purpose: what is particular to where they come from is
 * the client's to translate (lanekeeper import).
 */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import { ExternalRef, LaneName, Timestamp } from './identifiers.ts';
import { LaneKind } from './lanes.ts';
import { defineRoute } from './route.ts';
import { BlockKind, Outcome, TaskStatus } from './statuses.ts';
import { CommentBody, CreateTaskBody } from './tasks.ts';
import { absent, JsonValue, Metadata, Reason, Summary } from './values.ts';

/** What a task may be taken over as. Nobody here holds it, so not running; and todo follows from its parents. */
const IMPORTED_STATUSES = ['triage', 'scheduled', 'ready', 'blocked', 'review', 'done', 'archived'] as const;

/** Whoever it was there; kept as `import:<name>`. */
const ForeignName = z.string().min(1).max(200);

const ImportedRun = z
  .strictObject({
    outcome: Outcome,
    lane: absent(LaneName),
    worker: absent(ForeignName),
    started_at: Timestamp,
    ended_at: absent(Timestamp).describe('Absent: it was open, and ends with the import.'),
    summary: absent(Summary),
    result: absent(JsonValue),
    metadata: absent(Metadata),
    error: absent(Reason),
  })
  .meta({ id: 'ImportedRun' });

const ImportedComment = z
  .strictObject({ body: CommentBody, author: ForeignName, at: Timestamp })
  .meta({ id: 'ImportedComment' });

export const ImportedTask = CreateTaskBody.omit({ run_at: true, status: true, parents: true })
  .extend({
    external_ref: ExternalRef.describe(
      'What it was called there. A task that the board has already is left alone.',
    ),
    status: z
      .enum(IMPORTED_STATUSES)
      .describe('ready becomes todo when a parent is not done; review takes at least one run.'),
    run_at: absent(Timestamp).describe('With status scheduled, and only there.'),
    created_at: Timestamp,
    finished_at: absent(Timestamp).describe('Of what is done or archived.'),
    consecutive_failures: absent(z.int().min(0).max(1000)),
    blocked: absent(z.strictObject({ kind: absent(BlockKind), reason: absent(Reason) })).describe(
      'With status blocked, and only there.',
    ),
    block_streak: absent(
      z.strictObject({ length: z.int().min(0).max(1000), kind: absent(BlockKind) }),
    ).describe('How often in a row it was blocked with the same kind.'),
    reviewer: absent(LaneName).describe('With status review: the lane that may claim it.'),
    runs: z.array(ImportedRun).max(LIMITS.importedRunsMax).describe('First attempt first.'),
    comments: z.array(ImportedComment).max(LIMITS.importedCommentsMax).describe('Oldest first.'),
    parents: z
      .array(ExternalRef)
      .max(LIMITS.parentsMax)
      .describe('By external_ref: tasks of the board, or earlier ones of this request.'),
  })
  .meta({ id: 'ImportedTask' });
export type ImportedTask = z.infer<typeof ImportedTask>;

export const IMPORT_NOTES = ['idempotency_key_taken', 'parent_unknown', 'parent_full'] as const;
export type ImportNote = (typeof IMPORT_NOTES)[number];

const ImportResult = z
  .object({
    external_ref: z.string(),
    created: z.boolean().describe('false: the board had it already, and it was left alone.'),
    status: TaskStatus,
    satisfied: z.boolean().describe('Those that wait for it need not wait any longer.'),
    links: z.int().describe('To its parents, made with it.'),
    notes: z.array(z.enum(IMPORT_NOTES)).describe('What was left out, each as often as it was.'),
  })
  .meta({ id: 'ImportResult' });
export type ImportResult = z.infer<typeof ImportResult>;

export const importTasks = defineRoute({
  operationId: 'importTasks',
  method: 'post',
  path: '/v1/boards/{board}/import',
  summary:
    'Take tasks over from another board with their runs and comments, all or none; what the board has by external_ref is left alone.',
  tag: 'tasks',
  access: 'authenticated',
  params: BoardParams,
  body: z.strictObject({
    dry_run: absent(z.boolean()).describe('Answer as if, and write nothing.'),
    lanes: absent(
      z.array(z.strictObject({ name: LaneName, kind: LaneKind })).max(LIMITS.batchTasksMax),
    ).describe('Registered where the board has none of that name.'),
    tasks: z.array(ImportedTask).max(LIMITS.batchTasksMax),
    assumed: absent(
      z
        .array(z.strictObject({ external_ref: ExternalRef, satisfied: z.boolean() }))
        .max(LIMITS.batchTasksMax * LIMITS.parentsMax),
    ).describe('Of a dry run, and of no other: parents that an earlier request would have made.'),
  }),
  bodyBytesMax: LIMITS.batchBodyBytesMax,
  responses: {
    200: z.object({
      lanes: z.array(LaneName).describe('Those that are new.'),
      tasks: z.array(ImportResult).describe('In the order of the request.'),
    }),
  },
  problems: ['not_found'],
});
