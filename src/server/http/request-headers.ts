/** The request headers that change what a route does. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { HEADERS, LIMITS } from '../../contract/constants.ts';
import { OriginBody } from '../../contract/origins.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import { isStorable } from './body.ts';

const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255;
/** Of an origin with the longest context there may be, in any script. */
const ORIGIN_CHARACTERS_MAX = 16_000;
/** version 00 of W3C Trace Context; anything else is ignored, as that specification asks. */
const TRACEPARENT_PATTERN = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Seconds of `Prefer: wait=N` (RFC 7240), clamped; null without one. Other preferences are ignored. */
export function parseWaitSeconds(prefer: string | undefined): number | null {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i.exec(prefer ?? '');
  return match?.[1] === undefined ? null : Math.min(Number(match[1]), LIMITS.waitSecondsMax);
}

const EVENT_STREAM = 'text/event-stream';
const JSON_RANGES: ReadonlySet<string> = new Set(['application/json', 'application/*', '*/*']);

/** Whether an Accept header puts a stream of events before JSON: by weight, and where those are equal by place. */
export function prefersEventStream(accept: string | undefined): boolean {
  let best = { type: '', weight: 0 };
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (type !== EVENT_STREAM && !JSON_RANGES.has(type)) continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    if (Number(weight) > best.weight) best = { type, weight: Number(weight) };
  }
  return best.type === EVENT_STREAM;
}

export function parseIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  if (
    header.length === 0 ||
    header.length > IDEMPOTENCY_KEY_CHARACTERS_MAX ||
    !/^[\x21-\x7e]+$/.test(header)
  ) {
    throw new ProblemError(
      'invalid_request',
      `Idempotency-Key must be 1 to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} printable ASCII characters without spaces.`,
    );
  }
  return header;
}

/** `"7"` → 7. Versions are the only entity tags there are; `*` means whatever is there. */
export function parseIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === '*') return null;
  const match = /^\s*"(\d{1,10})"\s*$/.exec(header);
  if (match?.[1] === undefined)
    throw new ProblemError(
      'invalid_request',
      'If-Match must be an ETag of this resource, such as "3", or *.',
    );
  return Number(match[1]);
}

export function parseTraceparent(header: string | undefined): string | null {
  return header !== undefined && TRACEPARENT_PATTERN.test(header) ? header : null;
}

/** Base64url of JSON. Whoever sends a broken one must hear of it: its outcome would return to nobody. */
export function parseOrigin(header: string | undefined): OriginBody | null {
  if (header === undefined) return null;
  const isStorableText = header.length <= ORIGIN_CHARACTERS_MAX && /^[A-Za-z0-9_-]+={0,2}$/.test(header);
  const parsed = isStorableText ? OriginBody.safeParse(decodedJson(header)) : null;
  if (parsed?.success && Object.values(parsed.data).every((part) => isStorable(part ?? '')))
    return parsed.data;
  throw new ProblemError(
    'invalid_request',
    'Lanekeeper-Origin must be the base64url of a JSON object with platform, chat_id, thread_id, user_id, session_id, profile and context, as far as there are any.',
    { errors: [{ pointer: '/origin', detail: 'is not an origin' }] },
  );
}

function decodedJson(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null; // Not JSON: not an origin, which the caller says.
  }
}

/** The caller's own request id when it is a UUID (it becomes the problem's instance), else one of ours. */
export function requestIdOf({ headers }: IncomingMessage): string {
  const own = headers[HEADERS.requestId.toLowerCase()];
  const id = typeof own === 'string' ? own.toLowerCase() : '';
  return UUID_PATTERN.test(id) ? id : randomUUID();
}
