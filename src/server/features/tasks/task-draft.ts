/** What a request makes of a new task, before anything is written: defaults, and the status that it begins in. */
import type { CreateTaskBody } from '../../../contract/tasks.ts';
import type { Clock } from '../../kernel/clock.ts';
import { type IdSource, parseId } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { NewTask } from './store/create.ts';
import { givenParts } from './view.ts';

const DEFAULT_MAX_FAILURES = 2;

interface DraftParts {
  readonly ids: IdSource;
  readonly clock: Clock;
}

export function newTaskOf(
  parts: DraftParts,
  caller: Principal,
  body: CreateTaskBody,
  traceparent: string | null,
): NewTask {
  const run = caller.kind === 'claim' ? parseId('run', caller.runId) : null;
  return { ...draftOf(parts, actorOf(caller), body, traceparent), created_by_run: run };
}

export function draftOf(
  parts: DraftParts,
  actor: ActorRef,
  body: CreateTaskBody,
  traceparent: string | null,
): NewTask {
  const { status, runAt } = firstStatusOf(body, parts.clock);
  return {
    id: parts.ids.next(),
    title: body.title,
    body: body.body ?? null,
    status,
    lane: body.lane ?? null,
    priority: body.priority ?? 0,
    payload: body.payload ?? null,
    labels: body.labels ?? {},
    backoff: body.backoff ?? null,
    tenant: body.tenant ?? null,
    external_ref: body.external_ref ?? null,
    idempotency_key: body.idempotency_key ?? null,
    traceparent,
    max_failures: body.max_failures ?? DEFAULT_MAX_FAILURES,
    max_runtime_seconds: body.max_runtime_seconds ?? null,
    no_progress_seconds: body.no_progress_seconds ?? null,
    run_at: runAt,
    blocked_kind: status === 'blocked' ? 'operator' : null,
    actor,
    delegation_id: null,
    delegation_depth: 0,
    is_followed: false,
    is_system: false,
    origin: body.origin ? givenParts(body.origin) : null,
    created_by_run: null,
    unmet_parents: 0,
    parents: [],
  };
}

function firstStatusOf(
  body: CreateTaskBody,
  clock: Clock,
): { status: NewTask['status']; runAt: string | null } {
  const runAt = body.run_at ?? null;
  if (runAt !== null && body.status && body.status !== 'ready') {
    const errors = [{ pointer: '/run_at', detail: `not together with status ${body.status}` }];
    throw new ProblemError(
      'invalid_request',
      'A task that is scheduled becomes ready by itself; it cannot start in another status.',
      { errors },
    );
  }
  if (runAt !== null && Date.parse(runAt) > clock.now()) return { status: 'scheduled', runAt };
  return { status: body.status ?? 'ready', runAt: null };
}
