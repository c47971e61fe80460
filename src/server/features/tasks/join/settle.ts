/**
 * The one consolidated completion of a delegation, in the transaction that ends its last child. Delegations are locked after tasks and
 * claims and before the counter row, each in the order of all of them. Two children that end at once meet there: the later one reads what
 * the earlier one has committed, so one of them decides, and its UPDATE finds the delegation running, which no other's will again.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { DelegationResult } from '../../../../contract/delegations.ts';
import type { TaskStatus } from '../../../../contract/statuses.ts';
import type { Tx } from '../../../db/client.ts';
import type { NewEvent } from '../../../db/event-log.ts';
import { withoutColours } from '../../../kernel/colours.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import type { LockedTask, TaskAfter } from '../store/change.ts';
import {
  type ChildReportRow,
  type ChildRow,
  decideDelegation,
  findConcernedDelegations,
  type JoinRow,
  listChildReports,
  listChildren,
  lockRunningDelegations,
} from '../store/join.ts';
import { type Child, decideJoin, endOfChild, type JoinRule, type Overrule } from './decision.ts';
import { fitResults } from './results.ts';

/** Nobody decides it; it is decided. */
const JOIN: ActorRef = { type: 'system', id: 'join' };
/** What a preview shows of an output: a screen. */
const OUTPUT_PREVIEW_CHARACTERS = 2000;
/** Of a document among a hundred: all of them are read in the transaction that decides. */
const DOCUMENTS_READ_BYTES_MAX = 8 * 1024 * 1024;

/** A task that was moved by this transaction, or deleted. */
export interface Departure {
  readonly before: LockedTask;
  readonly after: Pick<TaskAfter, 'status'> | null;
}

/** The events of the delegations that are decided by these moves. Call it after the rows are written, and lock only the counter row after it. */
export async function settleJoins(
  tx: Tx,
  boardId: number,
  departures: readonly Departure[],
  waiting: readonly LockedTask[] = [],
): Promise<NewEvent[]> {
  const ended = departures.filter(({ before, after }) => before.is_followed && mayHaveEnded(after));
  const cut = departures.filter(({ before, after }) => before.has_children && isCut(before, after));
  const isConcerning = waiting.filter((task) => task.is_followed || task.has_children);
  if (ended.length + cut.length + isConcerning.length === 0) return [];
  const cutIds = [...cut.map(idOf), ...isConcerning.map(({ id }) => id)];
  const ids = await findConcernedDelegations(tx, boardId, ended.map(idOf), cutIds);
  return settleDelegations(tx, boardId, ids);
}

const idOf = ({ before }: Departure): Uuid => before.id;

/** In todo it waits for others, and it may be in vain. */
const ENDS: readonly TaskStatus[] = ['done', 'cancelled', 'archived', 'blocked', 'triage', 'todo'];

function mayHaveEnded(after: Departure['after']): boolean {
  return after === null || ENDS.includes(after.status);
}

/** What waits for it waits in vain, or it waits itself and may do so in vain. Deleted, it is waited for no longer. */
function isCut(before: LockedTask, after: Departure['after']): boolean {
  if (after?.status === 'cancelled' || after?.status === 'todo') return true;
  return after?.status === 'archived' && before.status !== 'done';
}

/** Decides those of them whose time has come, by themselves or by `overrule`. */
export async function settleDelegations(
  tx: Tx,
  boardId: number,
  ids: readonly Uuid[],
  { overrule = null, reason = null, actor = JOIN }: Overruling = {},
): Promise<NewEvent[]> {
  if (ids.length === 0) return [];
  const running = await lockRunningDelegations(tx, boardId, ids);
  if (running.length === 0) return [];
  const children = childrenByDelegation(
    await listChildren(
      tx,
      boardId,
      running.map(({ id }) => id),
    ),
  );
  const events: NewEvent[] = [];
  for (const row of running) {
    const members = children.get(row.id) ?? [];
    const decision = await settle(tx, boardId, row, members, { overrule, reason, actor });
    if (decision !== null) events.push(decision);
  }
  return events;
}

export interface Overruling {
  readonly overrule?: Overrule | null;
  readonly reason?: string | null;
  readonly actor?: ActorRef;
}

async function settle(
  tx: Tx,
  boardId: number,
  row: JoinRow,
  members: readonly ChildRow[],
  { overrule, reason, actor }: Required<Overruling>,
): Promise<NewEvent | null> {
  const rule: JoinRule = { join: row.join_mode, onBlocked: row.on_blocked };
  const children = members.map(childOf);
  const status = decideJoin(rule, children, overrule);
  if (status === null) return null;
  const isLeft = children.some((child) => endOfChild(child, rule) === 'open');
  const limits = {
    documentBytesMax: Math.floor(DOCUMENTS_READ_BYTES_MAX / Math.max(1, members.length)),
    outputCharactersMax: OUTPUT_PREVIEW_CHARACTERS,
  };
  const reports = await listChildReports(tx, boardId, row.id, limits);
  const whole = reports.map((report, index) => resultOf(report, members[index], rule));
  const results = fitResults(whole, LIMITS.delegationResultsBytesMax);
  const why = reason ?? (overrule === 'deadline' ? 'deadline' : null);
  const hasLeftovers = isLeft && row.on_decided === 'cancel';
  await decideDelegation(tx, boardId, { id: row.id, status, reason: why, results, hasLeftovers });
  const told = fitResults(results, LIMITS.delegationEventBytesMax);
  return {
    kind: 'delegation.completed',
    delegationId: row.id,
    actor,
    data: { status, reason: why, results: told },
  };
}

function childrenByDelegation(rows: readonly ChildRow[]): Map<Uuid, ChildRow[]> {
  const children = new Map<Uuid, ChildRow[]>();
  for (const row of rows) {
    const siblings = children.get(row.delegation_id);
    if (siblings === undefined) children.set(row.delegation_id, [row]);
    else siblings.push(row);
  }
  return children;
}

function childOf(row: ChildRow): Child {
  return {
    status: row.status,
    archivedFrom: row.archived_from,
    attempt: row.attempt,
    isUnreachable: row.is_unreachable,
  };
}

function resultOf(report: ChildReportRow, row: ChildRow | undefined, rule: JoinRule): DelegationResult {
  const cutParts = [
    ...(report.is_result_cut ? ['result'] : []),
    ...(report.is_metadata_cut ? ['metadata'] : []),
  ];
  return {
    task_id: formatId('task', report.task_id),
    index: report.place,
    title: report.title ?? '',
    goal: report.goal,
    context: report.context,
    lane: report.lane,
    toolsets: report.toolsets,
    model: report.model,
    // Of a deleted one nothing is left to say it by.
    status: row?.status ?? 'cancelled',
    outcome: outcomeOf(report, row, rule),
    summary: report.summary,
    result: report.result as DelegationResult['result'],
    metadata: (report.metadata ?? {}) as DelegationResult['metadata'],
    error: report.error ?? report.blocked_reason,
    output_preview: report.output === null ? null : withoutColours(report.output),
    dispatched_at: report.started_at,
    completed_at: report.ended_at,
    duration_seconds: report.duration_seconds,
    truncated: cutParts,
  };
}

function outcomeOf(
  report: ChildReportRow,
  row: ChildRow | undefined,
  rule: JoinRule,
): DelegationResult['outcome'] {
  if (row === undefined || row.status === null) return 'deleted';
  if (row.status === 'running') return 'interrupted';
  const isStuck = row.status === 'todo' && endOfChild(childOf(row), rule) === 'failed';
  return isStuck ? 'unreachable' : report.outcome;
}
