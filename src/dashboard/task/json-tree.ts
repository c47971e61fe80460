/** A JSON value as rows of a tree: what a row says of itself, and how much of a large value is shown at first. Pure. */

/** Entries of one object or list that are shown at first, and that each "more" adds. */
export const ENTRIES_SHOWN = 100;
/** Characters of one text that are shown at first. */
export const TEXT_SHOWN = 1000;

export interface JsonEntry {
  readonly name: string;
  readonly value: unknown;
}

export type JsonShape =
  | { readonly type: 'tree'; readonly isList: boolean; readonly count: number }
  | { readonly type: 'leaf'; readonly text: string; readonly kind: 'text' | 'number' | 'word' };

export function shapeOf(value: unknown): JsonShape {
  if (Array.isArray(value)) return { type: 'tree', isList: true, count: value.length };
  if (typeof value === 'object' && value !== null)
    return { type: 'tree', isList: false, count: Object.keys(value).length };
  if (typeof value === 'string') return { type: 'leaf', text: value, kind: 'text' };
  return { type: 'leaf', text: String(value), kind: typeof value === 'number' ? 'number' : 'word' };
}

/** The first `max` of an object's or a list's entries, without walking the others. */
export function entriesOf(value: unknown, max: number): readonly JsonEntry[] {
  if (Array.isArray(value))
    return value.slice(0, max).map((each: unknown, index) => ({ name: String(index), value: each }));
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value)
    .slice(0, max)
    .map((name) => ({ name, value: Reflect.get(value, name) as unknown }));
}

/** "{3}", "[12]": what is behind a row that is closed. */
export function previewOf({ isList, count }: { readonly isList: boolean; readonly count: number }): string {
  return isList ? `[${count}]` : `{${count}}`;
}

/** null, {} and [] say nothing. */
export function isEmptyJson(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  const shape = shapeOf(value);
  return shape.type === 'tree' && shape.count === 0;
}
