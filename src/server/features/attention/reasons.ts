/**
 * Why a task is not running. Pure. First what keeps the task itself, then what keeps its board and lane. What comes and goes by itself
 * (who is there, room under a cap, the queue) is named only for tasks whose turn it is; what somebody has to change also for those whose
 * turn will come, because they would wait for it then.
 */
import type { WhyCode, WhyReason } from '../../../contract/why.ts';
import { present } from '../../kernel/assert.ts';
import { formatId } from '../../kernel/ids.ts';
import type { LaneState } from '../lanes/service.ts';
import type { UnmetParent, WaitingTask } from './store/why.ts';

/** How many ready tasks of its lane come before one. */
export interface Place {
  readonly ahead: number;
  /** There may be more than that: they were counted no further. */
  readonly isAtLeast: boolean;
}

/** All that the reasons of one task rest on. */
export interface WhyFacts {
  readonly task: WaitingTask;
  readonly board: { readonly isPaused: boolean; readonly updatedAt: string };
  /** The lane whose turn it is or will be; undefined: it is not registered, or there is none. */
  readonly lane: LaneState | undefined;
  readonly unmetParents: readonly UnmetParent[];
  readonly place: Place;
}

/** The lane that the task waits for; null: it is not assigned, or people decide on its review. */
export function laneOf({ is_under_review: isUnderReview, lane, reviewer }: WaitingTask): string | null {
  return isUnderReview ? reviewer : lane;
}

export function reasonsOf(facts: WhyFacts): WhyReason[] {
  const { status } = facts.task;
  switch (status) {
    case 'running':
      return [];
    case 'done':
    case 'cancelled':
    case 'archived':
      return [own(facts, 'finished', `The task is ${status}.`)];
    case 'ready':
      return readyReasons(facts);
    case 'review':
      return reviewReasons(facts);
    default:
      return [...ownReasons(facts), ...obstacles(facts, false)];
  }
}

function readyReasons(facts: WhyFacts): WhyReason[] {
  const { task } = facts;
  const { ahead, isAtLeast } = facts.place;
  const reasons = obstacles(facts, true);
  if (ahead > 0) {
    const count = isAtLeast ? `${ahead} or more tasks` : tasks(ahead);
    reasons.push({ ...own(facts, 'behind', `${count} of lane ${task.lane} come first.`), ahead });
  }
  if (reasons.length > 0) return reasons;
  return [own(facts, 'claimable', `Lane ${task.lane} may claim it now.`)];
}

function reviewReasons(facts: WhyFacts): WhyReason[] {
  const { reviewer, implementer_lane: implementerLane, implementer_worker: implementer } = facts.task;
  if (reviewer === null)
    return [own(facts, 'in_review', 'The work is handed over and waits for a person to look at it.')];
  // Only there may its own worker ask for it, and wonder.
  const isItsLane = reviewer === implementerLane && implementer !== null;
  const except = isItsLane ? `, by another worker than ${implementer}, who did it` : '';
  const detail = `The work is handed over and waits for lane ${reviewer} to look at it${except}.`;
  return [own(facts, 'in_review', detail), ...obstacles(facts, true)];
}

/** Of a task that nobody may claim yet. */
function ownReasons(facts: WhyFacts): WhyReason[] {
  const { task } = facts;
  const parents = parentReasons(facts);
  switch (task.status) {
    case 'scheduled':
      return [scheduleReason(facts), ...parents];
    case 'blocked': {
      const kind = task.blocked_kind === null ? '' : ` (${task.blocked_kind})`;
      const reason = task.blocked_reason === null ? '.' : `: ${task.blocked_reason}`;
      return [own(facts, 'blocked', `The task is blocked${kind}${reason}`), ...parents];
    }
    case 'triage':
      return [own(facts, 'in_triage', 'Somebody has to look at what the task is about.'), ...parents];
    default:
      return parents;
  }
}

