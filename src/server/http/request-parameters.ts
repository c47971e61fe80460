/** What a request says in its address: the parameters of its path, and its query. */
import { LIMITS } from '../../contract/constants.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import type { Call } from './app.ts';
import { isStorable } from './body.ts';

export function storableParams({ params }: Call): Readonly<Record<string, string>> {
  for (const value of Object.values(params)) assertStorableParameter(value);
  return params;
}

export function queryOf({ search }: Call): Record<string, string> {
  // Without a prototype, so that no name means anything.
  const query: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(search)) {
    if (Object.hasOwn(query, name))
      throw new ProblemError(
        'invalid_request',
        `The query parameter ${JSON.stringify(name)} is given twice.`,
      );
    assertStorableParameter(value);
    query[name] = value;
  }
  return query;
}

function assertStorableParameter(value: string): void {
  if (!isStorable(value))
    throw new ProblemError('invalid_request', 'A parameter holds characters that cannot be stored.');
}

/** What a list may return at once, from its query. */
export function pageRows(query: { readonly limit?: string | undefined }): number {
  return query.limit === undefined ? LIMITS.pageRowsDefault : Number(query.limit);
}
