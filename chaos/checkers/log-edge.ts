/**
 * Where a log that is pruned begins: its edge is the newest event that is gone. It only rises, never reaches an event that is to be kept still,
 * nor beyond the end.
 */
import type { AtMs, PrunedState } from '../history.ts';
import { CLOCK_DRIFT_MS, databaseClock } from './database-clock.ts';
import type { Finding, KnownLog } from './known-log.ts';

/**
 * What somebody was told of the edge. `behind`: it was at this event or a later one, at that time or sooner. `by`: it was at this event or
 * an earlier one, at that time or later.
 */
export interface EdgeSighting {
  readonly begins: 'behind' | 'by';
  readonly seq: number;
  readonly at: AtMs;
  readonly evidence: unknown;
}

export function checkEdge(told: readonly EdgeSighting[], log: KnownLog, final: PrunedState): Finding[] {
  const { prunedSeq: seq, readFromMs, readAtMs } = final;
  const end = { seq, evidence: 'the final state' };
  const sightings: EdgeSighting[] = [
    ...told,
    { begins: 'behind', at: readAtMs, ...end },
    { begins: 'by', at: readFromMs, ...end },
  ];
  return [...checkRise(sightings), ...checkAge(sightings, log, final), ...checkRest(final)];
}

/** What lay behind the edge at one time never lies before it later. */
function checkRise(sightings: readonly EdgeSighting[]): Finding[] {
  const rank = ({ begins }: EdgeSighting): number => (begins === 'by' ? 0 : 1);
  const inOrder = [...sightings].sort((one, other) => one.at - other.at || rank(one) - rank(other));
  let furthest: EdgeSighting | null = null;
  const findings: Finding[] = [];
  for (const sighting of inOrder) {
    if (sighting.begins === 'behind') {
      if (furthest === null || sighting.seq > furthest.seq) furthest = sighting;
    } else if (furthest !== null && furthest.seq > sighting.seq)
      findings.push({ detail: 'what was told to be gone was there later', evidence: { furthest, sighting } });
  }
  return findings;
}

/** What is gone was old enough by then, and had been there. */
function checkAge(sightings: readonly EdgeSighting[], log: KnownLog, final: PrunedState): Finding[] {
  const atMs = databaseClock(final);
  return sightings.flatMap((sighting) => {
    const { begins, seq, at } = sighting;
    const event = log.eventAt(seq);
    if (begins === 'by' || seq === 0) return [];
    if (event === undefined)
      return seq > final.seq && at < final.readFromMs
        ? [{ detail: 'an event was told to be gone that had never been', evidence: { sighting } }]
        : [];
    return atMs(event.at) + final.keptSeconds.events * 1000 > at + CLOCK_DRIFT_MS
      ? [{ detail: 'an event was gone before its time', evidence: { sighting, event } }]
      : [];
  });
}

/** What is left is every event behind the edge. */
function checkRest({ prunedSeq, seq, events }: PrunedState): Finding[] {
  const isDense = events.every((event, place) => event.seq === prunedSeq + 1 + place);
  return isDense && prunedSeq + events.length === seq
    ? []
    : [
        {
          detail: 'the log is not dense from its edge to its end',
          evidence: { prunedSeq, seq, seqs: events.map((event) => event.seq) },
        },
      ];
}
