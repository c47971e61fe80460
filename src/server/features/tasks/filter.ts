/** What lists of tasks, and operations on many of them, are filtered by: from the words of a request to values. */
import { NAME_PATTERN } from '../../../contract/identifiers.ts';
import { TASK_STATUSES, type TaskStatus } from '../../../contract/statuses.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { TaskFilter } from './store/search.ts';

/** A filter with more words than this is a mistake. */
const FILTER_WORDS_MAX = 50;

interface FilterWords {
  readonly status?: string | null | undefined;
  readonly lane?: string | null | undefined;
  readonly label?: string | null | undefined;
  readonly tenant?: string | null | undefined;
  readonly q?: string | null | undefined;
}

/** @param pointer Where in the request the words stand, as a JSON Pointer. */
export function filterOf(words: FilterWords, parentId: Uuid | null, pointer = ''): TaskFilter {
  const read = (name: keyof FilterWords, isValid: (word: string) => boolean): string[] | null =>
    wordsOf(`${pointer}/${name}`, words[name], isValid);
  return {
    statuses: read('status', (word) => (TASK_STATUSES as readonly string[]).includes(word)) as
      | TaskStatus[]
      | null,
    lanes:
      read('lane', (word) => word === '-' || NAME_PATTERN.test(word))?.map((word) =>
        word === '-' ? null : word,
      ) ?? null,
    labels: labelsOf(read('label', (word) => word.indexOf(':') > 0)),
    tenants: read('tenant', (word) => word.length > 0),
    titlePart: words.q ?? null,
    parentId,
    delegationId: null,
    sessionId: null,
  };
}

function wordsOf(
  pointer: string,
  text: string | null | undefined,
  isValid: (word: string) => boolean,
): string[] | null {
  if (text === undefined || text === null) return null;
  const words = text.split(',');
  const bad =
    words.length > FILTER_WORDS_MAX
      ? `more than ${FILTER_WORDS_MAX} words`
      : words.find((word) => !isValid(word));
  if (bad === undefined) return words;
  throw new ProblemError('invalid_request', `The parameter ${pointer.slice(1)} is not valid: ${bad}.`, {
    errors: [{ pointer, detail: 'is not valid' }],
  });
}

function labelsOf(pairs: readonly string[] | null): Record<string, string> | null {
  if (pairs === null) return null;
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]),
  );
}
