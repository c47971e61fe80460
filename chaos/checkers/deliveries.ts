/**
 * Property 8, of deliveries: what a subscription is for is told, at least once, in order, and never on two ways at once.
 *
 * Proves: every acknowledged subscription is there, one of each target; each event that one of them is for and that came after it has
 * exactly one delivery, and no delivery is of another event. Whatever was acknowledged as delivered is acked, once, under that attempt, and
 * is one message of its session; whatever was given up is dead, or was tried again by hand. At the end nothing hangs: what is not told yet
 * pauses after a failure, stands behind such a one, or still has time for its reply. Deliveries of one subscription finish in the order of
 * their events.
 *
 * Cannot prove: that the chat saw it; gateways are at-least-once by design. Deleted subscriptions are none of a run's.
 */
import type { Event } from '../../src/contract/events.ts';
import type { FinalDelivery, FinalSubscription } from '../final-returns.ts';
import type { DeliveryOperation, FinalState, Operation, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';

/** What tells an outcome; a subscription may name others. As the domain has it. */
const OUTCOME_KINDS: readonly Event['kind'][] = [
  'task.completed',
  'task.review_requested',
  'task.blocked',
  'task.gave_up',
  'task.cancelled',
  'delegation.completed',
];
/** Gateways ask again at once; what remains is a busy machine, and that they leave a moment before the end. */
const TAKE_MS = 10_000;

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 8,
  detail,
  evidence,
});

export function checkDeliveries(operations: readonly Operation[], final: FinalState): Violation[] {
  const verdicts = groupBy(
    final.events.filter(({ kind }) => kind.startsWith('delivery.')),
    ({ data }) => String(data['delivery_id']),
  );
  const rows = new Map(final.deliveries.map((row) => [row.id, row]));
  const unknown = [...verdicts.keys()].filter((id) => !rows.has(id));
  return [
    ...unknown.map((id) => violation('a delivery of the log is not there', { events: verdicts.get(id) })),
    ...checkSubscriptions(operations, final),
    ...checkOutbox(final),
    ...final.deliveries.flatMap((row) => checkRow(row, verdicts.get(row.id) ?? [])),
    ...checkRest(final),
    ...checkOrder(final, verdicts),
    ...checkAcknowledged(operations, final, verdicts),
  ];
}

function checkSubscriptions(operations: readonly Operation[], final: FinalState): Violation[] {
  const rows = new Map(final.subscriptions.map((row) => [row.id, row]));
  const answered = operations.filter((operation) => operation.kind === 'subscribe');
  const targets = groupBy(
    answered,
    ({ subjectId, platform, chatId }) => `${subjectId} ${platform} ${chatId}`,
  );
  return [...targets.values()].flatMap((own) => {
    const acknowledged = own.filter(({ ending }) => ending === 'ok');
    const ids = new Set(acknowledged.map(({ subscriptionId = '' }) => subscriptionId));
    if (ids.size > 1) return [violation('one target has several subscriptions', { operations: own })];
    const lost = acknowledged.find(
      ({ subscriptionId = '', subjectId }) => rows.get(subscriptionId)?.subjectId !== subjectId,
    );
    return lost === undefined
      ? []
      : [violation('an acknowledged subscription is not there', { operation: lost })];
  });
}

const subjectOf = (event: Event): string | undefined =>
  event.kind.startsWith('delegation.') ? event.delegation_id : event.task_id;

interface Due {
  readonly event: Event;
  readonly subscription: FinalSubscription;
}

/** Each event with those that were subscribed to it by then. */
function listDue(final: FinalState): Due[] {
  const bySubject = groupBy(final.subscriptions, ({ subjectId }) => subjectId);
  const made = new Set<string>();
  return final.events.flatMap((event) => {
    if (event.kind === 'subscription.created') made.add(String(event.data['subscription_id']));
    if (/^(?:subscription|delivery)\./.test(event.kind)) return [];
    return (bySubject.get(subjectOf(event) ?? '') ?? [])
      .filter((subscription) => made.has(subscription.id) && isFor(subscription, event))
      .map((subscription) => ({ event, subscription }));
  });
}

function checkOutbox(final: FinalState): Violation[] {
  const due = listDue(final);
  const dueNames = new Set(due.map(({ event, subscription }) => `${subscription.id} ${event.seq}`));
  const nameOf = ({ subscriptionId, seq }: FinalDelivery): string => `${subscriptionId} ${seq}`;
  const rows = groupBy(final.deliveries, nameOf);
  const inLog = new Set(
    final.events
      .filter(({ kind }) => kind === 'subscription.created')
      .map(({ data }) => String(data['subscription_id'])),
  );
  const missing = due.flatMap(({ event, subscription }) => {
    const found = rows.get(`${subscription.id} ${event.seq}`) ?? [];
    if (found.length === 1 && found[0]?.kind === event.kind) return [];
    const detail = found.length === 0 ? 'an event was never told' : 'an event has not one delivery';
    return [violation(detail, { event, subscription, deliveries: found })];
  });
  return [
    ...missing,
    ...final.deliveries
      .filter((delivery) => !dueNames.has(nameOf(delivery)))
      .map((delivery) => violation('a delivery is of an event that it is not for', { delivery })),
    ...final.subscriptions
      .filter(({ id }) => !inLog.has(id))
      .map((subscription) => violation('a subscription is not in the log', { subscription })),
  ];
}

