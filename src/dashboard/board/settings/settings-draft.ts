/**
 * What a person has entered over the settings of a board that goes on changing under it. What they have not touched is always what the board
 * is now. What they have is theirs until they say otherwise: where somebody else sets the same to something else meanwhile, it is contested,
 * and not sent before they have chosen. Pure.
 */
import type { Board, BodyOf } from '../../../client/index.ts';
import { entryOf, readEntry, wordsOf } from './setting-entry.ts';
import {
  namesIn,
  SETTINGS,
  type Setting,
  type SettingPointer,
  type SettingValue,
  valueIn,
} from './settings.ts';

interface Entry {
  readonly text: string;
  /** As the setting was when they entered this, or chose it over what somebody else had set. */
  readonly seen: string;
  /** Entered while it was contested: passing by the old value settles nothing, they have still to choose. */
  readonly isDisputed: boolean;
}

export type Entries = Readonly<Partial<Record<SettingPointer, Entry>>>;

export const NO_ENTRIES: Entries = {};

export interface FieldState {
  readonly setting: Setting;
  /** What the field shows. */
  readonly text: string;
  /** What the board has. */
  readonly now: SettingValue;
  /** What is to be sent. null: nothing. */
  readonly change: { readonly value: SettingValue } | null;
  /** Why what was entered is no value. */
  readonly complaint: string | null;
  /** Somebody else has set it meanwhile, and to something else. */
  readonly isContested: boolean;
  /** The board has come to what was entered. */
  readonly isThere: boolean;
}

/** All settings, in their order. */
export function fieldsOf(board: Board, entries: Entries): readonly FieldState[] {
  return SETTINGS.map((setting) => fieldOf(setting, valueIn(board, setting), entries[setting.pointer]));
}

function fieldOf(setting: Setting, now: SettingValue, entry: Entry | undefined): FieldState {
  const nowText = entryOf(setting, now);
  const untouched: FieldState = {
    setting,
    text: nowText,
    now,
    change: null,
    complaint: null,
    isContested: false,
    isThere: false,
  };
  if (entry === undefined) return untouched;
  const { text, seen, isDisputed } = entry;
  const isContested = nowText !== seen;
  const read = readEntry(setting, text);
  if (!read.isValue) return { ...untouched, text, complaint: read.complaint, isContested };
  const said = entryOf(setting, read.value);
  // The same in other words: theirs to see as long as nobody changes it.
  if (said === seen && !(isContested && isDisputed)) return isContested ? untouched : { ...untouched, text };
  if (said === nowText) return { ...untouched, text, isThere: true };
  return { ...untouched, text, change: { value: read.value }, isContested };
}

export function withEntry(entries: Entries, field: FieldState, text: string): Entries {
  const { setting, now, isContested } = field;
  const before = entries[setting.pointer];
  const seen = before?.seen ?? entryOf(setting, now);
  const isDisputed = isContested || before?.isDisputed === true;
  if (text === seen && !isDisputed) return withoutEntry(entries, field);
  return { ...entries, [setting.pointer]: { text, seen, isDisputed } };
}

/** What somebody else has set is to stand. */
export function withoutEntry(entries: Entries, { setting }: FieldState): Entries {
  return Object.fromEntries(Object.entries(entries).filter(([pointer]) => pointer !== setting.pointer));
}

/** What was entered is to stand, over what somebody else has set. */
export function withEntryKept(entries: Entries, { setting, text, now }: FieldState): Entries {
  return { ...entries, [setting.pointer]: { text, seen: entryOf(setting, now), isDisputed: false } };
}

/** What is lost by leaving. */
export function unsavedOf(fields: readonly FieldState[]): readonly FieldState[] {
  return fields.filter(({ change, complaint }) => change !== null || complaint !== null);
}

/** Nothing is sent before they are mended. */
export function unclearOf(fields: readonly FieldState[]): readonly FieldState[] {
  return fields.filter(({ complaint, isContested }) => complaint !== null || isContested);
}

/** What somebody else has changed since. */
export function changedSince(opened: Board, fields: readonly FieldState[]): readonly FieldState[] {
  return fields.filter(
    ({ setting, now, isThere }) =>
      !isThere && entryOf(setting, now) !== entryOf(setting, valueIn(opened, setting)),
  );
}

/** Only what was changed: what somebody else changes in other settings stays. */
export function bodyOf(fields: readonly FieldState[]): BodyOf<'patchBoard'> {
  const body: Record<string, unknown> = {};
  for (const { setting, change } of fields) {
    if (change !== null) put(body, namesIn(setting.pointer), change.value);
  }
  return body as BodyOf<'patchBoard'>;
}

function put(object: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    object[name] = value;
    return;
  }
  const inner = (object[name] ?? {}) as Record<string, unknown>;
  object[name] = inner;
  put(inner, rest, value);
}

export interface Loss {
  readonly pointer: SettingPointer;
  /** What goes. */
  readonly what: string;
  /** How long it was kept, and how long it is to be, in words. */
  readonly before: string;
  readonly after: string;
}

/** null: nothing is deleted by the change. */
export function lossOf({ setting, now, change }: FieldState): Loss | null {
  if (setting.loses === undefined || typeof change?.value !== 'number') return null;
  if (typeof now === 'number' && change.value >= now) return null;
  return {
    pointer: setting.pointer,
    what: setting.loses,
    before: wordsOf(setting, now),
    after: wordsOf(setting, change.value),
  };
}