function scheduleReason(facts: WhyFacts): WhyReason {
  const { task } = facts;
  const until = present(task.run_at, 'a scheduled task has a time');
  const reason = task.is_cooling_down
    ? own(facts, 'cooling_down', `The last attempt failed; the next may begin at ${until}.`)
    : own(facts, 'scheduled', `The task is to begin at ${until}.`);
  return { ...reason, until_at: until };
}

function parentReasons(facts: WhyFacts): WhyReason[] {
  const { task, unmetParents } = facts;
  if (task.unmet_parents === 0) return [];
  const idsOf = (parents: readonly UnmetParent[]) => parents.map((row) => formatId('task', row.parent_id));
  const waiting: WhyReason = {
    ...own(facts, 'waiting_for_parents', `It waits for ${tasks(task.unmet_parents)} to be done.`),
    parents: idsOf(unmetParents),
  };
  const lost = unmetParents.filter((parent) => parent.status === null || !COMES_TO_DONE.has(parent.status));
  if (lost.length === 0) return [waiting];
  const since = lost.map((parent) => parent.status_since ?? task.status_since).sort()[0] ?? task.status_since;
  const detail = `${tasks(lost.length)} that it waits for will not be done: cancelled, archived undone, or deleted. Reopen or unlink.`;
  return [waiting, { code: 'parent_cancelled', detail, since, parents: idsOf(lost) }];
}

/** A parent may still get there by itself or by the usual actions. */
const COMES_TO_DONE: ReadonlySet<string> = new Set([
  'triage',
  'todo',
  'scheduled',
  'ready',
  'running',
  'blocked',
  'review',
  'done',
]);

/** @param isDue It is the lane's turn: also what passes by itself keeps the task. */
function obstacles(facts: WhyFacts, isDue: boolean): WhyReason[] {
  const { board, lane, task } = facts;
  const found: WhyReason[] = [];
  if (board.isPaused)
    found.push({ code: 'board_paused', detail: 'The board is paused.', since: board.updatedAt });
  const name = laneOf(task);
  if (name === null) {
    // People decide on its review, whatever it waits for before.
    if (!task.is_under_review) found.push(own(facts, 'unassigned', 'The task is assigned to no lane.'));
  } else if (lane === undefined)
    found.push(own(facts, 'lane_unknown', `No lane ${name} is registered on this board.`));
  else found.push(...laneObstacles(lane, isDue));
  return found;
}

function laneObstacles(lane: LaneState, isDue: boolean): WhyReason[] {
  const { name } = lane;
  const set = (code: WhyCode, detail: string): WhyReason => ({ code, detail, since: lane.updated_at });
  const found: WhyReason[] = [];
  const claims = lane.allowed_status_mutations !== 'none' && lane.kind !== 'human';
  if (isDue && claims && !lane.is_online) {
    const seen = lane.last_seen_at;
    const detail =
      seen === null ? `Lane ${name} never had a worker.` : `Lane ${name} has no worker since ${seen}.`;
    found.push({ code: 'lane_offline', detail, since: seen ?? lane.created_at });
  }
  if (lane.is_paused) found.push(set('lane_paused', `Lane ${name} is paused.`));
  if (lane.is_draining)
    found.push(set('lane_draining', `Lane ${name} is draining: it finishes what it has and takes no more.`));
  if (isDue && claims && lane.full_since !== null) {
    const detail = `Lane ${name} holds as many claims as it may, ${lane.max_concurrent_claims}.`;
    found.push({ code: 'lane_at_capacity', detail, since: lane.full_since });
  }
  if (lane.allowed_status_mutations === 'none')
    found.push(set('lane_mutations_none', `Lane ${name} may watch but not claim.`));
  if (lane.kind === 'human')
    found.push(set('lane_human', `People work on lane ${name}, by the actions of operators.`));
  return found;
}

function own({ task }: WhyFacts, code: WhyCode, detail: string): WhyReason {
  return { code, detail, since: task.status_since };
}

function tasks(count: number): string {
  return count === 1 ? '1 task' : `${count} tasks`;
}
