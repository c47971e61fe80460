/** The command line of the benchmark. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Empty: every scenario but the extra ones. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Length of a throughput window. */
  readonly seconds: number;
  /** True: the length was given, and holds for what has another one by itself (P9, P16). */
  readonly areSecondsGiven: boolean;
  /** Of P18; null: as many as the scenario has by itself. */
  readonly boards: number | null;
  readonly jsonFile: string | null;
  readonly chartFile: string | null;
  /** Put the results into bench/README.md and bench/results.svg. */
  readonly isForReadme: boolean;
  /** Take the results of an earlier run instead of running. */
  readonly fromFile: string | null;
  /** Directory for CPU profiles of our server; null: none. */
  readonly profileDir: string | null;
}

export const USAGE = `usage: npm run bench -- [--only P1,P4] [--rounds N] [--seconds N] [--boards N] [--json FILE] [--chart FILE] [--readme] [--from FILE] [--profile DIR]
  --only     scenarios to run (default: P1 to P8, P10 and P11; the others are measured by themselves)
  --rounds   rounds, each with every contender once (default 3; P9, P16: always 1)
  --seconds  length of a throughput window (default 5); of all of P9, and of each half of P16 (default 600)
  --boards   boards of P18 (default 10,000)
  --json     also write every measurement to FILE
  --chart    also draw the bars that are met and missed: FILE is an SVG
  --readme   also put the results into bench/README.md, and the chart beside it
  --from     run nothing: take what an earlier run wrote with --json
  --profile  run our server with --cpu-prof and keep the profiles in DIR (the figures are then not comparable)`;

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The least that has a median and a spread. */
const ROUNDS_DEFAULT = 3;
/** Steady after a second, and with three rounds all scenarios together stay under twenty minutes, each under five. */
const SECONDS_DEFAULT = 5;
const ROUNDS_MAX = 100;
/** Ten times what is asked for. */
const BOARDS_MAX = 100_000;
/** The ten minutes of P9. */
const SECONDS_MAX = 600;

export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      boards: { type: 'string' },
      json: { type: 'string' },
      chart: { type: 'string' },
      readme: { type: 'boolean' },
      from: { type: 'string' },
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
    areSecondsGiven: values.seconds !== undefined,
    boards: values.boards === undefined ? null : readCount('--boards', values.boards, 1, BOARDS_MAX),
    jsonFile: values.json ?? null,
    chartFile: values.chart ?? null,
    isForReadme: values.readme ?? false,
    fromFile: values.from ?? null,
    profileDir: values.profile ?? null,
  };
}

/** What repeats the measurement, without where its results went. */
export function commandOf({ only, rounds, seconds, areSecondsGiven, boards }: BenchOptions): string {
  const flags = [
    ...(only.length === 0 ? [] : [`--only ${only.join(',')}`]),
    ...(rounds === ROUNDS_DEFAULT ? [] : [`--rounds ${rounds}`]),
    ...(areSecondsGiven ? [`--seconds ${seconds}`] : []),
    ...(boards === null ? [] : [`--boards ${boards}`]),
  ];
  return flags.length === 0 ? 'npm run bench' : `npm run bench -- ${flags.join(' ')}`;
}

function readCount(flag: string, text: string | undefined, fallback: number, max: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new UsageError(`${flag} is a whole number from 1 to ${max}`);
  return value;
}
