/** A time as people type it, a number with its unit, of the seconds that the server has. Pure. */

/** From the largest, in which a time is shown where it divides it. */
const UNIT_SECONDS = { days: 86_400, hours: 3600, minutes: 60, seconds: 1 } as const;
export type TimeUnit = keyof typeof UNIT_SECONDS;
export const TIME_UNITS = Object.keys(UNIT_SECONDS) as readonly TimeUnit[];

/** Without a number it is null: no time at all. */
export interface TypedTime {
  readonly amount: string;
  readonly unit: TimeUnit;
}

function unitOf(seconds: number): TimeUnit {
  return TIME_UNITS.find((unit) => seconds % UNIT_SECONDS[unit] === 0) ?? 'seconds';
}

/** "30 days"; null: " days". */
export function timeEntry(seconds: number | null): string {
  if (seconds === null) return entryOfTime({ amount: '', unit: 'days' });
  const unit = unitOf(seconds);
  return entryOfTime({ amount: String(seconds / UNIT_SECONDS[unit]), unit });
}

export function entryOfTime({ amount, unit }: TypedTime): string {
  return `${amount} ${unit}`;
}

export function typedTime(entry: string): TypedTime {
  const at = entry.lastIndexOf(' ');
  const unit = TIME_UNITS.find((each) => each === entry.slice(at + 1)) ?? 'seconds';
  return { amount: entry.slice(0, Math.max(at, 0)), unit };
}

/** null: no time at all. NaN: it is no whole number of its unit, or beyond what can be counted. */
export function secondsOf(entry: string): number | null {
  const { amount, unit } = typedTime(entry);
  const digits = amount.trim();
  if (digits === '') return null;
  const seconds = /^\d+$/.test(digits) ? Number(digits) * UNIT_SECONDS[unit] : Number.NaN;
  return Number.isSafeInteger(seconds) ? seconds : Number.NaN;
}

/** "1 hour", "30 days", "90 seconds": exact, in the largest unit that divides it. */
export function timeWords(seconds: number): string {
  const unit = unitOf(seconds);
  const amount = seconds / UNIT_SECONDS[unit];
  return `${amount.toLocaleString()} ${amount === 1 ? unit.slice(0, -1) : unit}`;
}
