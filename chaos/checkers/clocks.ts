/**
 * Property 11: the clock of Postgres decides, and that of no server and no worker.
 *
 * Proves: no claim was taken for its lease before the moment, by Postgres, that its holder had been told; no credential was refused for
 * its time; and the times of the log and of the runs are those of one clock: in the order of the log, to within what a statement takes, and
 * none after the end.
 *
 * All times that are compared here are Postgres', so nothing is allowed for drift. A heartbeat is committed without waiting for the disk: one
 * that was answered just before Postgres died may have been lost with it, as is promised, and is not held against anybody. Cannot prove:
 * that a lease which has lapsed is noticed soon (the resting places show the rest), nor anything about what nobody was told.
 */
import type { Event } from '../../src/contract/events.ts';
import type { FaultEntry, FinalState, HistoryEntry, Operation, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 11,
  detail,
  evidence,
});

/** The log is written at the end of a transaction, and its time may be read at the beginning: the longest takes some 10 s. */
const DISORDER_MS = 15_000;
/** Times are cut to milliseconds, or rounded. */
const ROUNDING_MS = 2;
/** So much of what is not waited for to be on disk is lost at most: three rounds of its writer (wal_writer_delay, 200 ms), and some more. */
const UNSAFE_MS = 2000;
const DEATHS = new Set(['kill postgres', 'stop postgres', 'kill backend', 'failover']);
const REFUSALS_OF_TIME = new Set(['token_expired', 'unauthenticated']);

export function checkClocks(entries: readonly HistoryEntry[], final: FinalState): Violation[] {
  const operations = entries.filter((entry) => entry.entry === 'operation');
  return [
    ...checkLeases(entries, operations, final),
    ...checkCredentials(operations),
    ...checkOrder(final),
    ...checkRuns(final),
  ];
}

/** A lease as its holder was told of it. */
interface ToldLease {
  readonly runId: string;
  readonly expiresAt: string;
  readonly operation: Operation;
}

function checkLeases(
  entries: readonly HistoryEntry[],
  operations: readonly Operation[],
  final: FinalState,
): Violation[] {
  const deaths = entries.filter(
    (entry): entry is FaultEntry => entry.entry === 'fault' && DEATHS.has(entry.fault),
  );
  const isSafe = ({ kind, endedAt = 0 }: Operation): boolean =>
    kind !== 'heartbeat' || !deaths.some(({ at, until = at }) => endedAt > at - UNSAFE_MS && endedAt < until);
  const told = groupBy(
    operations
      .filter(({ ending }) => ending === 'ok')
      .filter(isSafe)
      .flatMap(leasesIn),
    ({ runId }) => runId,
  );
  return final.events.filter(isLapse).flatMap((event) => {
    const leases = told.get(event.run_id ?? '') ?? [];
    const broken = leases.find(({ expiresAt }) => Date.parse(expiresAt) > Date.parse(event.at) + ROUNDING_MS);
    return broken === undefined
      ? []
      : [violation('a claim was taken before its lease was over', { event, ...broken })];
  });
}

function leasesIn(operation: Operation): ToldLease[] {
  if (operation.kind === 'claim')
    return operation.claims.flatMap(({ runId, leaseExpiresAt: expiresAt }) =>
      expiresAt === undefined ? [] : [{ runId, expiresAt, operation }],
    );
  if (operation.kind !== 'heartbeat' || operation.leaseExpiresAt === undefined) return [];
  return [{ runId: operation.runId, expiresAt: operation.leaseExpiresAt, operation }];
}

/** The reaper takes what has lapsed; all else that ends a claim is somebody's wish. */
function isLapse({ kind, actor }: Event): boolean {
  return kind === 'task.crashed' && actor.id === 'reaper';
}

/** No key is revoked in a run, and no token is old enough. */
function checkCredentials(operations: readonly Operation[]): Violation[] {
  return operations.flatMap((operation) =>
    operation.ending === 'fail' && REFUSALS_OF_TIME.has(operation.code ?? '')
      ? [violation('a credential was refused that was good', { operation })]
      : [],
  );
}

function checkOrder({ events, readAt }: FinalState): Violation[] {
  let newest: Event | undefined;
  return events.flatMap((event) => {
    const before = newest;
    if (newest === undefined || event.at > newest.at) newest = event;
    if (Date.parse(event.at) > Date.parse(readAt) + ROUNDING_MS)
      return [violation('an event is from after the end', { event, readAt })];
    if (before === undefined || Date.parse(before.at) - Date.parse(event.at) <= DISORDER_MS) return [];
    return [violation('an event is older than those before it', { event, before })];
  });
}

function checkRuns({ runs, events, readAt }: FinalState): Violation[] {
  const [first] = events;
  if (first === undefined) return [];
  const from = Date.parse(first.at) - DISORDER_MS;
  const until = Date.parse(readAt) + ROUNDING_MS;
  const isWithin = (time: string | null): boolean =>
    time === null || (Date.parse(time) >= from && Date.parse(time) <= until);
  return runs.flatMap((run) =>
    isWithin(run.startedAt) && isWithin(run.endedAt)
      ? []
      : [violation('a run has a time that is not of this run', { run, readAt })],
  );
}
