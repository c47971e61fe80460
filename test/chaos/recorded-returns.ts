/**
 * A small board that hands work over and tells what came of it: a delegation of two that came back, one that was cancelled, one that runs;
 * three deliveries of two subscriptions, the first of which was given out twice. It satisfies every checker of property 8.
 */
import type { FinalState, Operation } from '../../chaos/history.ts';
import type { Event } from '../../src/contract/events.ts';
import type { Writable } from './small-board-words.ts';

export interface Returns {
  operations: Writable<Operation>[];
  final: Writable<FinalState>;
}

/** A forgery: what it is, what must be said of it, and how it is done. */
export type ForgedReturn = readonly [what: string, detail: string, change: (returns: Returns) => void];

const EPOCH_MS = Date.parse('2026-01-01T00:00:00.000Z');
const END_SECONDS = 60;

/** Of the database, in seconds from the start. */
const at = (seconds: number): string => new Date(EPOCH_MS + seconds * 1000).toISOString();

type Told = Pick<Event, 'kind' | 'data'> & Partial<Event>;

const status = (taskId: string, kind: Event['kind'], after: string): Told => ({
  kind,
  task_id: taskId,
  data: { status_after: after },
});
const made = (id: string): Told => ({ kind: 'delegation.created', delegation_id: id, data: {} });
const completed = (id: string, verdict: string, results: Record<string, string>): Told => ({
  kind: 'delegation.completed',
  delegation_id: id,
  data: {
    status: verdict,
    results: Object.entries(results).map(([task_id, status]) => ({ task_id, status })),
  },
});
const subscribed = (id: string, subject: Partial<Event>): Told => ({
  kind: 'subscription.created',
  ...subject,
  data: { subscription_id: id },
});
const verdict = (kind: 'delivery.acked' | 'delivery.dead', id: string, attempt: number): Told => ({
  kind,
  data: { delivery_id: id, attempt },
});

const LOG: readonly Told[] = [
  status('t1', 'task.created', 'ready'),
  status('t2', 'task.created', 'ready'),
  made('d1'),
  subscribed('s1', { delegation_id: 'd1' }),
  status('t3', 'task.created', 'ready'),
  made('d2'),
  subscribed('s2', { task_id: 't3' }),
  status('t1', 'task.completed', 'done'),
  status('t2', 'task.completed', 'done'),
  completed('d1', 'completed', { t1: 'done', t2: 'done' }),
  status('t4', 'task.created', 'ready'),
  made('d3'),
  status('t3', 'task.blocked', 'blocked'),
  status('t3', 'task.cancelled', 'cancelled'),
  { kind: 'delegation.cancelled', delegation_id: 'd2', data: {} },
  completed('d2', 'cancelled', { t3: 'cancelled' }),
  verdict('delivery.acked', 'v1', 2),
  verdict('delivery.acked', 'v2', 1),
  verdict('delivery.dead', 'v3', 1),
];

const said = (operation: object, second: number): Operation =>
  ({
    entry: 'operation',
    process: 'somebody-1.1',
    invokedAt: second * 1000,
    endedAt: second * 1000 + 10,
    ending: 'ok',
    ...operation,
  }) as unknown as Operation;

const LEASE_SECONDS = 2;

function lease(leaseId: string, delivery: { id: string; subscription: string; seq: number }, second: number) {
  return said(
    {
      kind: 'lease',
      leaseSeconds: LEASE_SECONDS,
      leases: [
        {
          deliveryId: delivery.id,
          subscriptionId: delivery.subscription,
          leaseId,
          attempt: leaseId === 'l2' ? 2 : 1,
          expiresAt: at(second + LEASE_SECONDS),
          seqs: [delivery.seq],
          session: 'session',
          text: `of ${delivery.id}`,
        },
      ],
    },
    second,
  );
}

const V1 = { id: 'v1', subscription: 's1', seq: 10 };
const V2 = { id: 'v2', subscription: 's2', seq: 13 };
const V3 = { id: 'v3', subscription: 's2', seq: 14 };

const OPERATIONS: readonly Operation[] = [
  said({ kind: 'delegate', idempotencyKey: 'k1', sessionId: 'a', ending: 'unknown' }, 1),
  said(
    { kind: 'delegate', idempotencyKey: 'k1', sessionId: 'a', delegationId: 'd1', taskIds: ['t1', 't2'] },
    2,
  ),
  said({ kind: 'delegate', idempotencyKey: 'k2', sessionId: 'b', delegationId: 'd2', taskIds: ['t3'] }, 3),
  said(
    { kind: 'delegate', idempotencyKey: 'k4', sessionId: 'a', ending: 'fail', code: 'delegation_capacity' },
    4,
  ),
  said({ kind: 'subscribe', subjectId: 't3', platform: 'cli', chatId: 'c', subscriptionId: 's2' }, 5),
  said({ kind: 'collect', delegationId: 'd1', status: 'running' }, 6),
  said({ kind: 'collect', delegationId: 'd1', status: 'completed', taskIds: ['t1', 't2'] }, 11),
  said({ kind: 'delegate', idempotencyKey: 'k3', sessionId: 'a', delegationId: 'd3', taskIds: ['t4'] }, 12),
  said({ kind: 'cancel_session', sessionId: 'b', delegationIds: ['d2'] }, 16),
  said({ kind: 'cancel_delegation', delegationId: 'd2', status: 'cancelled', taskIds: ['t3'] }, 17),
  lease('l1', V1, 20),
  lease('l2', V1, 23),
  said({ kind: 'deliver', deliveryId: 'v1', leaseId: 'l2', attempt: 2 }, 24),
  lease('l3', V2, 25),
  said({ kind: 'deliver', deliveryId: 'v2', leaseId: 'l3', attempt: 1 }, 26),
  lease('l4', V3, 27),
  said({ kind: 'bury', deliveryId: 'v3', leaseId: 'l4', attempt: 1 }, 28),
];

