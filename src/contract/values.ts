/** Values that several resources share: JSON, labels, texts, lists, actors. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { PageToken } from './identifiers.ts';

function jsonBytes(value: unknown): number {
  const text = JSON.stringify(value);
  // Counting bytes is only worth it near the limit: no character takes more than 3 bytes per UTF-16 unit.
  return text.length * 3 <= LIMITS.jsonBytesMax ? text.length : new TextEncoder().encode(text).length;
}

const jsonFits = (value: unknown): boolean => jsonBytes(value) <= LIMITS.jsonBytesMax;

/** Any JSON value of at most 256 KiB. A body was parsed from JSON, so there is nothing else to check, and nothing to recurse into. */
export const JsonValue = z
  .unknown()
  .refine(jsonFits, 'must not exceed 256 KiB as JSON')
  .meta({ id: 'JsonValue' });

/** A JSON object of at most 256 KiB. Keys of later ones are merged over earlier ones. */
export const Metadata = z
  .record(z.string().max(255), z.unknown())
  .refine(jsonFits, 'must not exceed 256 KiB as JSON')
  .meta({ id: 'Metadata' });

export const Labels = z
  .record(z.string().min(1).max(100), z.string().max(255))
  .refine(
    (labels) => Object.keys(labels).length <= LIMITS.labelsMax,
    `must not have more than ${LIMITS.labelsMax} entries`,
  )
  .meta({ id: 'Labels' });

export const Reason = z.string().min(1).max(LIMITS.reasonCharactersMax);
export const Summary = z.string().max(LIMITS.summaryCharactersMax);

/** A text of at most `bytesMax` bytes of UTF-8. */
export function textOfBytes(bytesMax: number) {
  return z
    .string()
    .max(bytesMax)
    .refine(
      (text) => text.length * 3 <= bytesMax || new TextEncoder().encode(text).length <= bytesMax,
      `must not exceed ${bytesMax} bytes`,
    );
}

/** Who did it: an API key, a claim, or the server itself (reaper, scheduler). */
export const Actor = z
  .object({ type: z.enum(['key', 'claim', 'system']), id: z.string() })
  .meta({ id: 'Actor' });
export type Actor = z.infer<typeof Actor>;

/** How many rows of a page. Query parameters arrive as text. */
const rowsParameter = (max: number) =>
  z
    .string()
    .regex(/^\d{1,4}$/, `must be a whole number from 1 to ${max}`)
    .refine((text) => Number(text) >= 1 && Number(text) <= max, `must be from 1 to ${max}`)
    .optional();

export const LimitParameter = rowsParameter(LIMITS.pageRowsMax);

/** Of a log. */
export const LogLimitParameter = rowsParameter(LIMITS.eventPageRowsMax);

export const PageQuery = z.strictObject({ limit: LimitParameter, page_token: PageToken.optional() });

export const NextPageToken = PageToken.nullable().describe('Ask for the next page with it; null at the end.');

/** A comma-separated list of at most 50 words, each at most 255 characters. */
export const WordsParameter = z.string().min(1).max(12_800);

/** An explicit null in a request means absent. */
export function absent<T extends z.ZodType>(schema: T) {
  return schema.nullish();
}
