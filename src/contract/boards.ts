/** Boards: the unit of isolation, ordering and sharding. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { BoardName, Cursor, LaneName, Timestamp } from './identifiers.ts';
import { Retention, RetentionPatch } from './retention.ts';
import { defineRoute } from './route.ts';
import { TASK_STATUSES } from './statuses.ts';
import { absent, NextPageToken, PageQuery } from './values.ts';

/** A month, as far as anybody plans. */
const STRANDED_AFTER_SECONDS_MAX = 86_400 * 30;

/** Not pinned: a fan-out of a hundred each is ten thousand tasks at once. */
const DELEGATION_CAPACITY_MAX = 100;

/** Settings take effect with the next claim; unnamed ones keep their value. */
const settingsShape = {
  paused: z.boolean().describe('Claims answer empty with reason board_paused.'),
  stranded_after_seconds: z
    .int()
    .min(1)
    .max(STRANDED_AFTER_SECONDS_MAX)
    .describe('A task that nobody has claimed this long after it became ready is stranded.'),
  delegation_capacity: z
    .int()
    .min(1)
    .max(DELEGATION_CAPACITY_MAX)
    .describe('Running delegations of one capacity key.'),
  synthesizer_lane: LaneName.nullable().describe('Whose workers make replies of outcomes; null: nobody.'),
  synthesize_platforms: z
    .array(z.string().min(1).max(LIMITS.originCharactersMax))
    .max(LIMITS.labelsMax)
    .describe('Where subscriptions are for a reply rather than for the plain text, unless they say so.'),
  default_owner: z.string().min(1).max(128).nullable().describe('Of deliveries that name none.'),
  retention: Retention,
};

export const BoardSettings = z.object(settingsShape).meta({ id: 'BoardSettings' });
export type BoardSettings = z.infer<typeof BoardSettings>;

const BoardSettingsPatch = z.strictObject({
  paused: absent(settingsShape.paused),
  stranded_after_seconds: absent(settingsShape.stranded_after_seconds),
  delegation_capacity: absent(settingsShape.delegation_capacity),
  synthesizer_lane: settingsShape.synthesizer_lane.optional().describe('null: nobody.'),
  synthesize_platforms: absent(settingsShape.synthesize_platforms),
  default_owner: settingsShape.default_owner.optional().describe('null: nobody.'),
  retention: absent(RetentionPatch).describe(
    'What is left out keeps its value; null, in a PATCH, is for ever, for one of them as for all.',
  ),
});

export const BoardCounts = z
  .object(
    Object.fromEntries(TASK_STATUSES.map((status) => [status, z.int()])) as Record<
      (typeof TASK_STATUSES)[number],
      z.ZodInt
    >,
  )
  .meta({ id: 'BoardCounts' });

export const Board = z
  .object({
    name: BoardName,
    title: z.string().nullable(),
    description: z.string().nullable(),
    settings: BoardSettings,
    counts: BoardCounts.describe('Tasks by status, exact as of cursor.'),
    cursor: Cursor,
    version: z.int(),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'Board' });
export type Board = z.infer<typeof Board>;

export const BoardParams = z.object({ board: BoardName });

const boardFields = {
  title: absent(z.string().min(1).max(200)),
  description: absent(z.string().max(4000)),
  settings: absent(BoardSettingsPatch),
};

export const putBoard = defineRoute({
  operationId: 'putBoard',
  method: 'put',
  path: '/v1/boards/{board}',
  summary: 'Create a board, or change the one that has this name.',
  tag: 'boards',
  access: 'authenticated',
  params: BoardParams,
  body: z.strictObject(boardFields),
  isBodyOptional: true,
  responses: { 200: z.object({ board: Board }), 201: z.object({ board: Board }) },
  problems: ['not_found'],
});

export const listBoards = defineRoute({
  operationId: 'listBoards',
  method: 'get',
  path: '/v1/boards',
  summary: 'List the boards the caller may see.',
  tag: 'boards',
  access: 'authenticated',
  query: PageQuery,
  responses: { 200: z.object({ boards: z.array(Board), next_page_token: NextPageToken }) },
  problems: ['invalid_cursor'],
});

export const getBoard = defineRoute({
  operationId: 'getBoard',
  method: 'get',
  path: '/v1/boards/{board}',
  summary: 'Read one board.',
  tag: 'boards',
  access: 'authenticated',
  params: BoardParams,
  responses: { 200: z.object({ board: Board }) },
  problems: ['not_found'],
});

export const patchBoard = defineRoute({
  operationId: 'patchBoard',
  method: 'patch',
  path: '/v1/boards/{board}',
  summary: 'Change a board; null clears a field.',
  tag: 'boards',
  access: 'authenticated',
  params: BoardParams,
  body: z.strictObject(boardFields),
  isConditional: true,
  responses: { 200: z.object({ board: Board }) },
  problems: ['not_found', 'version_mismatch'],
});

export const deleteBoard = defineRoute({
  operationId: 'deleteBoard',
  method: 'delete',
  path: '/v1/boards/{board}',
  summary: 'Delete a board with everything on it. The default board and a board with live claims stay.',
  tag: 'boards',
  access: 'authenticated',
  params: BoardParams,
  responses: { 204: null },
  problems: ['not_found', 'lane_has_claims'],
});

/** `/v1/boards/{board}/lanes/{lane}` */
export const LaneParams = z.object({ board: BoardName, lane: LaneName });
