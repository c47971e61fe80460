/** What becomes of a claim when its handler has returned or thrown: pure. And what a handler throws to say something else than "failed". */
import { LIMITS } from '../../contract/constants.ts';
import type { CompleteBody } from '../../contract/runs.ts';
import { isObject } from '../errors.ts';
import type { BodyOf } from '../operation-types.ts';
import { cleanText, firstCharacters, messageOf } from './plain-text.ts';
import type { RunEnd, StopReason } from './run-end.ts';
import { TaskAbortedError } from './task-aborted.ts';

/** What a task came to. `result` and `metadata`: JSON of at most 256 KiB each; a longer `summary` than 16,000 characters is cut. */
export type HandlerResult = Pick<CompleteBody, 'summary' | 'result' | 'metadata' | 'artifacts'>;

type BlockBody = BodyOf<'blockRun'>;

/** Not now: the task is claimable again after the delay, by anybody. No failure is counted. */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter';
  /** Whole seconds, at most 30 days. */
  readonly delaySeconds: number;

  /** @param when Milliseconds from now, or a time. */
  constructor(when: number | Date, message = 'to be tried again later') {
    super(message);
    const delayMs = typeof when === 'number' ? when : when.getTime() - Date.now();
    if (Number.isNaN(delayMs)) throw new TypeError('RetryAfter takes milliseconds or a valid Date');
    this.delaySeconds = Math.min(DELAY_SECONDS_MAX, Math.max(0, Math.ceil(delayMs / 1000)));
  }
}

/** Trying again would not help: the task is blocked as given up at once, whatever attempts it has left. */
export class Fatal extends Error {
  override readonly name = 'Fatal';
}

/** The task needs something before it can go on, and waits, blocked, until somebody has unblocked it. No failure is counted. */
export class Block extends Error {
  override readonly name = 'Block';
  readonly body: BlockBody;

  /** `kind` dependency with a parent that is not done: it goes on by itself once that is. */
  constructor(body: BlockBody) {
    super(body.reason);
    this.body = body;
  }
}

export type HandlerEnd =
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly error: unknown };

/** What the API takes, of releases and failures alike. */
const DELAY_SECONDS_MAX = 86_400 * 30;

/**
 * `end` null: it was told to stop, and has not. null: nothing may be reported, because the claim is not ours any more. A handler that was
 * told to stop and returns nothing has given up, and one that returns something has finished all the same: what was taken for done
 * although it was not would be lost in silence.
 */
export function endOfHandler(end: HandlerEnd | null, stopped: StopReason | null): RunEnd | null {
  if (stopped?.kind === 'claim_lost') return null;
  if (end?.kind === 'returned' && (stopped === null || (end.value ?? null) !== null))
    return { verb: 'complete', body: completionOf(end.value) };
  if (end?.kind === 'threw' && stopped?.kind !== 'cancel_requested') {
    const asked = endAskedFor(end.error);
    if (asked !== null) return asked;
  }
  if (stopped !== null) return endOfStopped(end, stopped);
  return failed(end?.kind === 'threw' ? errorText(end.error) : '');
}

/** An object with none of the known members is the result, as is what is no object. */
function completionOf(value: unknown): HandlerResult {
  if ((value ?? null) === null) return {};
  if (!isObject(value)) return { result: value };
  const { summary, result, metadata, artifacts } = value as HandlerResult;
  const known = { summary, result, metadata, artifacts };
  if (Object.values(known).every((member) => member === undefined)) return { result: value };
  return {
    ...(summary === undefined ? {} : { summary: textOf(String(summary), LIMITS.summaryCharactersMax) }),
    ...(result === undefined ? {} : { result }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(artifacts === undefined ? {} : { artifacts }),
  };
}

function endAskedFor(error: unknown): RunEnd | null {
  if (error instanceof RetryAfter) {
    const { delaySeconds, message } = error;
    return { verb: 'release', body: { reason: reasonText(message), delay_seconds: delaySeconds } };
  }
  if (error instanceof Fatal) {
    const body = { error: textOf(error.message, LIMITS.summaryCharactersMax) || error.name, permanent: true };
    return { verb: 'fail', body };
  }
  if (error instanceof Block)
    return { verb: 'block', body: { ...error.body, reason: reasonText(error.body.reason) } };
  return null;
}

function endOfStopped(end: HandlerEnd | null, stopped: StopReason): RunEnd | null {
  switch (stopped.kind) {
    case 'claim_lost':
      return null;
    case 'cancel_requested':
      return released('stopped because a cancel was requested');
    case 'draining':
      return released('the worker is shutting down');
    case 'lease_expired':
      return released('stopped because no heartbeat got through for a whole lease');
    case 'timed_out': {
      const first = `timed out after ${stopped.seconds} s`;
      const own = end?.kind === 'threw' && !(end.error instanceof TaskAbortedError);
      return failed(own ? `${first}\n${errorText(end.error)}` : first);
    }
  }
}

function released(reason: string): RunEnd {
  return { verb: 'release', body: { reason } };
}

function failed(text: string): RunEnd {
  const error = textOf(text, LIMITS.summaryCharactersMax);
  return { verb: 'fail', body: { error: error === '' ? 'The handler failed without a word' : error } };
}

function errorText(error: unknown): string {
  const message = messageOf(error);
  if (!(error instanceof Error) || error.name === 'Error') return message;
  return message === '' ? error.name : `${error.name}: ${message}`;
}

function reasonText(reason: string): string {
  return textOf(reason, LIMITS.reasonCharactersMax) || 'no reason given';
}

function textOf(text: string, charactersMax: number): string {
  return firstCharacters(wellFormed(cleanText(text)).trim(), charactersMax);
}

/** What String.prototype.toWellFormed does, which Node 18 and older browsers lack: the API refuses lone surrogates. */
function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}
