/** Which heartbeats of one batch are one statement: nothing that they carry is lost by it, and no run gets more than its rounds. */
import { expect, test } from 'vitest';
import type { HeartbeatBody } from '../../../../src/contract/runs.ts';
import { roundsOf } from '../../../../src/server/features/claims/run/beat-rounds.ts';
import type { RunBeat } from '../../../../src/server/features/claims/run/run-operation.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

/** Tasks sort against the order of their runs. */
function beatOf(run: number, body: HeartbeatBody = {}): RunBeat {
  return {
    taskId: `task-${9 - run}` as Uuid,
    runId: `run-${run}` as Uuid,
    attempt: 1,
    claim: {} as never,
    body,
  };
}

function shown(beats: readonly RunBeat[]) {
  const { rounds, refused } = roundsOf(beats);
  return {
    rounds: rounds.map((round) =>
      round.map(({ beats: joined }) => joined.map((beat) => beats.indexOf(beat))),
    ),
    refused: refused.map((beat) => beats.indexOf(beat)),
  };
}

test('bare heartbeats of a run are one, however many, and each run is in a round once, in task order', () => {
  const beats = Array.from({ length: 900 }, () => beatOf(1));
  expect(shown([beatOf(2), ...beats, beatOf(2), beatOf(3)])).toEqual({
    rounds: [[[902], [0, 901], beats.map((_, index) => index + 1)]],
    refused: [],
  });
});

test('what carries something has a round of its own, four at most; bare ones join and are never refused', () => {
  const carrying: HeartbeatBody[] = [{ note: 'a' }, { metadata: {} }, { progress: 0 }, { checkpoint: false }];
  const beats = [
    {},
    ...carrying,
    {},
    { note: 'one too many' },
    { note: null, progress: null },
    { progress: 1 },
  ];
  expect(shown([...beats.map((body) => beatOf(1, body)), beatOf(2, { note: 'other' })])).toEqual({
    rounds: [[[9], [0, 1]], [[2]], [[3]], [[4, 5, 7]]],
    refused: [6, 8],
  });
});

test('joined heartbeats ask for the last lease that one of them asks for, also when what one carries is dropped', () => {
  const bodies: HeartbeatBody[] = [{ lease_seconds: 10 }, { lease_seconds: 20 }, {}];
  const joinedOf = (extra: HeartbeatBody[]) => {
    const joined = roundsOf([...bodies, ...extra].map((body) => beatOf(1, body))).rounds[0]?.[0];
    if (joined === undefined) throw new Error('no round');
    return joined;
  };
  expect(joinedOf([]).leaseSeconds).toBe(20);
  const joined = joinedOf([{ note: 'x', lease_seconds: 30 }, {}]);
  expect([joined.leaseSeconds, joined.lead.body.note]).toEqual([30, 'x']);
  joined.dropCarrier();
  expect([joined.leaseSeconds, joined.beats.length, joined.lead.body]).toEqual([20, 4, bodies[0]]);
});
