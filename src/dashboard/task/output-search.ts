/** Where a text stands in the output, whatever its case. Pure. */
import { plainText } from './ansi.ts';
import type { OutputRow } from './output-buffer.ts';

export interface Match {
  /** Of the row in the list. */
  readonly row: number;
  readonly start: number;
  readonly end: number;
}

/** Nobody steps through more; a search for "e" must not cost what is shown. */
export const MATCHES_MAX = 2000;

/** Lines are kept for long and searched with every letter: their text is made once. */
const texts = new WeakMap<object, string>();

export function textOfLine(line: { readonly text: string }): string {
  const known = texts.get(line);
  if (known !== undefined) return known;
  const text = plainText(line.text);
  texts.set(line, text);
  return text;
}

export function findMatches(rows: readonly OutputRow[], query: string): readonly Match[] {
  const wanted = query.toLowerCase();
  if (wanted === '') return [];
  const matches: Match[] = [];
  for (const [row, each] of rows.entries()) {
    if (each.type !== 'line') continue;
    const text = textOfLine(each.line).toLowerCase();
    for (let start = text.indexOf(wanted); start >= 0; start = text.indexOf(wanted, start + wanted.length)) {
      matches.push({ row, start, end: start + wanted.length });
      if (matches.length === MATCHES_MAX) return matches;
    }
  }
  return matches;
}

export interface MarkedPiece {
  /** Characters of the line before it. */
  readonly start: number;
  readonly text: string;
  readonly className: string;
  readonly mark: 'none' | 'match' | 'current';
}

function markOf(match: Match | undefined, current: Match | null): MarkedPiece['mark'] {
  if (match === undefined) return 'none';
  return match === current ? 'current' : 'match';
}

/** Cuts the pieces of a line where its matches begin and end. Matches in order; `current` is one of them. */
export function markPieces(
  pieces: readonly { readonly text: string; readonly className: string }[],
  matches: readonly Match[],
  current: Match | null,
): readonly MarkedPiece[] {
  const cuts = matches.flatMap(({ start, end }) => [start, end]);
  const marked: MarkedPiece[] = [];
  let offset = 0;
  for (const { text, className } of pieces) {
    const end = offset + text.length;
    const inner = cuts.filter((cut) => cut > offset && cut < end);
    let from = offset;
    for (const to of [...inner, end]) {
      const place = from;
      const match = matches.find((each) => each.start <= place && place < each.end);
      marked.push({
        start: from,
        text: text.slice(from - offset, to - offset),
        className,
        mark: markOf(match, current),
      });
      from = to;
    }
    offset = end;
  }
  return marked;
}
