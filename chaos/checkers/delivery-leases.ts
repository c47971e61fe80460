/**
 * Property 8, of what gateways were given: one at a time of a session, in the order of a subscription, and always the same.
 *
 * Proves, from the leases that gateways were answered: never was one given out while another one of its session was out; what was given out
 * again was given under a higher attempt, with the same text and about the same event; nothing was given out before an earlier one of its
 * subscription was, unless that one had been given up before. Times are those of the database: a lease begins its length before its end.
 *
 * Conservative: a lease is out until it lapses, or until the database says that it was acked; of a nack only the moment is known at which it
 * was asked for, by another clock, so that one which was asked for near the next lease excuses it; and a lease during which its
 * subscription was changed is left out, because that may have brought it to another session. Cannot prove: anything about leases
 * whose answer nobody heard.
 */
import type { Event } from '../../src/contract/events.ts';
import type { FinalDelivery } from '../final-returns.ts';
import type {
  DeliveryOperation,
  FinalState,
  LeaseOperation,
  Operation,
  RecordedLease,
  Violation,
} from '../history.ts';
import { CLOCK_DRIFT_MS, databaseClock } from './database-clock.ts';
import { groupBy } from './group-by.ts';

/** Of the database's clock, all in milliseconds. */
interface LeaseSpan extends RecordedLease {
  readonly from: number;
  readonly until: number;
  readonly row: FinalDelivery;
  readonly operation: LeaseOperation;
}

/** Times are cut to milliseconds, each for itself. */
const ROUNDING_MS = 2;
/** From the statement that changes a row to the event that tells of it, on a busy machine. */
const CHANGE_MS = 5000;

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 8,
  detail,
  evidence,
});

export function checkDeliveryLeases(operations: readonly Operation[], final: FinalState): Violation[] {
  const rows = new Map(final.deliveries.map((row) => [row.id, row]));
  const answered = operations.filter(
    (operation): operation is LeaseOperation => operation.kind === 'lease' && operation.ending === 'ok',
  );
  const strangers = answered.flatMap(({ leases }) =>
    leases.filter(({ deliveryId }) => !rows.has(deliveryId)),
  );
  const changes = groupBy(
    final.events.filter(({ kind }) => kind === 'subscription.updated'),
    ({ data }) => String(data['subscription_id']),
  );
  const spans = listSpans(answered, rows, listReleases(operations, final));
  return [
    ...strangers.map((lease) => violation('a delivery was given out that is not there', { lease })),
    ...checkSameness(spans),
    ...checkSessions(spans.filter((span) => !isChangedMeanwhile(span, changes))),
    ...checkOrder(spans, final),
  ];
}

/** By lease: the first moment at which a gateway may have given it back. */
function listReleases(operations: readonly Operation[], final: FinalState): ReadonlyMap<string, number> {
  const offsetMs = databaseClock(final)(final.readAt) - Date.parse(final.readAt);
  const said = operations.filter(
    (operation): operation is DeliveryOperation =>
      operation.ending !== 'fail' && ['nack', 'defer', 'bury'].includes(operation.kind),
  );
  return new Map(
    [...groupBy(said, ({ leaseId }) => leaseId)].map(([leaseId, own]) => [
      leaseId,
      Math.min(...own.map(({ invokedAt }) => invokedAt)) - offsetMs - CLOCK_DRIFT_MS,
    ]),
  );
}

/** By when they began. An answer that was given again shows the same lease. */
function listSpans(
  answered: readonly LeaseOperation[],
  rows: ReadonlyMap<string, FinalDelivery>,
  releases: ReadonlyMap<string, number>,
): LeaseSpan[] {
  const spans = new Map<string, LeaseSpan>();
  for (const operation of answered) {
    for (const lease of operation.leases) {
      const row = rows.get(lease.deliveryId);
      if (row === undefined || spans.has(lease.leaseId)) continue;
      const expires = Date.parse(lease.expiresAt);
      const from = expires - operation.leaseSeconds * 1000;
      const acked = row.status === 'acked' && row.finishedAt !== null ? Date.parse(row.finishedAt) : expires;
      const until = Math.min(expires, acked, releases.get(lease.leaseId) ?? expires);
      spans.set(lease.leaseId, { ...lease, from, until, row, operation });
    }
  }
  return [...spans.values()].sort((one, other) => one.from - other.from);
}

function checkSameness(spans: readonly LeaseSpan[]): Violation[] {
  return [...groupBy(spans, ({ deliveryId }) => deliveryId).values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const odd = own.find(
      ({ text, subscriptionId, seqs, row }) =>
        text !== first.text || subscriptionId !== row.subscriptionId || seqs.join() !== String(row.seq),
    );
    if (odd !== undefined) return [violation('one delivery told different things', { first, odd })];
    const isRising = own.every((span, place) => place === 0 || span.attempt > (own[place - 1]?.attempt ?? 0));
    return isRising
      ? []
      : [violation('a delivery was given out again under no higher attempt', { leases: own })];
  });
}

/** From before it was given out, since its answer was made after that, until it was over for certain. */
function isChangedMeanwhile(
  { subscriptionId, expiresAt, from }: LeaseSpan,
  changes: ReadonlyMap<string, readonly Event[]>,
): boolean {
  return (changes.get(subscriptionId) ?? []).some(({ at }) => {
    const changedAt = Date.parse(at);
    return changedAt >= from - CHANGE_MS && changedAt <= Date.parse(expiresAt) + CHANGE_MS;
  });
}

function checkSessions(spans: readonly LeaseSpan[]): Violation[] {
  return [...groupBy(spans, ({ session }) => session).values()].flatMap((own) => {
    let out: LeaseSpan | undefined;
    return own.flatMap((span) => {
      const before = out;
      if (out === undefined || span.until > out.until) out = span;
      if (before === undefined || span.from + ROUNDING_MS >= before.until) return [];
      return [violation('two deliveries of one session were out at once', { before, span })];
    });
  });
}

function checkOrder(spans: readonly LeaseSpan[], final: FinalState): Violation[] {
  // Tried again by hand, it comes after those that did not wait for it.
  const givenUp = new Set(
    final.events
      .filter(({ kind }) => kind === 'delivery.dead')
      .map(({ data }) => String(data['delivery_id'])),
  );
  return [...groupBy(spans, ({ subscriptionId }) => subscriptionId).values()].flatMap((own) => {
    let newest: LeaseSpan | undefined;
    return own.flatMap((span) => {
      const before = newest;
      if (newest === undefined || span.row.seq > newest.row.seq) newest = span;
      if (before === undefined || before.row.seq <= span.row.seq || givenUp.has(span.deliveryId)) return [];
      return [violation('a later outcome was given out before an earlier one', { before, span })];
    });
  });
}
