/** Parsers for option values: what makes no sense is a usage error before anything is sent. */
import { type Command, InvalidArgumentError, Option } from 'commander';

export function integerFrom(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^[+-]?\d+$/.test(value) || number < min || number > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}

/** For options that may be given several times: `key=value` each. */
export function labelInto(
  value: string,
  labels: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = value.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('It must look like key=value.');
  return { ...labels, [value.slice(0, at)]: value.slice(at + 1) };
}

export function appendTo(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

export function listFrom(value: string): string[] {
  return value.split(',').filter((item) => item !== '');
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Longer than anybody waits for anything here, and short enough to be added to a time of day. */
const DURATION_SECONDS_MAX = 366 * 86_400;

/** 90, 90s, 10m, 2h, 1d, in seconds. */
export function durationUpTo(maxSeconds: number, minSeconds = 1): (value: string) => number {
  return (value) => {
    const match = /^(\d{1,9})([smhd]?)$/.exec(value);
    const seconds = Number(match?.[1]) * (UNIT_SECONDS[match?.[2] || 's'] ?? 0);
    if (match === null || seconds < minSeconds || seconds > maxSeconds)
      throw new InvalidArgumentError(
        `It must be like 90s, 10m, 2h or 1d, from ${minSeconds} to ${maxSeconds} seconds.`,
      );
    return seconds;
  };
}

export const durationFrom = durationUpTo(DURATION_SECONDS_MAX);

/** RFC 3339, or from now: +30s, +10m, +2h, +1d. As the wire wants it: UTC with milliseconds. */
export function timeFrom(nowMs: () => number): (value: string) => string {
  return (value) => {
    const relative = /^\+(\d{1,9})([smhd])$/.exec(value);
    const seconds = Number(relative?.[1]) * (UNIT_SECONDS[relative?.[2] ?? ''] ?? 0);
    // Date.parse alone would also take "+5" for a date.
    const absoluteMs = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
    const atMs = relative === null ? absoluteMs : nowMs() + seconds * 1000;
    if (!Number.isFinite(atMs)) throw new InvalidArgumentError('It must be a time (RFC 3339) or like +10m.');
    return new Date(atMs).toISOString();
  };
}

/** -w of a list. What changes is found anywhere in the list, not on the page that was left off at. */
export function watchOption(what: string): Option {
  const text = `go on with ${what} that change, until Ctrl-C; with --json one a line`;
  return new Option('-w, --watch', text).conflicts('pageToken');
}

/** An option whose name begins with "no-" without being the negation of another. */
export function plainNoOption(flags: string, description: string): Option {
  const option = new Option(flags, description);
  option.negate = false;
  return option;
}

const EXAMPLES = new WeakMap<Command, string>();

/** Help leads with what people want to do. Given twice, the later ones count. */
export function withExamples(command: Command, examples: string): Command {
  const isFirst = !EXAMPLES.has(command);
  EXAMPLES.set(command, examples.trimEnd());
  if (isFirst) command.addHelpText('before', () => `Examples:\n${EXAMPLES.get(command)}\n`);
  return command;
}

/** The same for several subcommands of a noun, by their names. */
export function giveExamples(noun: Command, examples: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(examples)) {
    const command = noun.commands.find((each) => each.name() === name);
    if (command === undefined) throw new Error(`${noun.name()} has no subcommand ${name}`);
    withExamples(command, text);
  }
}

/** For the documentation, which is made of the commands themselves. */
export function examplesOf(command: Command): string | undefined {
  return EXAMPLES.get(command);
}

/** Only what was given: the API tells absent from null. */
export function given<T extends Record<string, unknown>>(
  fields: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
