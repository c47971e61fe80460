/**
 * What is recorded, and what is told of it. Names of settings and not their values, ids and not contents: an entry is read by people who
 * need not be allowed to read the board, and kept longer than it.
 */
import type { AuditAction } from '../../../contract/audit.ts';
import type { Exchange } from '../../http/exchange.ts';

/** Of a request that was answered well. */
export interface Deed {
  readonly params: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly status: number;
  /** Of the answer. */
  readonly answer: Readonly<Record<string, unknown>>;
}

export interface Told {
  readonly action: AuditAction;
  readonly subject?: string | null;
  /** Of what is not in the path of one. */
  readonly board?: string | null;
  readonly data?: Readonly<Record<string, unknown>>;
}

type Tell = (deed: Deed) => Told;

const to =
  (action: AuditAction, parameter: string): Tell =>
  ({ params }) => ({ action, subject: params[parameter] ?? null });

const changes =
  (parameter: string, made: AuditAction, changed: AuditAction): Tell =>
  ({ params, body, status }) => ({
    action: status === 201 ? made : changed,
    subject: params[parameter] ?? null,
    data: { fields: Object.keys(body) },
  });

/** What an answer that issues a key says of it, but for the secret. */
const issued =
  (action: AuditAction): Tell =>
  ({ answer }) => {
    const key = recordOf(answer['key']);
    const boards = Array.isArray(key['boards']) ? key['boards'].map(String) : [];
    const [only] = boards;
    return {
      action,
      subject: textOf(key['id']),
      board: boards.length === 1 && only !== undefined && only !== '*' ? only : null,
      data: Object.fromEntries(
        ['role', 'name', 'boards', 'lane', 'owner', 'expires_at'].map((field) => [field, key[field] ?? null]),
      ),
    };
  };

const withDetails =
  (tell: Tell, fields: readonly string[]): Tell =>
  (deed) => ({
    ...tell(deed),
    data: Object.fromEntries(
      fields.filter((field) => deed.body[field] != null).map((field) => [field, deed.body[field]]),
    ),
  });

export const AUDITED: Readonly<Record<string, Tell>> = {
  createKey: issued('key.created'),
  createLaneKey: issued('key.created'),
  deleteKey: to('key.revoked', 'key'),
  rotateSigningKey: ({ answer }) => ({
    action: 'signing_key.rotated',
    subject: textOf(recordOf(answer['signing_key'])['kid']),
  }),
  createSignInCode: withDetails(() => ({ action: 'sign_in.code_created' }), ['role', 'boards', 'name']),
  signIn: issued('sign_in.succeeded'),
  signOut: () => ({ action: 'sign_in.ended' }),

  putBoard: changes('board', 'board.created', 'board.changed'),
  patchBoard: changes('board', 'board.changed', 'board.changed'),
  deleteBoard: to('board.deleted', 'board'),

  putLane: changes('lane', 'lane.registered', 'lane.changed'),
  patchLane: changes('lane', 'lane.changed', 'lane.changed'),
  deleteLane: to('lane.deleted', 'lane'),
  pauseLane: to('lane.paused', 'lane'),
  resumeLane: to('lane.resumed', 'lane'),
  drainLane: to('lane.drained', 'lane'),
  takeOverLane: withDetails(to('lane.taken_over', 'lane'), ['mode', 'worker']),

  cancelTask: to('task.cancelled', 'task'),
  completeTask: to('task.completed', 'task'),
  deleteTask: to('task.deleted', 'task'),
  reclaimTask: to('task.reclaimed', 'task'),
  importTasks: ({ body }) => ({
    action: 'tasks.imported',
    data: { tasks: Array.isArray(body['tasks']) ? body['tasks'].length : 0 },
  }),
  bulkTasks: ({ body, answer }) => ({
    action: 'operation.started',
    subject: textOf(recordOf(answer['operation'])['id']),
    data: { action: body['action'], dry_run: body['dry_run'] ?? false },
  }),
  cancelOperation: to('operation.stopped', 'operation'),
  cancelDelegations: withDetails(() => ({ action: 'delegations.cancelled' }), ['session_id']),

  putSubscription: ({ answer }) => ({
    action: 'subscription.put',
    subject: textOf(recordOf(answer['subscription'])['id']),
  }),
  deleteSubscription: to('subscription.deleted', 'subscription'),
  retryDelivery: to('delivery.retried', 'delivery'),
};

export function deedOf({ params, body }: Exchange, status: number, answer: unknown): Deed {
  return {
    params: params as Readonly<Record<string, string>>,
    body: recordOf(body),
    status,
    answer: recordOf(answer),
  };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
