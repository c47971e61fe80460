/** API keys and the caller's own identity. */
import { z } from 'zod';
import { BoardName, KeyId, LaneName, RunId, TaskId, Timestamp } from './identifiers.ts';
import { defineRoute } from './route.ts';
import { Role } from './statuses.ts';
import { absent, NextPageToken, PageQuery } from './values.ts';

/** "*" is every board. */
export const KeyBoards = z
  .array(z.union([BoardName, z.literal('*')]))
  .min(1)
  .max(100);

export const Key = z
  .object({
    id: KeyId,
    role: Role,
    name: z.string(),
    boards: z.array(z.string()).describe('Names of boards, or ["*"] for all.'),
    lane: LaneName.nullable(),
    owner: z.string().nullable().describe('The delivery owner this key is bound to.'),
    mcp_aliases: z
      .boolean()
      .describe('Whether /mcp also lists its tools under the alias names of docs/mcp.md.'),
    session: z.boolean().describe('Made by a sign-in: it may sign itself out.'),
    created_at: Timestamp,
    expires_at: Timestamp.nullable(),
    last_used_at: Timestamp.nullable().describe('Exact to a minute.'),
  })
  .meta({ id: 'Key' });
export type Key = z.infer<typeof Key>;

export const createKey = defineRoute({
  operationId: 'createKey',
  method: 'post',
  path: '/v1/keys',
  summary: 'Issue an API key. The secret is shown this once; nobody grants more than they have.',
  tag: 'keys',
  access: 'authenticated',
  body: z.strictObject({
    role: Role,
    name: z.string().min(1).max(128),
    boards: absent(KeyBoards),
    board: absent(BoardName),
    lane: absent(LaneName),
    owner: absent(z.string().min(1).max(128)),
    expires_at: absent(Timestamp),
    mcp_aliases: absent(z.boolean()).describe('Default false.'),
  }),
  isIdempotent: true,
  responses: {
    201: z.object({ key: Key, secret: z.string().optional().describe('Left out of a replayed answer.') }),
  },
  problems: ['not_found', 'lane_not_found', 'idempotency_in_flight', 'idempotency_mismatch'],
});

export const listKeys = defineRoute({
  operationId: 'listKeys',
  method: 'get',
  path: '/v1/keys',
  summary: 'List the live keys within the boards of the caller.',
  tag: 'keys',
  access: 'authenticated',
  query: PageQuery,
  responses: { 200: z.object({ keys: z.array(Key), next_page_token: NextPageToken }) },
  problems: ['invalid_cursor'],
});

export const deleteKey = defineRoute({
  operationId: 'deleteKey',
  method: 'delete',
  path: '/v1/keys/{key}',
  summary: 'Revoke a key: refused by every server within a second.',
  tag: 'keys',
  access: 'authenticated',
  params: z.object({ key: KeyId }),
  responses: { 204: null },
  problems: ['not_found'],
});

export const rotateSigningKey = defineRoute({
  operationId: 'rotateSigningKey',
  method: 'post',
  path: '/v1/signing-keys/rotate',
  summary: 'Publish a new signing key for claim tokens; it signs once verifiers have had time to fetch it.',
  tag: 'keys',
  access: 'authenticated',
  body: z.strictObject({}),
  isBodyOptional: true,
  responses: { 200: z.object({ signing_key: z.object({ kid: z.string(), signs_at: Timestamp }) }) },
  problems: [],
});

export const Principal = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('key'), key: Key }),
    z.object({
      type: z.literal('claim'),
      run_id: RunId,
      task_id: TaskId,
      board: BoardName,
      lane: LaneName,
      worker: z.string(),
      attempt: z.int(),
      scope: z.array(z.string()),
      expires_at: Timestamp,
    }),
  ])
  .meta({ id: 'Principal' });

export const whoami = defineRoute({
  operationId: 'whoami',
  method: 'get',
  path: '/v1/whoami',
  summary: 'Say who the credential speaks for.',
  tag: 'keys',
  access: 'authenticated',
  responses: {
    200: z.object({
      principal: Principal,
      at: Timestamp.describe('Now, by the clock that leases and tokens are judged by.'),
    }),
  },
  problems: [],
});
