/**
 * The one table of problem codes. Documentation pages, metrics and clients hang on these names: renaming one breaks the wire.
 * `retryable` says whether the same request may succeed later without being changed.
 */
import { z } from 'zod';

interface ProblemSpec {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

export const PROBLEMS = {
  invalid_request: { status: 400, title: 'The request is not valid', retryable: false },
  invalid_json: { status: 400, title: 'The body is not valid JSON', retryable: false },
  invalid_cursor: { status: 400, title: 'The cursor or page token is not valid here', retryable: false },
  unauthenticated: { status: 401, title: 'A valid credential is required', retryable: false },
  token_expired: { status: 401, title: 'The claim token has expired', retryable: false },
  forbidden: { status: 403, title: 'This principal may not do that', retryable: false },
  claim_token_required: { status: 403, title: 'Only the token of the claim may do that', retryable: false },
  not_your_claim: { status: 403, title: 'The claim token speaks for another run', retryable: false },
  origin_not_allowed: { status: 403, title: 'The Origin of the request is not allowed', retryable: false },
  lane_may_not_claim: { status: 403, title: 'This lane may not claim tasks', retryable: false },
  not_found: { status: 404, title: 'There is no such resource', retryable: false },
  lane_not_found: { status: 404, title: 'There is no such lane', retryable: false },
  method_not_allowed: { status: 405, title: 'The resource does not offer this method', retryable: false },
  already_exists: { status: 409, title: 'Another resource has that name', retryable: false },
  illegal_transition: {
    status: 409,
    title: 'The task cannot go from its status to that one',
    retryable: false,
  },
  dependency_cycle: { status: 409, title: 'The tasks would wait for each other', retryable: false },
  claim_lost: { status: 409, title: 'The claim is no longer held by this run', retryable: false },
  task_not_claimable: { status: 409, title: 'The task cannot be claimed now', retryable: true },
  claim_mode_mismatch: { status: 409, title: 'The lane is not claimed this way', retryable: false },
  delegation_capacity: { status: 409, title: 'As many delegations as allowed are running', retryable: true },
  lease_lost: { status: 409, title: 'The lease of the delivery is over', retryable: false },
  idempotency_in_flight: {
    status: 409,
    title: 'The first request with this key is still running',
    retryable: true,
  },
  lane_has_claims: { status: 409, title: 'The lane has live claims', retryable: true },
  version_mismatch: { status: 412, title: 'The resource has changed since it was read', retryable: false },
  payload_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'The body must be application/json', retryable: false },
  idempotency_mismatch: { status: 422, title: 'The key was used with another request', retryable: false },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  cursor_expired: { status: 410, title: 'The cursor is older than the retained log', retryable: false },
  internal: { status: 500, title: 'The server failed', retryable: false },
  database_unavailable: { status: 503, title: 'The database cannot be reached', retryable: true },
  draining: { status: 503, title: 'The server is shutting down', retryable: true },
} as const satisfies Record<string, ProblemSpec>;

export type ProblemCode = keyof typeof PROBLEMS;

export const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** The identifier of a problem code: an absolute URI that ends in the code and is also the address of its page. */
export function problemType(code: ProblemCode): string {
  return `https://lanekeeper.dev/errors/${code}`;
}

export const ProblemBody = z
  .looseObject({
    type: z.string().describe('Absolute URI ending in the code.'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('urn:uuid: and the request id.'),
    code: z.enum(PROBLEM_CODES as [ProblemCode, ...ProblemCode[]]),
    errors: z
      .array(z.object({ pointer: z.string(), detail: z.string() }))
      .optional()
      .describe('One entry per offending field, as JSON Pointers into the request.'),
  })
  .describe('RFC 9457 problem details.');
export type ProblemBody = z.infer<typeof ProblemBody>;