function isFor({ kinds }: FinalSubscription, { kind }: Event): boolean {
  return (kinds ?? OUTCOME_KINDS).includes(kind);
}

function checkRow(row: FinalDelivery, events: readonly Event[]): Violation[] {
  const evidence = { row, events };
  const acked = events.filter(({ kind }) => kind === 'delivery.acked');
  if (acked.length > 1) return [violation('a delivery was acked more than once', evidence)];
  const isTold = acked.length === 1;
  // What nobody is to hear of is done at once, and nothing is said; but what a gateway has by then stays with it, and may be acked.
  const isToBeTold = row.status === 'acked' && row.mode !== 'silent';
  const wasGivenOut = row.status === 'acked' && row.leaseExpiresAt !== null;
  if (isTold ? !isToBeTold && !wasGivenOut : isToBeTold)
    return [violation('a delivery is not what the log says', evidence)];
  if (isTold && events.at(-1)?.kind !== 'delivery.acked')
    return [violation('an acked delivery was given up', evidence)];
  if (row.status === 'dead' && (events.at(-1)?.kind !== 'delivery.dead' || row.lastError === null))
    return [violation('a dead delivery does not say why', evidence)];
  const messages = isTold && row.sessionId !== null ? 1 : 0;
  return row.messages === messages
    ? []
    : [violation('a delivery is not one message of its session', { ...evidence, messages })];
}

/** What is not finished at the end, and for what reason. */
function checkRest(final: FinalState): Violation[] {
  const readAt = Date.parse(final.readAt);
  const isPast = (time: string | null): boolean => time === null || Date.parse(time) + TAKE_MS < readAt;
  const open = final.deliveries.filter(({ status }) => status !== 'acked' && status !== 'dead');
  const bySubscription = groupBy(open, ({ subscriptionId }) => subscriptionId);
  const liveSessions = new Set(
    open.filter(({ status }) => status === 'leased').map(({ sessionKey }) => sessionKey),
  );
  return open.flatMap((row) => {
    const isBehind = (bySubscription.get(row.subscriptionId) ?? []).some(({ seq }) => seq < row.seq);
    if (row.status === 'synthesizing')
      return isPast(row.synthesisDueAt) ? [violation('a reply was waited for in vain', { row })] : [];
    if (row.status === 'leased')
      return isPast(row.leaseExpiresAt)
        ? [violation('a lapsed delivery was not given out again', { row })]
        : [];
    if (!isPast(row.dueAt) || isBehind || liveSessions.has(row.sessionKey)) return [];
    return [violation('a delivery waits for nothing', { row, readAt: final.readAt })];
  });
}

/** By when each was finished first: a dead one that is tried again by hand is late for good. */
function checkOrder(final: FinalState, verdicts: ReadonlyMap<string, readonly Event[]>): Violation[] {
  const bySubscription = groupBy(
    final.deliveries.filter(({ id }) => verdicts.has(id)),
    ({ subscriptionId }) => subscriptionId,
  );
  return [...bySubscription.values()].flatMap((rows) => {
    let last = 0;
    for (const row of [...rows].sort((one, other) => one.seq - other.seq)) {
      const at = verdicts.get(row.id)?.[0]?.seq ?? 0;
      if (at < last)
        return [violation('the outcomes of one subscription were told out of order', { row, rows })];
      last = at;
    }
    return [];
  });
}

function checkAcknowledged(
  operations: readonly Operation[],
  final: FinalState,
  verdicts: ReadonlyMap<string, readonly Event[]>,
): Violation[] {
  const rows = new Map(final.deliveries.map((row) => [row.id, row]));
  const said = operations.filter(
    (operation): operation is DeliveryOperation =>
      operation.ending === 'ok' && (operation.kind === 'deliver' || operation.kind === 'bury'),
  );
  return said.flatMap((operation) => {
    const row = rows.get(operation.deliveryId);
    const events = verdicts.get(operation.deliveryId) ?? [];
    const evidence = { operation, row, events };
    if (row === undefined) return [violation('an acknowledged delivery is not there', evidence)];
    if (operation.kind === 'bury')
      return events.some(({ kind }) => kind === 'delivery.dead')
        ? []
        : [violation('an acknowledged refusal of a delivery was lost', evidence)];
    const isTold = events.some(
      ({ kind, data }) => kind === 'delivery.acked' && data['attempt'] === operation.attempt,
    );
    return row.status === 'acked' && isTold ? [] : [violation('an acknowledged delivery was lost', evidence)];
  });
}
