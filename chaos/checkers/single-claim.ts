/**
 * Property 1: a task has at most one live claim at any time, and its attempts rise by one.
 *
 * Proves it twice. From the log: claims and ends of a task alternate, each end is the holder's, each claim is the next attempt and a new
 * run. From what workers saw, without believing the log: a run was live for certain from the moment its claim was acknowledged until the
 * moment its holder asked for the last thing that was accepted; no two such spans of a task overlap, no attempt is claimed after a higher
 * one was acknowledged, no attempt or run has two holders, and every acknowledged claim is in the log.
 *
 * Cannot prove: anything about a claim whose answer nobody received, beyond what the log says of it.
 */
import type { Event } from '../../src/contract/events.ts';
import type { AtMs, FinalState, Operation, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';
import { type AcceptedWrite, type Grant, listAcceptedWrites, listGrants } from './run-record.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 1,
  detail,
  evidence,
});

export function checkSingleClaims(operations: readonly Operation[], final: FinalState): Violation[] {
  const grants = listGrants(operations);
  const byTask = groupBy(grants, (grant) => grant.taskId);
  return [
    ...checkLog(final.events),
    ...checkGrantsAreLogged(grants, final.events),
    ...checkHolders(grants),
    ...checkAttemptsRise(byTask, listPushLanes(final.events)),
    ...checkLiveSpans(byTask, operations),
  ];
}

/** What the log has said of a task so far. */
interface Hold {
  attempt: number;
  /** The claim that is live. */
  claimed: Event | null;
}

function checkLog(events: readonly Event[]): Violation[] {
  const holds = new Map<string, Hold>();
  const runIds = new Set<string>();
  return events.flatMap((event) => {
    if (event.task_id === undefined) return [];
    const hold = holds.get(event.task_id) ?? { attempt: 0, claimed: null };
    holds.set(event.task_id, hold);
    const evidence = { event, attempt: hold.attempt, held_by: hold.claimed };
    if (event.kind === 'task.claimed' || opensAndEnds(event)) {
      const details = contradictionsOfClaim(event, hold, runIds);
      runIds.add(event.run_id ?? '');
      hold.attempt = event.attempt ?? hold.attempt;
      hold.claimed = event.kind === 'task.claimed' ? event : null;
      return details.map((detail) => violation(detail, evidence));
    }
    if (event.data['status_before'] !== 'running' || event.data['status_after'] === 'running') return [];
    const isHolders = event.run_id === hold.claimed?.run_id && event.attempt === hold.attempt;
    hold.claimed = null;
    return isHolders ? [] : [violation('a claim was ended that was not the live one', evidence)];
  });
}

function contradictionsOfClaim(event: Event, hold: Hold, runIds: ReadonlySet<string>): string[] {
  return [
    ...(hold.claimed === null ? [] : ['a task was claimed while it was held']),
    ...(event.attempt === hold.attempt + 1 ? [] : ['a claim is not the next attempt of its task']),
    ...(event.run_id === undefined || runIds.has(event.run_id) ? ['a claim has no run of its own'] : []),
  ];
}

/** A person's verdict on a task that nobody holds: a run of no length. */
function opensAndEnds(event: Event): boolean {
  const isVerdict = event.kind === 'task.completed' || event.kind === 'task.changes_requested';
  return isVerdict && event.run_id !== undefined && event.data['status_before'] !== 'running';
}

function checkGrantsAreLogged(grants: readonly Grant[], events: readonly Event[]): Violation[] {
  const logged = new Map(
    events.flatMap((event) => (event.kind === 'task.claimed' ? [[event.run_id, event] as const] : [])),
  );
  return grants.flatMap((grant) => {
    const event = logged.get(grant.runId);
    const isLogged = event?.task_id === grant.taskId && event.attempt === grant.attempt;
    return isLogged ? [] : [violation('an acknowledged claim is not in the log', { grant, event })];
  });
}

