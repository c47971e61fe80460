/** The command line of the benchmark. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Empty: every scenario. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Length of a measured window. */
  readonly seconds: number;
  readonly jsonFile: string | null;
  /** Directory for CPU profiles of our server; null: none. */
  readonly profileDir: string | null;
}

export const USAGE = `usage: npm run bench -- [--only P1,P4] [--rounds N] [--seconds N] [--json FILE] [--profile DIR]
  --only     scenarios to run (default: all)
  --rounds   rounds, each with every contender once (default 3)
  --seconds  length of a throughput window (default 6)
  --json     also write every measurement to FILE
  --profile  run our server with --cpu-prof and keep the profiles in DIR (the figures are then not comparable)`;

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The least that has a median and a spread. */
const ROUNDS_DEFAULT = 3;
/** Steady after a second, and with three rounds all of P1 and P4 stays under five minutes. */
const SECONDS_DEFAULT = 6;
const ROUNDS_MAX = 100;
const SECONDS_MAX = 60;

export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  return {
    only: (values.only ?? '')
      .split(',')
      .map((id) => id.trim().toUpperCase())
      .filter((id) => id !== ''),
    rounds: readCount('--rounds', values.rounds, ROUNDS_DEFAULT, ROUNDS_MAX),
    seconds: readCount('--seconds', values.seconds, SECONDS_DEFAULT, SECONDS_MAX),
    jsonFile: values.json ?? null,
    profileDir: values.profile ?? null,
  };
}

function readCount(flag: string, text: string | undefined, fallback: number, max: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new UsageError(`${flag} is a whole number from 1 to ${max}`);
  return value;
}
