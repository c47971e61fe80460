/**
 * What a call can fail with. Two classes only: the server answered with a problem (`LanekeeperError`, to be
 * switched on by `code`), or nobody answered (`UnreachableError`). An aborted call throws the signal's reason.
 */
import type { ProblemCode } from '../contract/problems.ts';
import { factsOfCode } from './problem-codes.ts';

/**
 * `unexpected_answer`: one that is not a problem of this API, as a proxy in between may give. `superseded`: the socket was closed because
 * another has said hello as the same worker, which only a watch with `hello` meets.
 */
export type ErrorCode = ProblemCode | 'unexpected_answer' | 'superseded';

/** One offending field: `pointer` is a JSON Pointer into the request. */
export interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

export interface ErrorFacts {
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly requestId?: string | undefined;
  readonly errors?: readonly FieldError[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** The whole problem body, with the members that only this code has; of an unexpected answer, whatever object it was. */
  readonly problem?: Readonly<Record<string, unknown>> | undefined;
}

/** The server answered with a problem (RFC 9457). Nothing says whether it happened before or after an effect but `code`. */
export class LanekeeperError extends Error {
  override readonly name = 'LanekeeperError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly requestId: string | undefined;
  readonly errors: readonly FieldError[];
  /** The same request may succeed later without being changed. */
  readonly retryable: boolean;
  /** What the server asked for with Retry-After. */
  readonly retryAfterSeconds: number | undefined;
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(facts: ErrorFacts) {
    super(`${facts.title}: ${facts.detail} (${facts.code})`);
    this.code = facts.code;
    this.status = facts.status;
    this.title = facts.title;
    this.detail = facts.detail;
    this.requestId = facts.requestId;
    this.errors = facts.errors ?? [];
    this.retryable = factsOfCode(facts.code)?.retryable ?? isGatewayStatus(facts.status);
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.problem = facts.problem ?? {};
  }
}

interface UnreachableContext {
  readonly url: string;
  readonly cause: unknown;
  readonly mayHaveTakenEffect?: boolean;
}

/** No answer came: refused, reset, unresolvable, or later than the request's time limit. The effect is unknown. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly code = 'unreachable';
  readonly retryable = true;
  /** Where the request went; never holds a credential. */
  readonly url: string;
  /** false when no connection came about: then the server cannot have seen the request. */
  readonly mayHaveTakenEffect: boolean;

  constructor(detail: string, context: UnreachableContext) {
    super(`No answer from ${context.url}: ${detail}`, { cause: context.cause });
    this.url = context.url;
    this.mayHaveTakenEffect = context.mayHaveTakenEffect ?? true;
  }
}

/** What fetch failed with, in our words. */
export function unreachableBy(error: unknown, url: string): UnreachableError {
  const root = rootCause(error);
  const mayHaveTakenEffect = !NOT_CONNECTED.has(String(Reflect.get(root, 'code')));
  return new UnreachableError(root.message, { url, cause: error, mayHaveTakenEffect });
}

/** Node's words for a connection that never came about. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);

/** fetch says "fetch failed" and hides why: the system's word (ECONNREFUSED …) is one cause down. */
function rootCause(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const { cause } = error;
  if (cause instanceof AggregateError && cause.errors.length > 0) return rootCause(cause.errors[0]);
  return cause instanceof Error ? rootCause(cause) : error;
}

/** Bad gateway, unavailable, gateway timeout: said by something in front of a server that is away (RFC 9110). */
function isGatewayStatus(status: number): boolean {
  return status >= 502 && status <= 504;
}

/** Reads the answer of a failed request. `text` may be anything that something between us and the server wrote. */
export function errorOfAnswer(response: Response, text: string): LanekeeperError {
  const problem = parseObject(text);
  const requestId = response.headers.get('x-request-id') ?? undefined;
  const retryAfterSeconds = parseRetryAfter(response.headers.get('retry-after'), Date.now());
  const { status } = response;
  if (typeof problem?.['code'] !== 'string') {
    return new LanekeeperError({
      code: 'unexpected_answer',
      status,
      title: 'The answer is not one of this API',
      detail: `status ${status} from ${new URL(response.url || 'http://unknown').host}`,
      requestId,
      retryAfterSeconds,
      problem,
    });
  }
  return errorOfProblem(problem, { status, requestId, retryAfterSeconds });
}

/** The same for a problem that came inside another answer: a batch result or a frame. */
export function errorOfProblem(
  problem: Readonly<Record<string, unknown>>,
  known: {
    readonly status?: number;
    readonly requestId?: string | undefined;
    readonly retryAfterSeconds?: number | undefined;
  } = {},
): LanekeeperError {
  const text = (name: string): string => (typeof problem[name] === 'string' ? problem[name] : '');
  return new LanekeeperError({
    // A newer server may know more codes; they pass through as they are.
    code: text('code') as ErrorCode,
    status: known.status ?? statusOf(problem),
    title: text('title') || 'The request failed',
    detail: text('detail'),
    requestId: known.requestId ?? (text('instance').replace(/^urn:uuid:/, '') || undefined),
    errors: fieldErrors(problem['errors']),
    retryAfterSeconds: known.retryAfterSeconds,
    problem,
  });
}

function statusOf(problem: Readonly<Record<string, unknown>>): number {
  if (typeof problem['status'] === 'number') return problem['status'];
  return factsOfCode(String(problem['code']))?.status ?? 0;
}

function fieldErrors(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return [];
  const found: FieldError[] = [];
  for (const item of value as readonly unknown[]) {
    if (!isObject(item)) continue;
    found.push({ pointer: String(item['pointer'] ?? ''), detail: String(item['detail'] ?? '') });
  }
  return found;
}

/** Seconds, or an HTTP date (RFC 9110 section 10.2.3). */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - nowMs) / 1000));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON object that a text holds, or nothing. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // Not JSON: the caller says so in its own words.
  }
}
