/**
 * Status and retryability of every problem code, for errors that arrive in frames and batches without them. The
 * compiler keeps each cell equal to the contract's table, which itself would load the schema library.
 */
import type { PROBLEMS, ProblemCode } from '../contract/problems.ts';

type CodeFacts = {
  readonly [Code in ProblemCode]: {
    readonly status: (typeof PROBLEMS)[Code]['status'];
    readonly retryable: (typeof PROBLEMS)[Code]['retryable'];
  };
};

const CODE_FACTS: CodeFacts = {
  invalid_request: { status: 400, retryable: false },
  invalid_json: { status: 400, retryable: false },
  invalid_cursor: { status: 400, retryable: false },
  unauthenticated: { status: 401, retryable: false },
  token_expired: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  claim_token_required: { status: 403, retryable: false },
  not_your_claim: { status: 403, retryable: false },
  lane_may_not_claim: { status: 403, retryable: false },
  origin_not_allowed: { status: 403, retryable: false },
  not_found: { status: 404, retryable: false },
  lane_not_found: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  already_exists: { status: 409, retryable: false },
  illegal_transition: { status: 409, retryable: false },
  dependency_cycle: { status: 409, retryable: false },
  claim_lost: { status: 409, retryable: false },
  task_not_claimable: { status: 409, retryable: true },
  claim_mode_mismatch: { status: 409, retryable: false },
  delegation_capacity: { status: 409, retryable: true },
  lease_lost: { status: 409, retryable: false },
  idempotency_in_flight: { status: 409, retryable: true },
  lane_has_claims: { status: 409, retryable: true },
  version_mismatch: { status: 412, retryable: false },
  payload_too_large: { status: 413, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  idempotency_mismatch: { status: 422, retryable: false },
  rate_limited: { status: 429, retryable: true },
  cursor_expired: { status: 410, retryable: false },
  internal: { status: 500, retryable: false },
  database_unavailable: { status: 503, retryable: true },
  draining: { status: 503, retryable: true },
};

interface Facts {
  readonly status: number;
  readonly retryable: boolean;
}

/** Nothing for a code that only a newer server knows. */
export function factsOfCode(code: string): Facts | undefined {
  const table: Readonly<Record<string, Facts>> = CODE_FACTS;
  return Object.hasOwn(table, code) ? table[code] : undefined;
}
