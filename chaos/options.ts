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
  /** null: all that this machine can bring about. */
  readonly faults: readonly FaultKind[] | null;
  /** On a primary with a synchronous standby. */
  readonly hasStandby: boolean;
  readonly plant: PlantName | null;
  /** For each: one run after the other, all faults, written down in chaos/proof.md. null: one run. */
  readonly proofMinutes: number | null;
  /** Keep the directory also when nothing was found. */
  readonly isKept: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `usage: npm run chaos -- [--seed N] [--seconds S] [--servers N] [--workers N] [--delegations N] [--faults a,b] [--failover] [--plant NAME] [--keep]
       npm run chaos -- --proof [--minutes M] [--keep]
  --seed     the same seed gives the same plan of faults and the same choices (default: a random one, printed)
  --seconds  how long there is load and faults (default 90); starting, draining and checking come on top
  --servers  2 or 3 servers on one Postgres (default 2)
  --workers  processes that work (default 12)
  --delegations  at least so many are made in that time (default: four in five seconds)
  --faults   only these: ${FAULT_KINDS.join(', ')}
  --failover on Debian's Postgres, a primary and a synchronous standby that takes its place when it is killed
  --plant    run against a server with a bug: ${PLANT_NAMES.join(', ')}
  --proof    seeds 1, 2 and 3 with all faults, one after the other; if all are clean and of 30 minutes or more, it writes chaos/proof.md and its table in
             docs/guarantees.md, otherwise a file under the system's temporary directory
  --minutes  of a proof: for each seed (default 30)
  --keep     keep the recording also when nothing was found`;

/** The shortest that has a calm and a storm. */
const SECONDS_MIN = 15;
const SECONDS_MAX = 6 * 3600;
/** That of the smoke run. */
const SECONDS_DEFAULT = 90;
/** Some three a second for the longest. */
const DELEGATIONS_MAX = 60_000;
const PROOF_FLAGS: ReadonlySet<string> = new Set(['proof', 'minutes', 'keep']);
/** Half an hour for each seed: the bar of the project. */
const PROOF_MINUTES_DEFAULT = 30;
const PROOF_MINUTES_MAX = 360;
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
      failover: { type: 'boolean' },
      plant: { type: 'string' },
      proof: { type: 'boolean' },
      minutes: { type: 'string' },
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
    faults: values.faults === undefined ? null : readNames('--faults', values.faults, FAULT_KINDS),
    hasStandby: values.failover ?? false,
    plant: values.plant === undefined ? null : (readNames('--plant', values.plant, PLANT_NAMES)[0] ?? null),
    proofMinutes: readProof(values),
    isKept: values.keep ?? false,
  };
}

/** What a proof runs is fixed but for its length: who reads it must know what it was. */
function readProof(values: Readonly<Record<string, string | boolean | undefined>>): number | null {
  const { proof, minutes } = values;
  if (proof !== true) {
    if (minutes !== undefined) throw new UsageError('--minutes belongs to --proof; otherwise say --seconds');
    return null;
  }
  const others = Object.keys(values).filter((flag) => !PROOF_FLAGS.has(flag));
  if (others.length > 0)
    throw new UsageError(`--proof goes with --minutes and --keep only, not --${others[0]}`);
  return readCount('--minutes', minutes?.toString(), PROOF_MINUTES_DEFAULT, [1, PROOF_MINUTES_MAX]);
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
