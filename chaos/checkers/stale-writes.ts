/**
 * Property 2: nothing is accepted from an attempt that is over.
 *
 * Proves, for every acknowledged heartbeat, output, acknowledgement of messages and end: it was not asked for after a higher attempt of
 * the task had been acknowledged to its worker; it was not asked for after an end of its own run had been acknowledged, unless it is that end again;
 * its run had not been ended (by the reaper, say) according to the tables; and of two ends of a run that differ, one was refused.
 *
 * A write that overlaps in time with what would forbid it is never held against the server: it may have come first. Cannot prove: that a
 * repeated end had the same body, because the history does not keep bodies.
 */
import type { FinalRun, FinalState, Operation, Violation } from '../history.ts';
import { CLOCK_DRIFT_MS, databaseClock } from './database-clock.ts';
import { groupBy } from './group-by.ts';
import { type AcceptedWrite, type Grant, isEnd, listAcceptedWrites, listGrants } from './run-record.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 2,
  detail,
  evidence,
});

export function checkStaleWrites(operations: readonly Operation[], final: FinalState): Violation[] {
  const writes = listAcceptedWrites(operations);
  return [
    ...checkSuperseded(writes, listGrants(operations)),
    ...[...groupBy(writes, (write) => write.operation.runId).values()].flatMap(checkRun),
    ...checkTables(writes, final),
  ];
}

function checkSuperseded(writes: readonly AcceptedWrite[], grants: readonly Grant[]): Violation[] {
  const ladders = new Map(
    [...groupBy(grants, (grant) => grant.taskId)].map(([taskId, group]) => [taskId, ladderOf(group)]),
  );
  return writes.flatMap((write) => {
    const above = firstAbove(ladders.get(write.operation.taskId) ?? [], write.operation.attempt);
    if (above === undefined || above.endedAt >= write.notBefore) return [];
    return [violation('a write of a superseded attempt was accepted', { write: write.operation, above })];
  });
}

/** By rising attempt; with each attempt, whichever was acknowledged first of it and all higher ones. */
type Ladder = readonly { readonly attempt: number; readonly earliest: Grant }[];

function ladderOf(grants: readonly Grant[]): Ladder {
  const steps: { attempt: number; earliest: Grant }[] = [];
  let earliest: Grant | undefined;
  for (const grant of [...grants].sort((left, right) => right.attempt - left.attempt)) {
    earliest = earliest !== undefined && earliest.endedAt <= grant.endedAt ? earliest : grant;
    steps.push({ attempt: grant.attempt, earliest });
  }
  return steps.reverse();
}

function firstAbove(ladder: Ladder, attempt: number): Grant | undefined {
  let low = 0;
  let high = ladder.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ladder[middle]?.attempt ?? 0) > attempt) high = middle;
    else low = middle + 1;
  }
  return ladder[low]?.earliest;
}

function checkRun(writes: readonly AcceptedWrite[]): Violation[] {
  const ends = writes.filter((write) => isEnd(write.operation));
  const [first] = [...ends].sort((left, right) => left.endedAt - right.endedAt);
  if (first === undefined) return [];
  const other = ends.find((end) => end.operation.kind !== first.operation.kind);
  const late = writes.find((write) => !isEnd(write.operation) && write.notBefore > first.endedAt);
  return [
    ...(other === undefined
      ? []
      : [
          violation('two different ends of a run were accepted', {
            first: first.operation,
            other: other.operation,
          }),
        ]),
    ...(late === undefined
      ? []
      : [
          violation('a write was accepted after the end of its run', {
            end: first.operation,
            write: late.operation,
          }),
        ]),
  ];
}

/**
 * A run's end holds its claim locked from before its time is taken until it is committed, so nothing that is asked for later can count,
 * however long the commit took.
 */
function checkTables(writes: readonly AcceptedWrite[], final: FinalState): Violation[] {
  const runs = new Map(final.runs.map((run) => [run.id, run]));
  const atMs = databaseClock(final);
  return writes.flatMap((write) => {
    const run = runs.get(write.operation.runId);
    if (run === undefined || !isOfRun(write, run))
      return [
        violation('a write was accepted under a run that is not in the tables', {
          write: write.operation,
          run,
        }),
      ];
    if (run.endedAt === null || write.notBefore <= atMs(run.endedAt) + CLOCK_DRIFT_MS) return [];
    return [violation('a write was accepted of a run that had been ended', { write: write.operation, run })];
  });
}

function isOfRun({ operation }: AcceptedWrite, run: FinalRun): boolean {
  return operation.taskId === run.taskId && operation.attempt === run.attempt;
}
