/**
 * The audit log: who did what to the installation and its boards, from where, and who was refused. One log for all boards, with numbers
 * that have no gap, but where a restore says so: what is missing shows. What workers do with their claims is no part of it: that is in the
 * boards' own logs.
 */
import { z } from 'zod';
import { BoardName, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { LogLimitParameter, WordsParameter } from './values.ts';

export const AUDIT_ACTIONS = [
  'key.created',
  'key.revoked',
  'signing_key.rotated',
  'sign_in.code_created',
  'sign_in.succeeded',
  'sign_in.ended',
  'board.created',
  'board.changed',
  'board.deleted',
  'lane.registered',
  'lane.changed',
  'lane.deleted',
  'lane.paused',
  'lane.resumed',
  'lane.drained',
  'lane.taken_over',
  'task.cancelled',
  'task.completed',
  'task.deleted',
  'task.reclaimed',
  'task.assigned',
  'task.unblocked',
  'task.archived',
  'task.reopened',
  'task.accepted',
  'task.changes_requested',
  'tasks.imported',
  'operation.started',
  'operation.stopped',
  'delegation.cancelled',
  'delegations.cancelled',
  'subscription.put',
  'subscription.deleted',
  'delivery.retried',
  'database.restored',
  'credential.refused',
  'access.refused',
] as const;
export const AuditAction = z.enum(AUDIT_ACTIONS).meta({ id: 'AuditAction' });
export type AuditAction = z.infer<typeof AuditAction>;

/** anonymous: whoever has no good credential, and who signs in. */
export const AUDIT_ACTOR_TYPES = ['key', 'claim', 'system', 'anonymous'] as const;

export const AuditEntry = z
  .object({
    seq: z
      .int()
      .describe(
        'Dense over all boards: 1, 2, 3, … in commit order. After a restore of the database they go on far above all that were given out, with an entry ' +
          '`database.restored` whose `data.last_seq` is the number before it.',
      ),
    at: Timestamp,
    action: AuditAction,
    actor: z.object({
      type: z.enum(AUDIT_ACTOR_TYPES),
      id: z.string().nullable().describe('key_… or run_…; of the server itself, what it was doing.'),
      name: z.string().nullable().describe('Of the key, as it was called then.'),
    }),
    board: BoardName.nullable(),
    subject: z.string().nullable().describe('What it was done to: an id or a name.'),
    outcome: z.enum(['done', 'refused']),
    code: z.string().nullable().describe('Of a refusal, the code of the problem.'),
    count: z.int().describe('How many alike this entry stands for; more than 1 only of refusals.'),
    address: z.string().nullable().describe('Of the client, as far as it is known.'),
    request_id: z
      .string()
      .nullable()
      .describe('As in X-Request-Id and in the log; of several refusals, the first.'),
    data: z.record(z.string(), z.json()).describe('Details, never a secret or a content.'),
  })
  .meta({ id: 'AuditEntry' });
export type AuditEntry = z.infer<typeof AuditEntry>;

/** A number of an entry, which is its place. */
const Place = z.string().min(1).max(16);

export const listAudit = defineRoute({
  operationId: 'listAudit',
  method: 'get',
  path: '/v1/audit',
  summary:
    'Read the audit log after an entry, oldest first, or back from one. With a key for every board: all of it; else what concerns the boards of the key.',
  tag: 'audit',
  access: 'authenticated',
  query: z.strictObject({
    after: Place.optional().describe(
      'The number of an entry, or "start" (the default): the oldest that is kept.',
    ),
    before: Place.optional().describe('Instead: back from an entry, newest first; "now" is the end.'),
    limit: LogLimitParameter,
    since: Timestamp.optional(),
    until: Timestamp.optional(),
    actors: WordsParameter.optional().describe('Comma-separated ids of keys and runs.'),
    actions: WordsParameter.optional().describe('Comma-separated actions; "key.*" stands for all of keys.'),
    boards: WordsParameter.optional().describe('Comma-separated names of boards.'),
  }),
  responses: {
    200: z.object({
      entries: z.array(AuditEntry),
      cursor: z.string().describe('Where to go on from: the number of the last entry that was looked at.'),
      has_more: z.boolean().describe('There was more beyond the page when it was read.'),
    }),
  },
  problems: ['not_found', 'invalid_cursor', 'cursor_expired'],
});
