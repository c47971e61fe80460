/**
 * What goes wrong, and when: a plan that follows from the seed alone. Storms in which one fault comes on the heels of another, so that
 * they overlap, and calms in between, long enough to ask whether the system is well again. Pure; fault-runner.ts carries it out.
 */
import type { Random } from './random.ts';

export const FAULT_KINDS = [
  'kill-worker',
  'stop-worker',
  'kill-gateway',
  'stop-gateway',
  'kill-synthesizer',
  'kill-churn',
  'stop-churn',
  'kill-server',
  'stop-server',
  'restart-server',
  'kill-postgres',
  'stop-postgres',
  'kill-backend',
  'terminate-listener',
  'terminate-backend',
  'cut-proxy',
  'delay-proxy',
  'silence-proxy',
  'half-open-proxy',
  'jump-server-clock',
  'jump-worker-clock',
  'rolling-restart',
  'failover',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** From the start of the load. */
  readonly atMs: number;
  /** Of a fault that lasts; otherwise 0. */
  readonly durationMs: number;
  /** Chooses the target: modulo however many there are. */
  readonly target: number;
}

/** How often each comes relative to the others: what is cheap for the rest of the system comes more often. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  'kill-worker': 5,
  'stop-worker': 4,
  'kill-gateway': 3,
  'stop-gateway': 2,
  'kill-synthesizer': 2,
  'kill-churn': 2,
  'stop-churn': 1,
  'kill-server': 3,
  'stop-server': 1,
  'restart-server': 1,
  'kill-postgres': 1,
  'stop-postgres': 1,
  'kill-backend': 1,
  'terminate-listener': 2,
  'terminate-backend': 2,
  'cut-proxy': 4,
  'delay-proxy': 2,
  'silence-proxy': 2,
  'half-open-proxy': 1,
  'jump-server-clock': 3,
  'jump-worker-clock': 2,
  'rolling-restart': 1,
  failover: 1,
};

/** Each meets one moment only, and not every time: a short run has them twice. */
const TWICE: readonly FaultKind[] = ['kill-gateway', 'kill-server', 'kill-postgres', 'jump-worker-clock'];

/** The lease of the lanes that are held under fire is 2 or 3 s; a stop of twice that lets every lease lapse. */
const DURATIONS_MS: Partial<Readonly<Record<FaultKind, readonly [number, number]>>> = {
  'stop-worker': [4000, 6000],
  'stop-gateway': [4000, 6000],
  'stop-churn': [4000, 6000],
  'stop-server': [4000, 6000],
  'cut-proxy': [50, 500],
  'delay-proxy': [1000, 3000],
  'silence-proxy': [1500, 5000],
  // Longer than the 15 s after which a server gives up a database that does not answer.
  'half-open-proxy': [17_000, 19_000],
  // Some leases lapse, and many are made and ended.
  'jump-server-clock': [5000, 9000],
  'jump-worker-clock': [5000, 9000],
};

/** What takes so long that the calm would be over before it is: only where the storm still lasts so long. */
const ROOM_MS: Partial<Readonly<Record<FaultKind, number>>> = {
  'half-open-proxy': 15_000,
  'rolling-restart': 6000,
  failover: 4000,
};

/** Enough for a few probes before anything has happened, also where a wake is lost and each takes 5 s. */
const FIRST_CALM_MS = 12_000;
const STORM_MS = 30_000;
/** The last fault's 6 s, the 5 s that the system has to settle, and some probes. */
const CALM_MS = 18_000;
/** Between two faults: shorter than most of them last. */
const GAP_MS = [1000, 2800] as const;

const roomOf = (kind: FaultKind): number => ROOM_MS[kind] ?? 0;

export function planFaults(random: Random, seconds: number, kinds: readonly FaultKind[]): PlannedFault[] {
  const plan: PlannedFault[] = [];
  if (kinds.length === 0) return plan;
  const endMs = seconds * 1000;
  const firstCalmMs = Math.min(FIRST_CALM_MS, endMs / 4);
  // Each kind once before any comes twice: a short run has them all.
  const fresh = [...random.shuffle(kinds), ...random.shuffle(TWICE.filter((kind) => kinds.includes(kind)))];
  const take = (leftMs: number): FaultKind => {
    const fits = (kind: FaultKind): boolean => roomOf(kind) <= leftMs;
    const place = fresh.findIndex(fits);
    return fresh.splice(place, place < 0 ? 0 : 1)[0] ?? random.choose(weightsOf(kinds.filter(fits)));
  };
  for (let stormAt = firstCalmMs; stormAt < endMs; stormAt += STORM_MS + CALM_MS) {
    // What the storms before had no room for comes while this one has.
    if (stormAt > firstCalmMs) fresh.sort((one, other) => roomOf(other) - roomOf(one));
    const stormEnd = Math.min(stormAt + STORM_MS, endMs);
    for (let atMs = stormAt; atMs < stormEnd; atMs += random.between(...GAP_MS)) {
      const leftMs = stormEnd - atMs;
      if (!kinds.some((kind) => roomOf(kind) <= leftMs)) break;
      const kind = take(leftMs);
      const durationMs = Math.round(random.between(...(DURATIONS_MS[kind] ?? [0, 0])));
      plan.push({ kind, atMs: Math.round(atMs), durationMs, target: random.whole(0, 1_000_000) });
    }
  }
  return plan;
}

function weightsOf(kinds: readonly FaultKind[]): Record<FaultKind, number> {
  return Object.fromEntries(
    FAULT_KINDS.map((kind) => [kind, kinds.includes(kind) ? WEIGHTS[kind] : 0]),
  ) as Record<FaultKind, number>;
}
