/** What a command that exits 0 says of its task: pure. */
import { isObject, parseObject } from '../../client/errors.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import { cleanText, lastCharacters } from '../../client/worker/plain-text.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Reading } from '../worker/verdict.ts';

/** Exit code 0 completes the task; of a failure the end of stderr is the error. */
export const WORK_READING: Reading = {
  ofSuccess: (end) => ({ verb: 'complete', body: completion(end.stdout) }),
  lastWords: (end) => end.stderr,
};

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
