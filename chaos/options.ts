/** The command line of the chaos run. */
import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import { PLANT_NAMES, type PlantName } from './plants/plant.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly servers: number;
  readonly workers: number;
  /** How many are handed over in that time; null: at the usual pace. */
  readonly delegations: number | null;
  readonly faults: readonly FaultKind[];
  readonly plant: PlantName | null;
  /** Keep the directory also when nothing was found. */
  readonly isKept: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `usage: npm run chaos -- [--seed N] [--seconds S] [--servers N] [--workers N] [--delegations N] [--faults a,b] [--plant NAME] [--keep]
  --seed     the same seed gives the same plan of faults and the same choices (default: a random one, printed)
  --seconds  how long there is load and faults (default 90); starting, draining and checking come on top
  --servers  2 or 3 servers on one Postgres (default 2)
  --workers  processes that work (default 12)
  --delegations  at least so many are made in that time (default: four in five seconds)
  --faults   only these: ${FAULT_KINDS.join(', ')}
  --plant    run against a server with a bug: ${PLANT_NAMES.join(', ')}
  --keep     keep the recording also when nothing was found`;

/** The shortest that has a calm and a storm. */
const SECONDS_MIN = 15;
const SECONDS_MAX = 6 * 3600;
/** That of the smoke run. */
const SECONDS_DEFAULT = 90;
/** Some three a second for the longest. */
const DELEGATIONS_MAX = 60_000;
const SEED_MAX = 2 ** 31 - 1;

export function readOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seconds: { type: 'string' },
      servers: { type: 'string' },
      workers: { type: 'string' },
      delegations: { type: 'string' },
      faults: { type: 'string' },
      plant: { type: 'string' },
      keep: { type: 'boolean' },
    },
  });
  const randomSeed = 1 + Math.floor(Math.random() * SEED_MAX);
  return {
    seed: readCount('--seed', values.seed, randomSeed, [0, SEED_MAX]),
    seconds: readCount('--seconds', values.seconds, SECONDS_DEFAULT, [SECONDS_MIN, SECONDS_MAX]),
    servers: readCount('--servers', values.servers, 2, [2, 3]),
    workers: readCount('--workers', values.workers, 12, [1, 64]),
    delegations:
      values.delegations === undefined
        ? null
        : readCount('--delegations', values.delegations, 0, [0, DELEGATIONS_MAX]),
    faults: values.faults === undefined ? FAULT_KINDS : readNames('--faults', values.faults, FAULT_KINDS),
    plant: values.plant === undefined ? null : (readNames('--plant', values.plant, PLANT_NAMES)[0] ?? null),
    isKept: values.keep ?? false,
  };
}

function readNames<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  const names = text.split(',').filter((name) => name !== '');
  return names.map((name) => {
    const found = known.find((candidate) => candidate === name);
    if (found === undefined) throw new UsageError(`${flag}: there is no ${name}, only ${known.join(', ')}`);
    return found;
  });
}

function readCount(
  flag: string,
  text: string | undefined,
  fallback: number,
  [min, max]: readonly [number, number],
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`${flag} is a whole number from ${min} to ${max}`);
  return value;
}
