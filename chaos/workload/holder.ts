/** Writes under a claim, each recorded: over HTTP with the claim's token, or as frames on the socket that it was pushed to. */
import type { Outcome } from '../../src/contract/statuses.ts';
import type { RecordedClaim, RunOperation } from '../history.ts';
import type { Recorder } from '../recorder.ts';
import { type Body, type CallAnswer, call, endOf } from './call.ts';

export interface HeldClaim {
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly token: string | null;
  readonly leaseExpiresAt: string;
  /** What it holds is somebody's work to look at. */
  readonly isReview: boolean;
  /** It is to end on the stroke of a clock that all share. */
  readonly isChiming: boolean;
  /** Somebody has made it for his own task, and waits until it is held. */
  readonly isHelper: boolean;
}

export type WriteKind = RunOperation['kind'];
/** Answers how it ended for us. */
export type Write = (kind: WriteKind, body: Body, signal?: AbortSignal) => Promise<CallAnswer>;

export function readClaims(body: Body): HeldClaim[] {
  const { claims } = body;
  return Array.isArray(claims) ? claims.map(readClaim) : [];
}

export function readClaim(claim: unknown): HeldClaim {
  const { run_id, attempt, token, lease_expires_at, task } = claim as {
    run_id: string;
    attempt: number;
    token?: string;
    lease_expires_at: string;
    task: {
      id: string;
      reviewer?: string | null;
      payload?: { chime?: boolean; helper?: boolean } | null;
    };
  };
  return {
    taskId: task.id,
    runId: run_id,
    attempt,
    token: token ?? null,
    leaseExpiresAt: lease_expires_at,
    isReview: (task.reviewer ?? null) !== null,
    isChiming: task.payload?.chime === true,
    isHelper: task.payload?.helper === true,
  };
}

export function recordedClaim({ taskId, runId, attempt, leaseExpiresAt }: HeldClaim): RecordedClaim {
  return { taskId, runId, attempt, leaseExpiresAt };
}

/** In a path and as the type of a frame. */
export function wireNameOf(kind: WriteKind): string {
  return kind.replace('_', '-');
}

/** Any server will do: the row decides. */
export function writeOverHttp(recorder: Recorder, claim: HeldClaim, chooseUrl: () => string): Write {
  let token = claim.token ?? '';
  return recorded(recorder, claim, async (kind, body, signal) => {
    const verb = kind === 'ack' ? 'messages/ack' : wireNameOf(kind);
    const answer = await call({
      url: chooseUrl(),
      method: 'POST',
      path: `/v1/runs/${claim.runId}/${verb}`,
      key: token,
      body,
      ...(signal === undefined ? {} : { signal }),
    });
    const { token: fresh } = answer.body;
    if (answer.ending === 'ok' && typeof fresh === 'string') token = fresh;
    return answer;
  });
}

export function recorded(recorder: Recorder, claim: HeldClaim, write: Write): Write {
  return async (kind, body, signal) => {
    const { taskId, runId, attempt } = claim;
    const end = recorder.begin({ kind, taskId, runId, attempt });
    const answer = await write(kind, body, signal);
    const run = answer.ending === 'ok' ? endedRunOf(answer.body) : {};
    const { lease_expires_at: leaseExpiresAt } = answer.body;
    end({
      ...endOf(answer),
      ...run,
      ...(typeof leaseExpiresAt === 'string' ? { leaseExpiresAt } : {}),
    });
    return answer;
  };
}

function endedRunOf(body: Body): { outcome?: Outcome; runEndedAt?: string } {
  const { run } = body as { run?: { outcome?: Outcome | null; ended_at?: string | null } };
  return {
    ...(run?.outcome == null ? {} : { outcome: run.outcome }),
    ...(run?.ended_at == null ? {} : { runEndedAt: run.ended_at }),
  };
}
