/**
 * What a tool answers, small enough for a model: never above 20 KB of text. What is longer is read on with a cursor; what has no cursor is
 * cut, and says so. Pure.
 */
import { createHash } from 'node:crypto';
import { badPageToken, makePageToken, readPageToken } from '../../http/page-token.ts';
import { excerptOf } from '../../kernel/excerpt.ts';

/** JSON, sent as text and as structured content. */
export type ToolDocument = Readonly<Record<string, unknown>>;

/** Below what the usual clients cut off: some 25,000 tokens by default, in users' settings often less. */
export const RESULT_BYTES_MAX = 20_000;
/** Of what remains for a chunk: the cursor that stands behind it, and the names of the fields. */
const CURSOR_BYTES = 300;
/** A chunk that would be smaller is not worth a call; a head that leaves no more room than this is cut itself. */
const CHUNK_BYTES_MIN = 2000;

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** Above every id, of which a part is none. */
const CHARACTERS_KEPT = 40;
const ALL = Number.POSITIVE_INFINITY;

/** How far each try cuts texts and lists until the document fits. Texts first: a shorter title is still one, and an id that was left out is lost. */
const CUTS = [
  [4000, ALL],
  [1000, ALL],
  [300, ALL],
  [100, ALL],
  [CHARACTERS_KEPT, ALL],
  [CHARACTERS_KEPT, 100],
  [CHARACTERS_KEPT, 50],
  [CHARACTERS_KEPT, 20],
  [CHARACTERS_KEPT, 10],
] as const;

/** What we say of a task or a lane has fewer fields: only what others put into documents is cut by field. */
const FIELDS_KEPT = 30;
/** Good for nothing in part. */
const WHOLE = 'next_cursor';

/** The document itself where it fits, else cut until it does, with `truncated: true`. */
export function fitted(document: ToolDocument, bytesMax: number = RESULT_BYTES_MAX): ToolDocument {
  if (jsonBytes(document) <= bytesMax) return document;
  for (const [characters, members] of CUTS) {
    const cut = { ...cutFields(document, characters, members), truncated: true };
    if (jsonBytes(cut) <= bytesMax) return cut;
  }
  return { truncated: true };
}

function cutFields(document: ToolDocument, characters: number, members: number): ToolDocument {
  return Object.fromEntries(
    Object.entries(document).map(([name, value]) => [
      name,
      name === WHOLE ? value : cutValue(value, characters, members),
    ]),
  );
}

/** Recursion ends where JSON does: bodies are parsed with a bound on their depth (contract, LIMITS.jsonDepthMax). */
function cutValue(value: unknown, characters: number, members: number): unknown {
  if (typeof value === 'string')
    return value.length > characters ? `${excerptOf(value, characters)}…` : value;
  if (Array.isArray(value)) return value.slice(0, members).map((one) => cutValue(one, characters, members));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, Math.max(members, FIELDS_KEPT))
      .map(([name, member]) => [name, cutValue(member, characters, members)]),
  );
}

/** As many of the first members as fit into so many bytes, and at least one. */
export function firstFitting<T>(members: readonly T[], bytesMax: number): T[] {
  const fitting: T[] = [];
  let bytes = 0;
  for (const member of members) {
    bytes += jsonBytes(member) + 1;
    if (bytes > bytesMax && fitting.length > 0) break;
    fitting.push(member);
  }
  return fitting;
}

/** Of an answer, what stands around a list: names of fields, a cursor. */
const FRAME_BYTES = 1000;

/** A page of a list of which all lines fit; its cursor must be that of the last one that is shown. */
export async function pageThatFits<P, R>(
  read: (rows: number) => Promise<P>,
  rowsMax: number,
  linesOf: (page: P) => readonly R[],
  bytesMax: number,
): Promise<P> {
  const page = await read(rowsMax);
  const lines = linesOf(page);
  const fitting = firstFitting(lines, bytesMax - FRAME_BYTES).length;
  return fitting < lines.length ? read(fitting) : page;
}

/** The lines in the first of the forms in which all of them fit, which become shorter; in the last where none does. */
export function inShorterForms<T>(
  members: readonly T[],
  forms: readonly ((member: T) => ToolDocument)[],
  bytesMax: number,
): { readonly lines: ToolDocument[]; readonly isShortened: boolean } {
  let lines: ToolDocument[] = [];
  for (const [index, form] of forms.entries()) {
    lines = members.map(form);
    if (jsonBytes(lines) <= bytesMax - FRAME_BYTES) return { lines, isShortened: index > 0 };
  }
  return { lines, isShortened: true };
}

interface LongText {
  /** What the text is of: a cursor is good for nothing else. */
  readonly of: string;
  readonly text: string;
  /** Where an earlier answer ended; null: the beginning. */
  readonly cursor: string | null;
}

/**
 * The document with as much of the text in `name` as there is room for, and `next_cursor` where more is left. The text must still be the one that
 * the cursor was made for: a page of another one would be read as if it went on.
 */
export function withText(
  document: ToolDocument,
  name: string,
  { of, text, cursor }: LongText,
  bytesMax: number = RESULT_BYTES_MAX,
): ToolDocument {
  const scope = `mcp ${of} ${createHash('sha256').update(text).digest('base64url').slice(0, 12)}`;
  const from = cursor === null ? 0 : positionOf(readPageToken(cursor, scope, 1), text);
  const head = fitted(document, bytesMax - CURSOR_BYTES - CHUNK_BYTES_MIN);
  const room = bytesMax - jsonBytes(head) - CURSOR_BYTES;
  const chunk = chunkOf(text, from, room);
  const end = from + chunk.length;
  const next = end < text.length ? { next_cursor: makePageToken(scope, [String(end)]) } : {};
  return { ...head, [name]: chunk, ...next };
}

function positionOf(parts: readonly string[] | null, text: string): number {
  const position = Number(parts?.[0]);
  if (!Number.isInteger(position) || position < 0 || position > text.length) throw badPageToken();
  return position;
}

/** From there, as much as takes so many bytes as JSON, and no half of a character. */
function chunkOf(text: string, from: number, bytesMax: number): string {
  // A character takes at least a byte.
  let low = 0;
  let high = Math.min(text.length - from, bytesMax);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (jsonBytes(text.slice(from, from + middle)) <= bytesMax) low = middle;
    else high = middle - 1;
  }
  return excerptOf(text.slice(from), Math.max(low, Math.min(2, text.length - from)));
}

interface Divisible {
  /** Of which the JSON comes in parts: without what moves all the time, or no second part would go on from the first. */
  readonly still: ToolDocument;
  readonly of: string;
  /** What is said with each part. */
  readonly head: ToolDocument;
}

/** The document where it fits, else its JSON in parts. */
export function inParts(
  document: ToolDocument,
  { still, of, head }: Divisible,
  cursor: string | null,
): ToolDocument {
  if (cursor === null && jsonBytes(document) <= RESULT_BYTES_MAX) return document;
  return withText(head, 'json_part', { of, text: JSON.stringify(still), cursor });
}
