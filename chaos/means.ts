/**
 * What some faults need of this machine. A run does without those that it cannot bring about, and says so; one that was asked for by name is
 * not left out in silence either. Where programs are required, as in CI, none is left out at all.
 */
import { areProgramsRequired } from '../scripts/needed-programs.mjs';
import { type DebianPostgres, findDebianPostgres } from './debian-postgres.ts';
import { findFakeTimeLibrary } from './fake-clock.ts';
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import type { ChaosOptions } from './options.ts';

export interface Means {
  /** null: every clock is the machine's, because there is none or no fault wants it. */
  readonly fakeTimeLibrary: string | null;
  /** null: one Postgres, the embedded one. */
  readonly standby: DebianPostgres | null;
  readonly faults: readonly FaultKind[];
  /** One sentence for each kind, or two, that was left out. */
  readonly omissions: readonly string[];
}

interface Machine extends Pick<Means, 'fakeTimeLibrary' | 'standby'>, Pick<ChaosOptions, 'hasStandby'> {
  /** What is missing is an error also of a run that has not asked for it by name. */
  readonly mustHaveAll: boolean;
}

export class MissingMeansError extends Error {
  override readonly name = 'MissingMeansError';
}

const CLOCK_KINDS: readonly FaultKind[] = ['jump-server-clock', 'jump-worker-clock'];

export function findMeans({ faults, hasStandby }: Pick<ChaosOptions, 'faults' | 'hasStandby'>): Means {
  return decideMeans(faults, {
    fakeTimeLibrary: findFakeTimeLibrary(),
    standby: hasStandby ? findDebianPostgres() : null,
    hasStandby,
    mustHaveAll: areProgramsRequired(),
  });
}

export function decideMeans(
  asked: readonly FaultKind[] | null,
  { fakeTimeLibrary, standby, hasStandby, mustHaveAll }: Machine,
): Means {
  if (hasStandby && standby === null)
    throw new MissingMeansError(
      "--failover needs Debian's Postgres 15 or later, with pg_basebackup (Debian: postgresql)",
    );
  const lacks = [
    ...(fakeTimeLibrary === null
      ? [{ kinds: CLOCK_KINDS, reason: 'there is no libfaketime (Debian: libfaketime)' }]
      : []),
    ...(standby === null
      ? [{ kinds: ['failover'] as const, reason: 'there is no standby without --failover' }]
      : []),
  ];
  const missing = new Map(lacks.flatMap(({ kinds, reason }) => kinds.map((kind) => [kind, reason] as const)));
  for (const kind of asked ?? []) {
    const reason = missing.get(kind);
    if (reason !== undefined) throw new MissingMeansError(`${kind}: ${reason}`);
  }
  const lines = asked === null ? lacks.map(({ kinds, reason }) => `${kinds.join(', ')}: ${reason}`) : [];
  if (mustHaveAll && lines.length > 0)
    throw new MissingMeansError(`LANEKEEPER_REQUIRE_PROGRAMS=1 insists on every fault: ${lines.join('; ')}`);
  const faults = asked ?? FAULT_KINDS.filter((kind) => !missing.has(kind));
  return {
    fakeTimeLibrary: CLOCK_KINDS.some((kind) => faults.includes(kind)) ? fakeTimeLibrary : null,
    standby,
    faults,
    omissions: lines.map((line) => `left out: ${line}`),
  };
}
