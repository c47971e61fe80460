/**
 * What is recorded, and what is told of it. Names of settings and not their values, but for how long history is kept; ids and not contents,
 * nor what a caller called something: an entry is read by people who need not be allowed to read the board, and kept longer than it.
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

/** By its id, as the answer has it: what a path calls a task may be an external reference, which is a caller's text and may be another's by now. */
const toTask =
  (action: AuditAction): Tell =>
  ({ answer }) => ({ action, subject: textOf(recordOf(answer['task'])['id']) });

const changes =
  (parameter: string, made: AuditAction, changed: AuditAction): Tell =>
  ({ params, body, status }) => ({
    action: status === 201 ? made : changed,
    subject: params[parameter] ?? null,
    data: { fields: Object.keys(body) },
  });

/** Which settings, too, and of retention what it is now: whoever turns on that history goes is to be seen, and times are no contents. */
const changesBoard =
  (made: AuditAction): Tell =>
  (deed) => {
    const told = changes('board', made, 'board.changed')(deed);
    const { settings } = deed.body;
    if (settings === undefined) return told;
    const { retention } = recordOf(settings);
    const kept = retention === undefined ? {} : { retention: recordOf(retention) };
    return { ...told, data: { ...told.data, settings: Object.keys(recordOf(settings)), ...kept } };
  };

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

  putBoard: changesBoard('board.created'),
  patchBoard: changesBoard('board.changed'),
  deleteBoard: to('board.deleted', 'board'),

  putLane: changes('lane', 'lane.registered', 'lane.changed'),
  patchLane: changes('lane', 'lane.changed', 'lane.changed'),
  deleteLane: to('lane.deleted', 'lane'),
  pauseLane: to('lane.paused', 'lane'),
  resumeLane: to('lane.resumed', 'lane'),
  drainLane: to('lane.drained', 'lane'),
  takeOverLane: withDetails(to('lane.taken_over', 'lane'), ['mode', 'worker']),

  cancelTask: toTask('task.cancelled'),
  completeTask: toTask('task.completed'),
  // Its answer is empty: its handler says which.
  deleteTask: () => ({ action: 'task.deleted' }),
  reclaimTask: toTask('task.reclaimed'),
  assignTask: toTask('task.assigned'),
  unblockTask: toTask('task.unblocked'),
  archiveTask: toTask('task.archived'),
  reopenTask: toTask('task.reopened'),
  acceptTask: toTask('task.accepted'),
  requestTaskChanges: toTask('task.changes_requested'),
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
  cancelDelegation: to('delegation.cancelled', 'delegation'),
  cancelDelegations: withDetails(() => ({ action: 'delegations.cancelled' }), ['session_id']),

  putSubscription: ({ answer }) => ({
    action: 'subscription.put',
    subject: textOf(recordOf(answer['subscription'])['id']),
  }),
  deleteSubscription: to('subscription.deleted', 'subscription'),
  retryDelivery: to('delivery.retried', 'delivery'),
};

const IN_THE_LOG = 'the log of the board has it, with who did it';
const OF_A_WORKER = 'what workers do with their claims is in the log of the board';

/** Operations that change something and are not recorded here, with the reason. */
export const NOT_AUDITED: Readonly<Record<string, string>> = {
  createTask: IN_THE_LOG,
  createTasks: IN_THE_LOG,
  createDelegation: IN_THE_LOG,
  patchTask: IN_THE_LOG,
  promoteTask: IN_THE_LOG,
  scheduleTask: IN_THE_LOG,
  linkParent: IN_THE_LOG,
  unlinkParent: IN_THE_LOG,
  addComment: IN_THE_LOG,
  steerTask: IN_THE_LOG,
  steerDelegation: IN_THE_LOG,
  claimTasks: OF_A_WORKER,
  heartbeatRun: OF_A_WORKER,
  appendOutput: OF_A_WORKER,
  acknowledgeMessages: OF_A_WORKER,
  completeRun: OF_A_WORKER,
  requestRunChanges: OF_A_WORKER,
  blockRun: OF_A_WORKER,
  releaseRun: OF_A_WORKER,
  failRun: OF_A_WORKER,
  batchRuns: OF_A_WORKER,
  claimDeliveries: 'what gateways do with their deliveries stands with these',
  ackDelivery: IN_THE_LOG,
  nackDelivery: 'what gateways do with their deliveries stands with these',
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
