/**
 * Property 4: at the end nothing hangs in the air. Every task is finished, claimable, waiting for a time that is still to come, blocked
 * with a reason, in a status that says what it waits for (triage, todo, review), or held by one claim whose lease is live.
 *
 * Proves, from the tables alone: running tasks, claims and open runs agree one to one; no lease and no run_at has been past for longer
 * than the sweeps that look for them need. Holds only for a board that has been left alone for that long.
 *
 * Cannot prove: that somebody will come for what is claimable (lost-wakes.ts looks at that), nor that parents of a task in todo exist.
 */
import type { FinalState, FinalTask, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';

/** Reaper and scheduler look every half second and take a second at most; the rest is for a machine that is busy. */
const SWEEP_MS = 5000;

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 4,
  detail,
  evidence,
});

export function checkRestingPlaces(final: FinalState): Violation[] {
  const claims = groupBy(final.claims, (claim) => claim.taskId);
  const openRuns = groupBy(
    final.runs.filter((run) => run.outcome === null),
    (run) => run.taskId,
  );
  const taskIds = new Set(final.tasks.map((task) => task.id));
  const isOverdue = (time: string): boolean => Date.parse(time) + SWEEP_MS < Date.parse(final.readAt);

  const checkRunning = (task: FinalTask): Violation[] => {
    const [claim, ...otherClaims] = claims.get(task.id) ?? [];
    const [run, ...otherRuns] = openRuns.get(task.id) ?? [];
    const evidence = { task, claims: claims.get(task.id), runs: openRuns.get(task.id) };
    if (claim === undefined || otherClaims.length > 0)
      return [violation('a running task is not held by one claim', evidence)];
    if (run === undefined || otherRuns.length > 0 || run.id !== claim.runId || run.attempt !== claim.attempt)
      return [violation('a claim does not have one open run', evidence)];
    if (claim.attempt !== task.attempt) return [violation('a claim is not the last attempt', evidence)];
    if (isOverdue(claim.leaseExpiresAt)) return [violation('a lapsed claim was not taken back', evidence)];
    return [];
  };

  const checkTask = (task: FinalTask): Violation[] => {
    if (task.status === 'running') return checkRunning(task);
    const held = { task, claims: claims.get(task.id), runs: openRuns.get(task.id) };
    if (held.claims !== undefined) return [violation('a claim is held on a task that does not run', held)];
    if (held.runs !== undefined) return [violation('a run is open of a task that does not run', held)];
    const detail = explainStuck(task, isOverdue);
    return detail === null ? [] : [violation(detail, { task, readAt: final.readAt })];
  };

  const orphans = [...final.claims, ...final.runs].filter(({ taskId }) => !taskIds.has(taskId));
  return [
    ...final.tasks.flatMap(checkTask),
    ...orphans.map((orphan) => violation('a claim or run has no task', { orphan })),
  ];
}

/** null: it is plain what the task waits for. */
function explainStuck(task: FinalTask, isOverdue: (time: string) => boolean): string | null {
  if (task.status === 'scheduled') {
    if (task.runAt === null) return 'a scheduled task has no time';
    return isOverdue(task.runAt) ? 'a scheduled task was not made ready' : null;
  }
  if (task.status !== 'blocked') return null;
  return task.blockedKind === null && task.blockedReason === null ? 'a blocked task has no reason' : null;
}
