/** Lanes: named, registered, long-lived consumers of work. */
import { z } from 'zod';
import { BoardParams, LaneParams } from './boards.ts';
import { LIMITS } from './constants.ts';
import { BoardName, LaneName, Timestamp } from './identifiers.ts';
import { Key } from './keys.ts';
import { defineRoute } from './route.ts';
import { CLAIM_MODES, LANE_KINDS, STATUS_MUTATIONS } from './statuses.ts';
import { absent, Labels, NextPageToken, PageQuery } from './values.ts';

export const LaneKind = z.enum(LANE_KINDS).meta({ id: 'LaneKind' });
export type LaneKind = z.infer<typeof LaneKind>;
export const ClaimMode = z.enum(CLAIM_MODES).meta({ id: 'ClaimMode' });
export type ClaimMode = z.infer<typeof ClaimMode>;
export const StatusMutations = z.enum(STATUS_MUTATIONS).meta({ id: 'StatusMutations' });
export type StatusMutations = z.infer<typeof StatusMutations>;

const LeaseSeconds = z.int().min(1).max(LIMITS.leaseSecondsMax);

const SpawnSettings = z
  .strictObject({
    argv: z.array(z.string().max(4096)).min(1).max(256),
    cwd: absent(z.string().min(1).max(4096)),
    env: absent(z.record(z.string().max(255), z.string().max(32_768))),
    concurrency: absent(z.int().min(1).max(1000)),
    timeout_seconds: absent(z.int().min(1).max(LIMITS.leaseSecondsMax)),
  })
  .meta({ id: 'SpawnSettings' });

export const Presence = z
  .object({
    online: z.boolean(),
    workers: z.array(
      z.object({
        worker: z.string(),
        last_seen_at: Timestamp,
        in_flight: z.int(),
        version: z.string().optional(),
        online: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Presence' });

export const Backlog = z
  .object({ ready: z.int(), running: z.int(), oldest_ready_at: Timestamp.nullable() })
  .meta({ id: 'Backlog' });

export const Lane = z
  .object({
    board: BoardName,
    name: LaneName,
    kind: LaneKind,
    claim_mode: ClaimMode,
    allowed_status_mutations: StatusMutations,
    max_concurrent_claims: z.int().nullable(),
    lease_seconds: z.int(),
    no_progress_seconds: z.int().nullable(),
    max_runtime_seconds: z.int().nullable(),
    paused: z.boolean(),
    draining: z.boolean(),
    epoch: z.int(),
    labels: z.record(z.string(), z.string()),
    description: z.string().nullable(),
    spawn: z
      .looseObject({
        argv: z.array(z.string()),
        cwd: z.string().nullish(),
        env: z.record(z.string(), z.string()).nullish(),
        concurrency: z.int().nullish(),
        timeout_seconds: z.int().nullish(),
      })
      .nullable()
      .describe('As it was given.'),
    version: z.int(),
    created_at: Timestamp,
    updated_at: Timestamp,
    presence: Presence,
    backlog: Backlog,
  })
  .meta({ id: 'Lane' });
export type Lane = z.infer<typeof Lane>;

const LaneBody = z.strictObject({
  kind: absent(LaneKind),
  claim_mode: absent(ClaimMode),
  allowed_status_mutations: absent(StatusMutations),
  max_concurrent_claims: absent(z.int().min(1).max(1_000_000)),
  lease_seconds: absent(LeaseSeconds),
  no_progress_seconds: absent(LeaseSeconds),
  max_runtime_seconds: absent(LeaseSeconds),
  labels: absent(Labels),
  description: absent(z.string().max(4000)),
  spawn: absent(SpawnSettings),
});
export type LaneBody = z.infer<typeof LaneBody>;

const laneResponse = z.object({ lane: Lane });

export const putLane = defineRoute({
  operationId: 'putLane',
  method: 'put',
  path: '/v1/boards/{board}/lanes/{lane}',
  summary: 'Register a lane, or change the one that has this name.',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  body: LaneBody,
  isBodyOptional: true,
  responses: { 200: laneResponse, 201: laneResponse },
  problems: ['not_found'],
});

export const listLanes = defineRoute({
  operationId: 'listLanes',
  method: 'get',
  path: '/v1/boards/{board}/lanes',
  summary: 'List the lanes of a board with presence and backlog.',
  tag: 'lanes',
  access: 'authenticated',
  params: BoardParams,
  query: PageQuery,
  responses: { 200: z.object({ lanes: z.array(Lane), next_page_token: NextPageToken }) },
  problems: ['not_found', 'invalid_cursor'],
});

export const getLane = defineRoute({
  operationId: 'getLane',
  method: 'get',
  path: '/v1/boards/{board}/lanes/{lane}',
  summary: 'Read one lane with presence and backlog.',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  responses: { 200: laneResponse },
  problems: ['not_found', 'lane_not_found'],
});

export const patchLane = defineRoute({
  operationId: 'patchLane',
  method: 'patch',
  path: '/v1/boards/{board}/lanes/{lane}',
  summary: 'Change a lane; null clears a field or sets it back to its default.',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  body: LaneBody,
  isConditional: true,
  responses: { 200: laneResponse },
  problems: ['not_found', 'lane_not_found', 'version_mismatch'],
});

export const deleteLane = defineRoute({
  operationId: 'deleteLane',
  method: 'delete',
  path: '/v1/boards/{board}/lanes/{lane}',
  summary: 'Deregister a lane that holds no claims, and revoke its keys. Its tasks stay and wait.',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  responses: { 204: null },
  problems: ['not_found', 'lane_not_found', 'lane_has_claims'],
});

const laneSwitch = {
  method: 'post',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  body: z.strictObject({}),
  isBodyOptional: true,
  responses: { 200: laneResponse },
  problems: ['not_found', 'lane_not_found'],
} as const;

export const pauseLane = defineRoute({
  ...laneSwitch,
  operationId: 'pauseLane',
  path: '/v1/boards/{board}/lanes/{lane}/pause',
  summary: 'Stop handing out work to the lane; claims that are held go on.',
});

export const resumeLane = defineRoute({
  ...laneSwitch,
  operationId: 'resumeLane',
  path: '/v1/boards/{board}/lanes/{lane}/resume',
  summary: 'End a pause or a drain.',
});

export const drainLane = defineRoute({
  ...laneSwitch,
  operationId: 'drainLane',
  path: '/v1/boards/{board}/lanes/{lane}/drain',
  summary: 'Hand out no more work; the lane is paused when its last claim ends.',
});

export const createLaneKey = defineRoute({
  operationId: 'createLaneKey',
  method: 'post',
  path: '/v1/boards/{board}/lanes/{lane}/keys',
  summary: 'Issue a key bound to this lane. The secret is shown this once.',
  tag: 'lanes',
  access: 'authenticated',
  params: LaneParams,
  body: z.strictObject({
    name: absent(z.string().min(1).max(128)),
    expires_at: absent(Timestamp),
    mcp_aliases: absent(z.boolean()).describe('Default false.'),
  }),
  isBodyOptional: true,
  isIdempotent: true,
  responses: { 201: z.object({ key: Key, secret: z.string().optional() }) },
  problems: ['not_found', 'lane_not_found', 'idempotency_in_flight', 'idempotency_mismatch'],
});
