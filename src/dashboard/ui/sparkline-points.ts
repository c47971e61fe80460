/** The line of a sparkline, in units of its view box. Pure. */
export const SPARKLINE_WIDTH = 120;
export const SPARKLINE_HEIGHT = 24;
/** Room for half of the stroke. */
const MARGIN = 1.5;

/** "x,y x,y …" with the highest value at the top; a course of zeroes, or of nothing, is a line along the bottom. */
export function sparklinePoints(values: readonly number[]): string {
  const courses = values.length < 2 ? [values[0] ?? 0, values[0] ?? 0] : values;
  const highest = Math.max(1, ...courses);
  const step = SPARKLINE_WIDTH / (courses.length - 1);
  const round = (value: number): number => Math.round(value * 10) / 10;
  return courses
    .map((value, at) => {
      const y = SPARKLINE_HEIGHT - MARGIN - (value / highest) * (SPARKLINE_HEIGHT - 2 * MARGIN);
      return `${round(at * step)},${round(y)}`;
    })
    .join(' ');
}
