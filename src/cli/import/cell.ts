/** What may stand in a cell of an SQLite table, whatever its column says, read as what is needed. Nothing here throws. */

export type Cell = number | string | Uint8Array | null;
export type Row = Readonly<Record<string, Cell>>;

/** The wire takes times from 1970-01-02 to 9999 (contract/identifiers.ts). */
const TIME_MS_MIN = Date.UTC(1970, 0, 2);
const TIME_MS_MAX = Date.UTC(10_000, 0, 1);
/** As seconds this is the year 5138, as milliseconds 1973: whoever writes larger numbers writes milliseconds. */
const SECONDS_MAX = 1e11;
/** Deeper JSON is kept as the text it was: the wire takes a hundred levels in all. */
const DEPTH_MAX = 40;
const KEY_CHARACTERS_MAX = 255;

/** Null for what is not there. Never a NUL or half a surrogate pair: neither can be stored. */
export function textOf(cell: Cell | undefined): string | null {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === 'number') return String(cell);
  const text = typeof cell === 'string' ? cell : new TextDecoder().decode(cell);
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

/** The same, and null for what is empty or blank. */
export function wordOf(cell: Cell | undefined): string | null {
  return textOf(cell)?.trim() || null;
}

export function integerOf(cell: Cell | undefined): number | null {
  if (cell === null || cell === undefined) return null;
  const number = typeof cell === 'number' ? cell : Number(wordOf(cell) ?? Number.NaN);
  return Number.isFinite(number) ? Math.round(number) : null;
}

/** Within the bounds, or null for what is no number. */
export function boundedIntegerOf(cell: Cell | undefined, min: number, max: number): number | null {
  const number = integerOf(cell);
  return number === null ? null : Math.min(max, Math.max(min, number));
}

/** Seconds or milliseconds since 1970, also as text, or ISO text; without a zone it is UTC. As the wire has it. */
export function timeOf(cell: Cell | undefined): string | null {
  const text = wordOf(cell);
  if (text === null) return null;
  const number = Number(text);
  const ms = Number.isFinite(number) ? epochMs(number) : isoMs(text);
  if (!Number.isFinite(ms) || ms < TIME_MS_MIN || ms >= TIME_MS_MAX) return null;
  return new Date(ms).toISOString();
}

function epochMs(number: number): number {
  return Math.abs(number) < SECONDS_MAX ? number * 1000 : number;
}

function isoMs(text: string): number {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return Number.NaN;
  const withT = text.replace(' ', 'T');
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/i.test(withT);
  return Date.parse(hasZone || !withT.includes('T') ? withT : `${withT}Z`);
}

/** Parsed where it is an object or a list; anything else, also broken JSON, as it is. */
export function jsonOf(cell: Cell): unknown {
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell : String(cell);
  const text = textOf(cell);
  if (text === null) return null;
  if (cell instanceof Uint8Array) return { base64: Buffer.from(cell).toString('base64') };
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    const value = JSON.parse(text) as unknown;
    return isKeepable(value, 0) ? value : text;
  } catch {
    return text;
  }
}

/** What the server would refuse: too deep, keys too long or of its own language, texts that cannot be stored. */
function isKeepable(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= DEPTH_MAX) return false;
  return Object.entries(value).every(
    ([key, member]) =>
      key !== '__proto__' &&
      key.length <= KEY_CHARACTERS_MAX &&
      isKeepable(key, depth) &&
      isKeepable(member, depth + 1),
  );
}

/** An object, or null for anything else. */
export function objectOf(cell: Cell | undefined): Readonly<Record<string, unknown>> | null {
  const value = cell === undefined ? null : jsonOf(cell);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return value as Readonly<Record<string, unknown>>;
}

/** The beginning that fits, and whether something is missing. */
export function cutText(
  text: string,
  bytesMax: number,
  charactersMax = bytesMax,
): { text: string; isCut: boolean } {
  let cut = text.length > charactersMax ? text.slice(0, charactersMax).toWellFormed() : text;
  if (Buffer.byteLength(cut) > bytesMax) {
    // No character of UTF-8 is begun that does not fit; the decoder drops the half one.
    cut = new TextDecoder().decode(Buffer.from(cut).subarray(0, bytesMax)).replace(/\ufffd+$/, '');
  }
  return { text: cut, isCut: cut !== text };
}

/** The same for a text that travels as a JSON value, whose quotes and escapes count. */
export function cutJsonText(text: string, bytesMax: number): { text: string; isCut: boolean } {
  let cut = cutText(text, bytesMax);
  while (Buffer.byteLength(JSON.stringify(cut.text)) > bytesMax)
    cut = { text: cutText(cut.text, Math.floor(Buffer.byteLength(cut.text) / 2)).text, isCut: true };
  return cut;
}
