/** What a holder may ask of its run, whoever carried it in: a route, a batch, or the server itself. Pure. */
import { createHash } from 'node:crypto';
import type {
  BlockBody,
  CompleteBody,
  FailBody,
  HeartbeatBody,
  ReleaseBody,
  RequestChangesBody,
} from '../../../../contract/runs.ts';
import { present } from '../../../kernel/assert.ts';
import { parseId } from '../../../kernel/ids.ts';
import type { ActorRef, ClaimPrincipal } from '../../../kernel/principal.ts';
import type { End } from '../../tasks/service.ts';
import type { HoldRef } from '../store/end.ts';

export interface RunEnd extends HoldRef {
  readonly end: End;
  readonly actor: ActorRef;
  /** Whose turn it takes among the ends that wait; empty: the server's own. */
  readonly lane: string;
  /** Verb and body, so that the same end is known again; null for the server's own. */
  readonly fingerprint: string | null;
  readonly summary: string | null;
  readonly result: unknown;
  readonly error: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export interface RunBeat extends HoldRef {
  readonly claim: ClaimPrincipal;
  readonly body: HeartbeatBody;
}

export function holdOf(claim: ClaimPrincipal): HoldRef {
  return {
    taskId: present(parseId('task', claim.taskId), 'a verified token names a task'),
    runId: present(parseId('run', claim.runId), 'a verified token names a run'),
    attempt: claim.attempt,
  };
}

export function actorOfHold(claim: ClaimPrincipal): ActorRef {
  return { type: 'claim', id: claim.runId };
}

function fingerprintOf(verb: End['verb'], body: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(body).filter(([, value]) => value !== null && value !== undefined);
  if (given.length > 0) return digestOf(verb, given);
  const known = EMPTY_FINGERPRINTS.get(verb) ?? digestOf(verb, []);
  EMPTY_FINGERPRINTS.set(verb, known);
  return known;
}

/** Most completions say nothing: one digest a verb is enough for them, and spares each 8 µs. */
const EMPTY_FINGERPRINTS = new Map<End['verb'], string>();

function digestOf(verb: End['verb'], given: readonly [string, unknown][]): string {
  const text = JSON.stringify(given.toSorted(([left], [right]) => (left < right ? -1 : 1)));
  return `${verb}:${createHash('sha256').update(text).digest('base64url')}`;
}

function endOf(
  claim: ClaimPrincipal,
  end: End,
  body: Readonly<Record<string, unknown>>,
  parts: Partial<Pick<RunEnd, 'summary' | 'result' | 'error' | 'metadata'>>,
): RunEnd {
  const { taskId, runId, attempt } = holdOf(claim);
  // Written out: put together by spreading, it cost ten times as much.
  return {
    taskId,
    runId,
    attempt,
    end,
    actor: actorOfHold(claim),
    lane: claim.lane,
    fingerprint: fingerprintOf(end.verb, body),
    summary: parts.summary ?? null,
    result: parts.result ?? null,
    error: parts.error ?? null,
    metadata: parts.metadata ?? null,
  };
}

/** As most do. */
const COMPLETE: End = { verb: 'complete' };

export function completeEnd(claim: ClaimPrincipal, body: CompleteBody): RunEnd {
  // Artifacts are part of what the run leaves behind; they ride with its metadata.
  const artifacts = body.artifacts ? { artifacts: body.artifacts } : null;
  const metadata = body.metadata || artifacts ? { ...body.metadata, ...artifacts } : null;
  const end: End = body.review
    ? { verb: 'complete', isForReview: true, reviewer: body.reviewer ?? null }
    : COMPLETE;
  return endOf(claim, end, body, {
    summary: body.summary ?? null,
    result: body.result ?? null,
    metadata,
  });
}

export function requestChangesEnd(claim: ClaimPrincipal, body: RequestChangesBody): RunEnd {
  const { reason, metadata } = body;
  return endOf(claim, { verb: 'request_changes', reason }, body, {
    error: reason,
    metadata: metadata ?? null,
  });
}

export function blockEnd(claim: ClaimPrincipal, body: BlockBody): RunEnd {
  return endOf(claim, { verb: 'block', kind: body.kind ?? null, reason: body.reason }, body, {
    error: body.reason,
    metadata: body.metadata ?? null,
  });
}

export function releaseEnd(claim: ClaimPrincipal, body: ReleaseBody): RunEnd {
  const end: End = { verb: 'release', delaySeconds: body.delay_seconds ?? null };
  return endOf(claim, end, body, { error: body.reason ?? null, metadata: body.metadata ?? null });
}

export function failEnd(claim: ClaimPrincipal, body: FailBody): RunEnd {
  const end: End = {
    verb: 'fail',
    kind: body.kind ?? 'error',
    error: body.error,
    retryAfterSeconds: body.retry_after_seconds ?? null,
    isPermanent: body.permanent ?? false,
  };
  return endOf(claim, end, body, { error: body.error, metadata: body.metadata ?? null });
}

/** The server gives back what it could not hand over, unless it was heard of all the same; not a failure. */
export function undeliveredEnd(hold: HoldRef, reason: string): RunEnd {
  return {
    ...hold,
    isUnheard: true,
    end: { verb: 'release', delaySeconds: null },
    actor: { type: 'system', id: 'delivery' },
    lane: '',
    fingerprint: null,
    summary: null,
    result: null,
    error: reason,
    metadata: null,
  };
}
