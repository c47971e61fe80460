/** Ages that have to look different. Pure. */
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 86_400;

type AgeClass = 'new' | 'minutes' | 'hours' | 'days';

export function ageClass(seconds: number): AgeClass {
  if (seconds < MINUTE_SECONDS) return 'new';
  if (seconds < HOUR_SECONDS) return 'minutes';
  return seconds < DAY_SECONDS ? 'hours' : 'days';
}