/** One run has one worker, one attempt of a task has one run. */
function checkHolders(grants: readonly Grant[]): Violation[] {
  const byRun = groupBy(grants, (grant) => grant.runId);
  const byAttempt = groupBy(grants, (grant) => `${grant.taskId} ${grant.attempt}`);
  const differing = (
    groups: Iterable<Grant[]>,
    read: (grant: Grant) => unknown,
    detail: string,
  ): Violation[] =>
    [...groups].flatMap((group) => {
      const [first] = group;
      const other = group.find((grant) => first !== undefined && read(grant) !== read(first));
      return other === undefined ? [] : [violation(detail, { first, other })];
    });
  return [
    ...differing(byRun.values(), (grant) => grant.operation.worker, 'one run was given to two workers'),
    ...differing(byRun.values(), (grant) => `${grant.taskId} ${grant.attempt}`, 'one run has two attempts'),
    ...differing(byAttempt.values(), (grant) => grant.runId, 'one attempt was claimed twice'),
  ];
}

/** Where a claim comes when it comes: when it was made, only the log knows. */
function listPushLanes(events: readonly Event[]): ReadonlySet<string | undefined> {
  const pushing = events.filter(
    (event) => event.kind.startsWith('lane.') && event.data['claim_mode'] === 'push',
  );
  return new Set(pushing.map((event) => event.lane));
}

/** Nobody may be given an attempt that he asked for after a higher one had been acknowledged. */
function checkAttemptsRise(
  byTask: ReadonlyMap<string, readonly Grant[]>,
  pushLanes: ReadonlySet<string | undefined>,
): Violation[] {
  return [...byTask.values()].flatMap((grants) => {
    const found: Violation[] = [];
    /** Of the attempts above the one that is looked at, and of that attempt itself: the one acknowledged first. */
    let above: Grant | undefined;
    let same: Grant | undefined;
    for (const grant of [...grants].sort((left, right) => right.attempt - left.attempt)) {
      if (same !== undefined && same.attempt !== grant.attempt) above = earlier(above, same);
      same = same?.attempt === grant.attempt ? earlier(same, grant) : grant;
      const isAskedFor = !pushLanes.has(grant.operation.lane);
      if (isAskedFor && above !== undefined && above.endedAt < grant.operation.invokedAt)
        found.push(violation('an attempt was claimed after a higher one', { grant, above }));
    }
    return found;
  });
}

function earlier(left: Grant | undefined, right: Grant): Grant {
  return left !== undefined && left.endedAt <= right.endedAt ? left : right;
}

/** When a run was live for certain. */
interface LiveSpan {
  readonly from: AtMs;
  readonly until: AtMs;
  readonly given: Grant;
  readonly lastAccepted: Operation;
}

function checkLiveSpans(byTask: ReadonlyMap<string, Grant[]>, operations: readonly Operation[]): Violation[] {
  const writesByRun = groupBy(listAcceptedWrites(operations), (write) => write.operation.runId);
  const spanOf = (grants: readonly Grant[]): LiveSpan[] => {
    const given = grants.reduce<Grant | undefined>(earlier, undefined);
    const last = (writesByRun.get(given?.runId ?? '') ?? []).reduce<AcceptedWrite | undefined>(
      later,
      undefined,
    );
    if (given === undefined || last === undefined || last.notBefore <= given.endedAt) return [];
    return [{ from: given.endedAt, until: last.notBefore, given, lastAccepted: last.operation }];
  };
  return [...byTask.values()].flatMap((grants) => {
    const runs = groupBy(grants, (grant) => grant.runId);
    return findOverlaps([...runs.values()].flatMap(spanOf));
  });
}

function later(left: AcceptedWrite | undefined, right: AcceptedWrite): AcceptedWrite {
  return left !== undefined && left.notBefore >= right.notBefore ? left : right;
}

function findOverlaps(spans: readonly LiveSpan[]): Violation[] {
  const found: Violation[] = [];
  let longest: LiveSpan | undefined;
  for (const span of [...spans].sort((left, right) => left.from - right.from)) {
    if (longest !== undefined && span.from < longest.until)
      found.push(violation('two claims of a task were live at once', { first: longest, second: span }));
    if (longest === undefined || span.until > longest.until) longest = span;
  }
  return found;
}
