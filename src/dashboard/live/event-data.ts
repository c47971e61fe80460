/**
 * Reads what the data of events says, which is JSON of any form: what is not as expected counts as not given. For all that reads events:
 * the live board, the task's page, the activity. Pure.
 */

/** Any text, the empty one too. */
export function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A text that says something. */
export function textOf(value: unknown): string | null {
  return value === '' ? null : stringOf(value);
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Milliseconds since 1970. */
export function timeOf(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** Strings of a list; anything else is left out. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