const delegation = (id: string, goal: string, taskIds: readonly string[]) => ({
  id,
  goal,
  taskIds,
  join: 'all' as const,
  onDecided: 'cancel' as const,
  capacityKey: 'all',
  sessionId: null,
  deadlineAt: null,
  completedAt: null,
  hasLeftovers: false,
  results: null,
});

const delivery = ({ id, subscription, seq }: typeof V1, finishedSecond: number) => ({
  id,
  subscriptionId: subscription,
  seq,
  mode: 'direct' as const,
  sessionKey: 'session',
  sessionId: 'session',
  dueAt: at(seq),
  leaseExpiresAt: null,
  synthesisDueAt: null,
  hasReply: false,
  isFallback: false,
  lastError: null,
  finishedAt: at(finishedSecond),
  messages: 1,
});

const task = (id: string, status: 'done' | 'cancelled' | 'ready') => ({
  id,
  status,
  lane: 'press',
  attempt: 1,
  version: 1,
  idempotencyKey: null,
  runAt: null,
  blockedKind: null,
  blockedReason: null,
  unmetParents: 0,
  archivedFrom: null,
  reviewer: null,
  implementerLane: null,
  implementerWorker: null,
});

export function recordReturns(): Returns {
  const actor = { type: 'system', id: 'test' } as const;
  const events = LOG.map((told, index) => {
    const seq = index + 1;
    return { ...told, seq, cursor: `cursor ${seq}`, board: 'default', at: at(seq), actor } as Event;
  });
  const final: FinalState = {
    board: 'default',
    readAt: at(END_SECONDS),
    readAtMs: END_SECONDS * 1000,
    seq: events.length,
    events,
    tasks: [task('t1', 'done'), task('t2', 'done'), task('t3', 'cancelled'), task('t4', 'ready')],
    runs: [],
    claims: [],
    links: [],
    counts: {},
    delegationCapacity: 2,
    delegations: [
      {
        ...delegation('d1', 'k1', ['t1', 't2']),
        status: 'completed',
        completedAt: at(10),
        results: [
          { taskId: 't1', status: 'done' },
          { taskId: 't2', status: 'done' },
        ],
      },
      {
        ...delegation('d2', 'k2', ['t3']),
        status: 'cancelled',
        completedAt: at(16),
        results: [{ taskId: 't3', status: 'cancelled' }],
      },
      { ...delegation('d3', 'k3', ['t4']), status: 'running' },
    ],
    subscriptions: [
      { id: 's1', subjectId: 'd1', kinds: null },
      { id: 's2', subjectId: 't3', kinds: null },
    ],
    deliveries: [
      { ...delivery(V1, 24), kind: 'delegation.completed', status: 'acked' },
      { ...delivery(V2, 26), kind: 'task.blocked', status: 'acked' },
      { ...delivery(V3, 28), kind: 'task.cancelled', status: 'dead', lastError: 'gone', messages: 0 },
    ],
  };
  return structuredClone({ operations: OPERATIONS, final }) as Returns;
}

export function forgeReturns(change: (returns: Returns) => void): Returns {
  const returns = recordReturns();
  change(returns);
  return returns;
}

export function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('the record has it');
  return value;
}

type Row<K extends 'delegations' | 'deliveries'> = Returns['final'][K][number];

export function rowOf<K extends 'delegations' | 'deliveries'>(
  { final }: Returns,
  table: K,
  id: string,
): Row<K> {
  return present((final[table] as Row<K>[]).find((row) => row.id === id));
}

/** The log without it, dense again. */
export function dropEvent(
  { final }: Returns,
  willDo: (event: Returns['final']['events'][number]) => boolean,
) {
  final.events.splice(final.events.findIndex(willDo), 1);
}

type OperationOf<K, O = Operation> = O extends { kind: infer Kind } ? (K extends Kind ? O : never) : never;

export function operationsOn<K extends Operation['kind']>(
  { operations }: Returns,
  kind: K,
): Writable<OperationOf<K>>[] {
  return operations.filter((operation) => operation.kind === kind) as Writable<OperationOf<K>>[];
}
