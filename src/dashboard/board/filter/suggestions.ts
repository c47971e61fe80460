/** What could stand where the cursor is: qualifiers, then values that are on the board. Pure. */
import type { Card } from '../../live/card.ts';
import { TASK_STATUSES } from '../../live/statuses.ts';
import { QUALIFIERS, STATE_NAMES } from './filter.ts';
import { quoted, type Term, termsOf } from './terms.ts';

export interface Suggestion {
  /** Put in the place of the term. */
  readonly text: string;
  readonly hint: string;
  /** A value follows. */
  readonly isOpen: boolean;
}

/** More than anybody reads while typing. */
const SHOWN_MAX = 8;
/** Of the cards of a large board: values repeat. */
const LOOKED_AT_MAX = 2000;

type Values = ReadonlyMap<string, readonly string[]>;

/** Values that are there to be chosen, by qualifier, the most frequent first. */
export function valuesOf(cards: Iterable<Card>, lanes: Iterable<string>): Values {
  const counts = new Map<string, Map<string, number>>();
  const count = (qualifier: string, value: string | null | undefined): void => {
    if (value === null || value === undefined || value === '') return;
    const known = counts.get(qualifier) ?? new Map<string, number>();
    known.set(value, (known.get(value) ?? 0) + 1);
    counts.set(qualifier, known);
  };
  for (const lane of lanes) count('lane', lane);
  let seen = 0;
  for (const card of cards) {
    if (seen === LOOKED_AT_MAX) break;
    seen += 1;
    count('lane', card.lane);
    count('tenant', card.tenant);
    count('worker', card.claim?.worker);
    count('delegation', card.delegationId);
    count('reviewer', card.reviewer);
    for (const [key, value] of Object.entries(card.labels)) count('label', `${key}=${value}`);
  }
  return new Map(
    [...counts].map(([qualifier, known]) => [
      qualifier,
      [...known].sort(([, left], [, right]) => right - left).map(([value]) => value),
    ]),
  );
}

const FIXED: Values = new Map([
  ['status', TASK_STATUSES],
  ['is', STATE_NAMES],
  ['age', ['>10m', '>1h', '>1d']],
  ['attempt', ['>1']],
  ['failures', ['>0']],
  ['priority', ['>0']],
]);

/** The term that the cursor stands in or right behind. */
function termAt(text: string, cursor: number): Term | undefined {
  return termsOf(text).find(({ start, end }) => start < cursor && cursor <= end);
}

export function suggest(text: string, cursor: number, values: Values): readonly Suggestion[] {
  const term = termAt(text, cursor);
  const minus = term?.isNegated === true ? '-' : '';
  if (term === undefined || term.qualifier === null) {
    const begun = term?.value.toLowerCase() ?? '';
    return [...QUALIFIERS]
      .filter(([name]) => name.startsWith(begun))
      .map(([name, { hint }]) => ({ text: `${minus}${name}:`, hint, isOpen: true }))
      .slice(0, begun === '' ? QUALIFIERS.size : SHOWN_MAX);
  }
  const { qualifier } = term;
  const begun = term.value.toLowerCase();
  const known = FIXED.get(qualifier) ?? values.get(qualifier) ?? [];
  return known
    .filter((value) => value.toLowerCase().includes(begun) && value !== term.value)
    .slice(0, SHOWN_MAX)
    .map((value) => ({ text: `${minus}${qualifier}:${quoted(value)}`, hint: '', isOpen: false }));
}

/** The text with the suggestion in the place of what was begun, and where the cursor stands then. */
export function accept(text: string, cursor: number, suggestion: Suggestion): readonly [string, number] {
  const term = termAt(text, cursor);
  const start = term?.start ?? cursor;
  const end = term?.end ?? cursor;
  const inserted = suggestion.isOpen ? suggestion.text : `${suggestion.text} `;
  return [text.slice(0, start) + inserted + text.slice(end).trimStart(), start + inserted.length];
}
