/** The moments in which a delegation or a delivery would go wrong: how often a run came through them. */
import { databaseClock } from './checkers/database-clock.ts';
import { groupBy } from './checkers/group-by.ts';
import { doOverlap } from './family-windows.ts';
import type {
  AtMs,
  DecisionOperation,
  DeliveryOperation,
  FaultEntry,
  FinalState,
  HistoryEntry,
  LeaseOperation,
  Operation,
  RunOperation,
} from './history.ts';

export interface ReturnWindows {
  readonly gatewaysKilledWhileHolding: number;
  readonly childrenEndingAtOnce: number;
  readonly refusedForCapacity: number;
  readonly decidedByDeadline: number;
  readonly cancelledAsTheyEnded: number;
  readonly lapsedDeliveries: number;
  readonly repliesThatFailed: number;
}

export function countReturnWindows(entries: readonly HistoryEntry[], final: FinalState): ReturnWindows {
  const operations = entries.filter((entry) => entry.entry === 'operation');
  const ends = listEndsByDelegation(operations, final);
  return {
    gatewaysKilledWhileHolding: countKilledGateways(entries, operations),
    childrenEndingAtOnce: [...ends.values()].filter((own) =>
      own.some((one) => own.some((other) => one.taskId < other.taskId && doOverlap(one, other))),
    ).length,
    refusedForCapacity: operations.filter(
      ({ kind, code }) => kind === 'delegate' && code === 'delegation_capacity',
    ).length,
    decidedByDeadline: final.events.filter(
      ({ kind, data }) => kind === 'delegation.completed' && data['reason'] === 'deadline',
    ).length,
    cancelledAsTheyEnded: countCancelRaces(operations, final, ends),
    lapsedDeliveries: countLapsed(operations),
    repliesThatFailed: final.deliveries.filter(({ isFallback, hasReply }) => isFallback && hasReply).length,
  };
}

/** Completions that counted. */
function listEndsByDelegation(
  operations: readonly Operation[],
  final: FinalState,
): ReadonlyMap<string, readonly RunOperation[]> {
  const outcomes = new Map(final.runs.map((run) => [run.id, run.outcome]));
  const owners = new Map(final.delegations.flatMap(({ id, taskIds }) => taskIds.map((task) => [task, id])));
  const ends = operations.filter(
    (operation): operation is RunOperation =>
      operation.kind === 'complete' &&
      operation.ending !== 'fail' &&
      outcomes.get(operation.runId) === 'completed' &&
      owners.has(operation.taskId),
  );
  return groupBy(ends, ({ taskId }) => owners.get(taskId) ?? '');
}

/** Those whose delegation was being decided while it was being cancelled and a child of it was being completed. */
function countCancelRaces(
  operations: readonly Operation[],
  final: FinalState,
  ends: ReadonlyMap<string, readonly RunOperation[]>,
): number {
  const cancels = operations.filter(
    (operation): operation is DecisionOperation => operation.kind === 'cancel_delegation',
  );
  const atMs = databaseClock(final);
  const decidedAt = new Map(
    final.events
      .filter(({ kind }) => kind === 'delegation.completed')
      .map(({ delegation_id: id = '', at }) => [id, atMs(at)]),
  );
  return cancels.filter((cancel) => {
    const at = decidedAt.get(cancel.delegationId);
    const isDecidedMeanwhile =
      at !== undefined && at >= cancel.invokedAt - CLOSE_MS && at <= endOf(cancel) + CLOSE_MS;
    return isDecidedMeanwhile && (ends.get(cancel.delegationId) ?? []).some((end) => doOverlap(end, cancel));
  }).length;
}

/** Two clocks are compared that were read together at the end. */
const CLOSE_MS = 20;

const endOf = ({ endedAt }: Pick<Operation, 'endedAt'>): AtMs => endedAt ?? Number.POSITIVE_INFINITY;

const listLeases = (operations: readonly Operation[]): LeaseOperation[] =>
  operations.filter(
    (operation): operation is LeaseOperation => operation.kind === 'lease' && operation.ending === 'ok',
  );

/** Deliveries that a gateway held when it was killed: leased, not lapsed, and what it had said of them, if anything, not answered. */
function countKilledGateways(entries: readonly HistoryEntry[], operations: readonly Operation[]): number {
  const kills = entries.filter(
    (entry): entry is FaultEntry => entry.entry === 'fault' && entry.fault === 'kill gateway',
  );
  const leases = listLeases(operations);
  const said = new Set(
    operations
      .filter((operation): operation is DeliveryOperation => 'leaseId' in operation)
      .filter(({ endedAt }) => endedAt !== undefined)
      .map(({ leaseId }) => leaseId),
  );
  return kills
    .flatMap((kill) =>
      leases
        .filter(
          ({ process, endedAt = 0, leaseSeconds }) =>
            process === kill.target && endedAt + leaseSeconds * 1000 > kill.at,
        )
        .flatMap((operation) => operation.leases),
    )
    .filter(({ leaseId }) => !said.has(leaseId)).length;
}

/** Given out again because nobody had said anything. */
function countLapsed(operations: readonly Operation[]): number {
  const leases = listLeases(operations).flatMap((operation) => operation.leases);
  return leases.filter(({ attempt }) => attempt > 1).length;
}
