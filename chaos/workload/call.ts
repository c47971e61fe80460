/** One HTTP request, and what its answer says about its effect. Never repeats anything by itself: that is for the load to decide. */
import type { Ending } from '../history.ts';
import type { OperationEnd } from '../recorder.ts';

export interface CallRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly key: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Hangs up. */
  readonly signal?: AbortSignal;
}

export interface CallAnswer {
  readonly ending: Ending;
  /** null: no answer. */
  readonly status: number | null;
  readonly body: Body;
  readonly code?: string;
  readonly reason?: string;
  readonly isReplay: boolean;
  /** The server that was asked. */
  readonly via?: string;
}

/** Read loosely: it comes from a system under fire. */
export type Body = Readonly<Record<string, unknown>>;

/** Above everything that the server waits for by itself (8 s), so that an answer, if any, is heard. */
const TIMEOUT_MS = 10_000;
/** Refused before anything was done, whatever the server's state. */
const REFUSED_MIN = 400;
const FAILED_MIN = 500;

export async function call(request: CallRequest): Promise<CallAnswer> {
  const timeout = AbortSignal.timeout(request.timeoutMs ?? TIMEOUT_MS);
  try {
    const response = await fetch(request.url + request.path, {
      method: request.method,
      headers: {
        Authorization: `Bearer ${request.key}`,
        ...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      signal: request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]),
    });
    const body = (await response.json()) as Body;
    const isReplay = response.headers.get('Idempotent-Replayed') === 'true';
    return { ...answerOf(response.status, body, isReplay), via: request.url };
  } catch {
    // Refused, cut, timed out, or hung up by us: nobody knows what became of it.
    return { ending: 'unknown', status: null, body: {}, isReplay: false, via: request.url };
  }
}

function answerOf(status: number, body: Body, isReplay: boolean): CallAnswer {
  return { ending: endingOf(status), status, body, isReplay, ...problemOf(body) };
}

function endingOf(status: number): Ending {
  if (status < REFUSED_MIN) return 'ok';
  return status < FAILED_MIN ? 'fail' : 'unknown';
}

/** How it ended, as the history has it: of a problem its code, and of a lost claim the reason. */
export function endOf({ ending, code, reason, via }: CallAnswer): OperationEnd {
  return {
    ending,
    ...(code === undefined ? {} : { code }),
    ...(reason === undefined ? {} : { reason }),
    ...(via === undefined ? {} : { via }),
  };
}

/** Of a problem document: its code, and the reason of a lost claim. */
export function problemOf(body: Body): { code?: string; reason?: string } {
  const { code, reason } = body;
  return {
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof code === 'string' && typeof reason === 'string' ? { reason } : {}),
  };
}
