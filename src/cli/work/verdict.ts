/** What becomes of the claim when its command has ended: pure. */

import { isObject, parseObject } from '../../client/errors.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS, RATE_LIMITED_EXIT_CODE } from '../../contract/constants.ts';
import { cleanText, lastCharacters } from './output-tail.ts';
import type { ProcessEnd } from './process-group.ts';

/** Why we stopped the command, when we did. */
export type StopReason =
  | { readonly kind: 'cancel_requested' }
  | { readonly kind: 'timed_out'; readonly seconds: number }
  | { readonly kind: 'draining' }
  /** Nobody knows whether the claim is still ours: the server decides, when it is asked to take it back. */
  | { readonly kind: 'lease_expired' }
  /** Somebody else decides over the task now; there is no end to report. */
  | { readonly kind: 'claim_lost'; readonly detail: string };

export type RunEnd =
  | { readonly verb: 'complete'; readonly body: NonNullable<BodyOf<'completeRun'>> }
  | { readonly verb: 'fail'; readonly body: BodyOf<'failRun'> }
  | { readonly verb: 'release'; readonly body: NonNullable<BodyOf<'releaseRun'>> };

/** null: nothing may be reported, because the claim is not ours any more. */
export function endOfRun(end: ProcessEnd, stopped: StopReason | null): RunEnd | null {
  if (stopped !== null) return endOfStopped(end, stopped);
  if (end.kind === 'not_started') {
    // Not the task's fault: another worker, or this one once it is mended, can still do it.
    return release(`the worker could not start its command: ${end.error.message}`);
  }
  if (end.exitCode === 0) return { verb: 'complete', body: completion(end.stdout) };
  return endOfFailed(end);
}

function endOfStopped(end: ProcessEnd, stopped: StopReason): RunEnd | null {
  switch (stopped.kind) {
    case 'claim_lost':
      return null;
    case 'cancel_requested':
      return release('stopped because a cancel was requested');
    case 'draining':
      return release('the worker is shutting down');
    case 'lease_expired':
      return release('stopped because no heartbeat got through for a whole lease');
    case 'timed_out': {
      const error = withTail(`timed out after ${stopped.seconds} s`, end);
      return { verb: 'fail', body: { error, metadata: exitFacts(end) } };
    }
  }
}

function release(reason: string): RunEnd {
  return { verb: 'release', body: { reason: cleanText(reason).slice(0, LIMITS.reasonCharactersMax) } };
}

function endOfFailed(end: ProcessEnd & { readonly kind: 'exited' }): RunEnd {
  const how = end.signal === null ? `exit code ${end.exitCode}` : `killed by ${end.signal}`;
  const tail = lastCharacters(end.stderr.trim(), LIMITS.summaryCharactersMax);
  const kind = end.exitCode === RATE_LIMITED_EXIT_CODE ? ({ kind: 'rate_limited' } as const) : {};
  return { verb: 'fail', body: { error: tail === '' ? how : tail, ...kind, metadata: exitFacts(end) } };
}

function withTail(first: string, end: ProcessEnd): string {
  const tail = end.kind === 'exited' ? end.stderr.trim() : '';
  return tail === ''
    ? first
    : `${first}\n${lastCharacters(tail, LIMITS.summaryCharactersMax - first.length - 1)}`;
}

function exitFacts(end: ProcessEnd): Record<string, number | string | null> {
  return end.kind === 'exited' ? { exit_code: end.exitCode, signal: end.signal } : {};
}

/**
 * The tail of stdout is the summary. A JSON object on the last line speaks for itself: its summary, result and
 * metadata are taken; one with none of these is the result.
 */
function completion(stdout: string): NonNullable<BodyOf<'completeRun'>> {
  const text = stdout.trim();
  const lineStart = text.lastIndexOf('\n') + 1;
  const object = parseObject(text.slice(lineStart));
  if (object === undefined) return summaryOf(text);
  const before = summaryOf(text.slice(0, lineStart).trim());
  const said = cleanJson(object);
  if (!isObject(said)) return before;
  const { summary, result, metadata } = said;
  if (summary === undefined && result === undefined && metadata === undefined) {
    return { ...before, result: said as JsonObject };
  }
  return {
    ...before,
    ...(typeof summary === 'string' ? summaryOf(summary) : {}),
    ...(result === undefined ? {} : { result: result as JsonValue }),
    ...(isObject(metadata) ? { metadata: metadata as JsonObject } : {}),
  };
}

/** Came out of JSON.parse, so it is one; unknown only because parseObject does not say so. */
type JsonValue = NonNullable<NonNullable<BodyOf<'completeRun'>>['result']>;
type JsonObject = Record<string, JsonValue>;

function summaryOf(text: string): { summary: string } | Record<string, never> {
  return text === '' ? {} : { summary: lastCharacters(text, LIMITS.summaryCharactersMax) };
}

/** JSON may spell NUL and lone surrogates with escapes; the API refuses both. */
function cleanJson(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(cleanText(value));
  if (Array.isArray(value)) return value.map(cleanJson);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [wellFormed(cleanText(name)), cleanJson(item)]),
  );
}

/** What String.prototype.toWellFormed does, which this TypeScript target does not know yet. */
function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}
