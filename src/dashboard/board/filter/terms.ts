/**
 * What somebody wrote into the filter box, word by word: `lane:builder -label:team=web "two words" age:>10m`. Pure. A word that is not
 * understood stays a term of its own, so that it can be shown; it never vanishes.
 */
export interface Term {
  /** As it stands in the text. */
  readonly source: string;
  /** Where, in characters. */
  readonly start: number;
  readonly end: number;
  readonly isNegated: boolean;
  /** null: free text. */
  readonly qualifier: string | null;
  readonly value: string;
}

/** A minus, a qualifier, and a value with or without quotes. An open quote reaches to the end: it is being typed. */
const WORD = /(-)?(?:([A-Za-z_]+):)?(?:"([^"]*)"?|([^\s"]+))?/y;

export function termsOf(text: string): readonly Term[] {
  const terms: Term[] = [];
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text.charAt(at))) {
      at += 1;
      continue;
    }
    WORD.lastIndex = at;
    const [source = '', minus, qualifier, quoted, bare] = WORD.exec(text) ?? [];
    // Something is always taken: what is no word by these rules is a character of free text.
    const end = at + Math.max(1, source.length);
    terms.push({
      source: text.slice(at, end),
      start: at,
      end,
      isNegated: minus !== undefined,
      qualifier: qualifier?.toLowerCase() ?? null,
      value: quoted ?? bare ?? '',
    });
    at = end;
  }
  return terms;
}

/** The text without one of its terms. */
export function withoutTerm(text: string, { start, end }: Term): string {
  return `${text.slice(0, start).trimEnd()} ${text.slice(end).trimStart()}`.trim();
}

/** A value as it has to be written: with quotes where it has spaces. */
export function quoted(value: string): string {
  return /[\s"]/.test(value) || value === '' ? `"${value.replaceAll('"', '')}"` : value;
}
