/** The fields of a lane that its owner sets: their defaults, and what fits together. */
import type { LaneBody } from '../../../contract/lanes.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { LaneFields, LaneRow } from './store/lane.ts';

export const DEFAULTS: LaneFields = {
  kind: 'persistent',
  claim_mode: 'pull-or-watch',
  allowed_status_mutations: 'own-claimed-only',
  max_concurrent_claims: null,
  lease_seconds: 900,
  no_progress_seconds: null,
  max_runtime_seconds: null,
  labels: {},
  description: null,
  spawn: null,
};
export function fieldsOf(row: LaneRow): LaneFields {
  return {
    kind: row.kind,
    claim_mode: row.claim_mode,
    allowed_status_mutations: row.allowed_status_mutations,
    max_concurrent_claims: row.max_concurrent_claims,
    lease_seconds: row.lease_seconds,
    no_progress_seconds: row.no_progress_seconds,
    max_runtime_seconds: row.max_runtime_seconds,
    labels: row.labels,
    description: row.description,
    spawn: row.spawn,
  };
}

export function checked(fields: LaneFields): LaneFields {
  if (fields.spawn !== null && fields.kind !== 'spawn') {
    const errors = [{ pointer: '/spawn', detail: 'only with kind spawn' }];
    throw new ProblemError(
      'invalid_request',
      'Only a lane of kind spawn has spawn settings; persistent and human lanes are never spawned.',
      { errors },
    );
  }
  return fields;
}

/** In a PUT null means absent. */
export function withoutNulls(body: LaneBody): Partial<LaneFields> {
  return Object.fromEntries(
    Object.entries(body).filter(([, value]) => value !== null && value !== undefined),
  );
}
