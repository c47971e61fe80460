/** Reads and checks a JSON body: its media type, its size while it arrives, its text, and then its shape. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { LIMITS } from '../../contract/constants.ts';
import type { Route } from '../../contract/route.ts';
import { FIELD_PROBLEMS_MAX, type FieldProblem, ProblemError } from '../kernel/problem-error.ts';
import type { HeldBody } from './body-room.ts';

/** A body that trickles in slower than this is given up. */
const BODY_TIMEOUT_MS = 30_000;

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [...'"\\[]{}'].map(
  (character) => character.charCodeAt(0),
);

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Resolves to the bytes, or rejects with payload_too_large or rate_limited as soon as there are too many. */
async function readBytes(incoming: IncomingMessage, bytesMax: number, held: HeldBody): Promise<Buffer> {
  const tooLarge = (): ProblemError =>
    new ProblemError('payload_too_large', `The body exceeds ${bytesMax} bytes.`, {
      headers: { Connection: 'close' },
    });
  // A length that cannot be had is refused before it is read, but only what has come is counted: declaring costs a client nothing.
  const declaredBytes = Number(incoming.headers['content-length'] ?? 0);
  if (declaredBytes > bytesMax) throw tooLarge();
  held.assertRoomFor(declaredBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(
      () => finish(new ProblemError('invalid_request', 'The body did not arrive in time.')),
      BODY_TIMEOUT_MS,
    );
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      try {
        if (bytes > bytesMax) throw tooLarge();
        held.grow(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        finish(error);
      }
    };
    const onEnd = (): void => finish(null);
    const onClose = (): void => finish(new ProblemError('invalid_request', 'The body was cut off.'));
    const finish = (problem: unknown): void => {
      clearTimeout(timer);
      incoming.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      if (problem === null) resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
      else reject(problem);
    };
    incoming.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

/** @param held Counts the bytes from the first one on. */
export async function readJsonBody(
  incoming: IncomingMessage,
  route: Route,
  held: HeldBody,
): Promise<unknown> {
  const bytes = await readBytes(incoming, route.bodyBytesMax ?? LIMITS.bodyBytesMax, held);
  if (bytes.length === 0) {
    if (route.isBodyOptional) return {};
    throw new ProblemError('invalid_request', 'This request needs a JSON body.');
  }
  const mediaType = (incoming.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new ProblemError('unsupported_media_type', 'Send the body with Content-Type: application/json.');
  }
  return parseJson(bytes);
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (error) {
    throw invalidJson(error);
  }
  return parseJsonText(text);
}

/** What the server would be able to store, from a body or from a frame; else invalid_json or invalid_request. */
export function parseJsonText(text: string): unknown {
  // A body this short has no room for that many levels.
  if (text.length > LIMITS.jsonDepthMax) assertShallow(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidJson(error);
  }
  if (SUSPICIOUS.test(text)) assertStorable(value, '');
  return value;
}

function invalidJson(cause: unknown): ProblemError {
  const said = cause instanceof Error ? cause.message.replace(QUOTED_TEXT, '') : '';
  return new ProblemError('invalid_json', `The body is not valid JSON: ${said || 'unreadable'}.`, { cause });
}

/** V8 quotes what it could not read, and that may be a secret: answers are logged by clients and proxies. */
const QUOTED_TEXT = /(?:, )?(?:\.\.\.)?".*"(?:\.\.\.)? is not valid JSON$/s;

/**
 * What a closer look is worth: only an escape can smuggle in half a surrogate pair or a NUL (well-formed UTF-8 holds neither as
 * JSON), and only a huge exponent or hundreds of digits overflow a number to infinity, which would be stored as null.
 */
const SUSPICIOUS = /\\u|__proto__|[eE]\+?\d{3}|\d{300}/;

/** Refused before it is parsed: everything that walks the value later recurses. */
function assertShallow(text: string): void {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (isInString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) isInString = false;
    } else if (code === QUOTE) isInString = true;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
      if (depth > LIMITS.jsonDepthMax)
        throw new ProblemError(
          'invalid_request',
          `The body is nested deeper than ${LIMITS.jsonDepthMax} levels.`,
        );
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
  }
}

/** Postgres can store neither NUL nor half a surrogate pair. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function assertStorable(value: unknown, pointer: string): void {
  if (typeof value === 'string') {
    if (!isStorable(value)) {
      const errors = [{ pointer, detail: 'must not contain NUL or lone surrogates' }];
      throw new ProblemError('invalid_request', 'A text holds characters that cannot be stored.', { errors });
    }
  } else if (typeof value === 'number' && !Number.isFinite(value)) {
    const errors = [{ pointer, detail: 'is beyond the range of a double' }];
    throw new ProblemError('invalid_request', 'A number is too large to be kept.', { errors });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      if (key === '__proto__')
        throw new ProblemError('invalid_request', 'A field must not be called __proto__.', {
          errors: [{ pointer, detail: 'holds a field called __proto__' }],
        });
      assertStorable(key, pointer);
      assertStorable(member, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    }
  }
}

/** The value in its type, or a problem that names every offending field. */
export function parseWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  where: 'body' | 'path' | 'query' | 'input',
): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = flattenIssues(parsed.error.issues).slice(0, FIELD_PROBLEMS_MAX);
  const first = errors[0];
  const named =
    first && first.pointer !== ''
      ? `${first.pointer.slice(1)}: ${first.detail}`
      : (first?.detail ?? 'it has the wrong shape');
  throw new ProblemError('invalid_request', `The ${where} is not valid: ${named}.`, { errors });
}

function flattenIssues(
  issues: readonly z.core.$ZodIssue[],
  prefix: readonly PropertyKey[] = [],
): FieldProblem[] {
  return issues.flatMap((issue): FieldProblem[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        pointer: pointerOf([...path, key]),
        detail: 'is not a field of this request',
      }));
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const shortest = [...issue.errors].sort((left, right) => left.length - right.length)[0] ?? [];
      if (shortest.length > 0) return flattenIssues(shortest, path);
    }
    return [{ pointer: pointerOf(path), detail: issue.message }];
  });
}

function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
