/** A setting as its field has it, which is text whatever it is, as the server has it, and in words. Pure. */
import type { Setting, SettingValue } from './settings.ts';
import { secondsOf, timeEntry, timeWords } from './typed-time.ts';

export type ReadEntry =
  | { readonly isValue: true; readonly value: SettingValue }
  | { readonly isValue: false; readonly complaint: string };

const ON = 'yes';
const OFF = 'no';

export const entryOfSwitch = (isOn: boolean): string => (isOn ? ON : OFF);
export const isOnEntry = (entry: string): boolean => entry === ON;

function linesOf(value: SettingValue): readonly string[] {
  return typeof value === 'object' && value !== null ? value : [];
}

/** Two values are the same where their entries are. */
export function entryOf({ kind }: Setting, value: SettingValue): string {
  switch (kind) {
    case 'switch':
      return entryOfSwitch(value === true);
    case 'lines':
      return linesOf(value).join('\n');
    case 'time':
      return timeEntry(typeof value === 'number' ? value : null);
    case 'line':
    case 'prose':
    case 'lane':
    case 'count':
      return value === null ? '' : String(value);
  }
}

export function readEntry(setting: Setting, entry: string): ReadEntry {
  switch (setting.kind) {
    case 'switch':
      return taken(isOnEntry(entry));
    case 'lines':
      return taken(
        entry
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== ''),
      );
    case 'time':
      return numberOf(setting, secondsOf(entry), 'a whole number; for a part of a unit take a smaller one');
    case 'count':
      return numberOf(setting, countOf(entry.trim()), 'a whole number');
    case 'line':
    case 'prose':
    case 'lane':
      return orNone(setting, entry.trim() === '' ? null : entry.trim());
  }
}

const taken = (value: SettingValue): ReadEntry => ({ isValue: true, value });
const complain = (complaint: string): ReadEntry => ({ isValue: false, complaint });

function orNone({ none }: Setting, value: SettingValue): ReadEntry {
  return value === null && none === undefined ? complain('This must not be empty.') : taken(value);
}

function countOf(text: string): number | null {
  if (text === '') return null;
  const count = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(count) ? count : Number.NaN;
}

/** The server says the same of a range, but in its own unit. */
function numberOf(setting: Setting, number: number | null, form: string): ReadEntry {
  if (number === null) return orNone(setting, null);
  if (Number.isNaN(number)) return complain(`This must be ${form}.`);
  const [least, most] = setting.range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  if (number >= least && number <= most) return taken(number);
  return complain(`This must be from ${wordsOf(setting, least)} to ${wordsOf(setting, most)}.`);
}

/** For people. */
export function wordsOf({ kind, none = 'none' }: Setting, value: SettingValue): string {
  if (value === null) return none;
  switch (kind) {
    case 'switch':
      return entryOfSwitch(value === true);
    case 'lines':
      return linesOf(value).join(', ') || none;
    case 'time':
      return timeWords(Number(value));
    case 'count':
      return Number(value).toLocaleString();
    case 'line':
    case 'prose':
    case 'lane':
      return String(value) || none;
  }
}
