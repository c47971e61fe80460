/**
 * The heartbeats of one batch, in rounds of at most one of each run. Bare ones are joined with another one of their run, so that a run that
 * sends hundreds at once costs its board no more than any other; what carries something stands alone, so that all of it is kept. Pure.
 *
 * One round for each heartbeat of a run was a statement for each of them, and all other heartbeats of the board waited for them.
 */
import { present } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { HoldRef } from '../store/end.ts';
import type { RunBeat } from './run-operation.ts';

/**
 * Statements of one run in one batch, for all others wait for them: some 5 ms each when something is carried. Four heartbeats that carry
 * something, between two batches, are more than any worker has to say.
 */
const ROUNDS_MAX = 4;

/** Heartbeats of one run that are one for the database: at most one of them carries more than a lease. */
export class JoinedBeats implements HoldRef {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  /** In the order in which they came. */
  readonly beats: RunBeat[];
  /** The one that carries something. */
  carrier: RunBeat | null;

  constructor(first: RunBeat) {
    this.taskId = first.taskId;
    this.runId = first.runId;
    this.attempt = first.attempt;
    this.beats = [first];
    this.carrier = isCarrying(first) ? first : null;
  }

  /** Speaks for all of them. */
  get lead(): RunBeat {
    return present(this.carrier ?? this.beats[0], 'somebody is left of them');
  }

  /** What they ask for one after the other: the last that asks for a lease gets it. */
  get leaseSeconds(): number | null {
    return (
      this.beats.findLast(({ body }) => (body.lease_seconds ?? null) !== null)?.body.lease_seconds ?? null
    );
  }

  /** False: two things to keep need two rounds. */
  join(beat: RunBeat): boolean {
    const isCarrier = isCarrying(beat);
    if (isCarrier && this.carrier !== null) return false;
    if (isCarrier) this.carrier = beat;
    this.beats.push(beat);
    return true;
  }

  /** What it carries cannot be kept: the others go on without it. */
  dropCarrier(): void {
    this.beats.splice(0, this.beats.length, ...this.beats.filter((beat) => beat !== this.carrier));
    this.carrier = null;
  }
}

interface BeatRounds {
  /** Each in task order, so that two servers lock alike. */
  readonly rounds: readonly (readonly JoinedBeats[])[];
  /** More than one run may have kept at once. */
  readonly refused: readonly RunBeat[];
}

/** Not by task: a stale worker's heartbeat must not stand in the way of the holder's. */
export function roundsOf(beats: readonly RunBeat[]): BeatRounds {
  const byRun = new Map<Uuid, JoinedBeats[]>();
  const refused: RunBeat[] = [];
  for (const beat of beats) {
    const ofRun = byRun.get(beat.runId);
    if (ofRun === undefined) byRun.set(beat.runId, [new JoinedBeats(beat)]);
    else if (ofRun.at(-1)?.join(beat)) continue;
    else if (ofRun.length < ROUNDS_MAX) ofRun.push(new JoinedBeats(beat));
    else refused.push(beat);
  }
  const rounds: JoinedBeats[][] = [];
  for (const ofRun of byRun.values())
    ofRun.forEach((joined, index) => {
      const round = rounds[index];
      if (round === undefined) rounds.push([joined]);
      else round.push(joined);
    });
  for (const round of rounds) round.sort((left, right) => (left.taskId < right.taskId ? -1 : 1));
  return { rounds, refused };
}

function isCarrying({ body: { note, metadata, progress, checkpoint } }: RunBeat): boolean {
  return Boolean(note) || Boolean(metadata) || (progress ?? null) !== null || (checkpoint ?? null) !== null;
}
