/**
 * Ends that take more than the one statement of completions: locked with those that wait for them, decided one by one, and written together.
 * A transaction never wakes more children than a single end may, because all of the board waits for its last step. The alternative, as many
 * ends as were gathered, may write a quarter of a million tasks at once.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { EndReply } from '../../../../contract/runs.ts';
import type { Runner, Sql, Tx } from '../../../db/client.ts';
import { raiseConfigVersion } from '../../../db/event-log.ts';
import { withinDeadline } from '../../../db/tx.ts';
import type { Settled } from '../../../kernel/batcher.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import { markReviewers } from '../../lanes/service.ts';
import { countChildren, findTasks, lockFamily, type TaskRow, taskOf } from '../../tasks/service.ts';
import { settleEndings } from '../settle.ts';
import { type HeldRow, lockHolds } from '../store/end.ts';
import { findRuns, type RunRow } from '../store/run.ts';
import { runOf } from '../view.ts';
import { claimLost } from './claim-lost.ts';
import type { RunEnd } from './run-operation.ts';

/** Of one transaction, if one end does not have as many by itself. */
const PORTION_CHILDREN_MAX = LIMITS.childrenMax;

/** Nothing but done: most ends are, and need not be decided. */
export function isPlainCompletion({ end }: RunEnd): boolean {
  return end.verb === 'complete' && !end.isForReview;
}

/**
 * In task order, so that two batches lock alike; a second operation of a run waits for the slower path. Not the first of each
 * task: a stale worker's operation on it must not stand in the way of the holder's.
 */
export function firstOfEachRun<T extends { readonly taskId: Uuid; readonly runId: Uuid }>(
  operations: readonly T[],
): T[] {
  const first = new Map<Uuid, T>();
  for (const operation of operations) if (!first.has(operation.runId)) first.set(operation.runId, operation);
  return [...first.values()].sort((left, right) => (left.taskId < right.taskId ? -1 : 1));
}

/** Each for a transaction of its own: all ends together, as long as those that complete have few children. */
export async function portionsOf(
  sql: Sql,
  board: BoardRef,
  ends: readonly RunEnd[],
): Promise<readonly (readonly RunEnd[])[]> {
  const completed = new Set(ends.filter(isPlainCompletion).map((end) => end.taskId));
  if (completed.size <= 1) return [ends];
  const children = await withinDeadline(countChildren(sql, board.id, [...completed]));
  const portions: RunEnd[][] = [ends.filter((end) => !children.has(end.taskId))];
  let left = PORTION_CHILDREN_MAX;
  for (const [taskId, count] of children) {
    if (count > left) {
      portions.push([]);
      left = PORTION_CHILDREN_MAX;
    }
    left -= count;
    portions.at(-1)?.push(...ends.filter((end) => end.taskId === taskId));
  }
  return portions.filter((portion) => portion.length > 0);
}

export async function endUnderLocks(
  tx: Tx,
  board: BoardRef,
  ends: readonly RunEnd[],
): Promise<Map<RunEnd, Settled<EndReply>>> {
  const distinct = firstOfEachRun(ends);
  const isNewReviewer = await markReviewers(tx, board.id, distinct.flatMap(reviewerOf));
  // Locked together with those that wait for them, in the order of all tasks.
  const completing = distinct.filter(isPlainCompletion);
  const family = await lockFamily(
    tx,
    board.id,
    completing.map((end) => end.taskId),
    distinct.map((end) => end.taskId),
  );
  const held = new Map((await lockHolds(tx, board.id, distinct)).map((row) => [row.run_id, row]));
  const winning = distinct.flatMap((end) => {
    const row = held.get(end.runId);
    return row === undefined || isOfNoReview(end, row)
      ? []
      : [{ ...end, held: row, evidence: null, request: end }];
  });
  await settleEndings(tx, board.id, winning, { family, isConfigChange: isNewReviewer });
  // Nobody's end was his to write, but the lane is marked: the next to send it work marks nothing, so it is said now.
  if (isNewReviewer && winning.length === 0) await raiseConfigVersion(tx, board.id);
  const winners = new Set(winning.map(({ request }) => request));
  const { runs, tasks } = await readReplies(tx, board, ends);
  return new Map(
    ends.map((end): [RunEnd, Settled<EndReply>] => {
      if (isOfNoReview(end, held.get(end.runId))) return [end, { ok: false, error: noReview() }];
      const run = runs.get(end.runId);
      const task = tasks.get(end.taskId);
      const isAnswered = run !== undefined && task !== undefined && (winners.has(end) || isSameEnd(run, end));
      if (isAnswered)
        return [end, { ok: true, value: { task: taskOf(board, task), run: runOf(board, run) } }];
      return [end, { ok: false, error: claimLost(board, run) }];
    }),
  );
}

function reviewerOf({ end }: RunEnd): string[] {
  return end.verb === 'complete' && end.isForReview && end.reviewer ? [end.reviewer] : [];
}

/** Only a reviewer may send work back. */
function isOfNoReview({ end }: RunEnd, held: HeldRow | undefined): boolean {
  return end.verb === 'request_changes' && held !== undefined && held.claimed_from !== 'review';
}

/** The same end with the same body gets the same answer again. */
function isSameEnd(run: RunRow, end: RunEnd): boolean {
  return (
    run.attempt === end.attempt &&
    run.outcome !== null &&
    run.end_fingerprint !== null &&
    run.end_fingerprint === end.fingerprint
  );
}

async function readReplies(
  runner: Runner,
  board: BoardRef,
  ends: readonly RunEnd[],
): Promise<{ runs: Map<Uuid, RunRow>; tasks: Map<Uuid, TaskRow> }> {
  const runs = await findRuns(
    runner,
    board.id,
    ends.map((end) => end.runId),
  );
  const tasks = await findTasks(runner, board.id, [...new Set(ends.map((end) => end.taskId))]);
  return { runs, tasks: new Map(tasks.map((task) => [task.id, task])) };
}

function noReview(): ProblemError {
  const detail =
    'This claim was not taken from review: there is nothing to send back. Complete, block, release or fail it.';
  return new ProblemError('illegal_transition', detail, {
    extensions: { status_before: 'running', status_after: 'ready' },
  });
}
