/**
 * The run-time half of the contract that the client needs: method and path of every operation, and how it may be
 * repeated. The compiler holds each literal against the descriptor's; a test compares this table with ROUTES
 * both ways. Importing the descriptors themselves would load the schema library into every browser.
 */
import type { Contract, OperationId } from './operation-types.ts';

type Flag<Id extends OperationId, Name extends string> =
  Contract[Id] extends Record<Name, true>
    ? { readonly [K in Name]: true }
    : { readonly [K in Name]?: undefined };

type OperationTable = {
  readonly [Id in OperationId]: {
    readonly method: Contract[Id]['method'];
    readonly path: Contract[Id]['path'];
    /** Idempotent by design although it is a POST: the same call again has no further effect. */
    readonly isRepeatable?: true;
  } & Flag<Id, 'isIdempotent'> &
    Flag<Id, 'isWaitable'>;
};

export const OPERATIONS = {
  livez: { method: 'get', path: '/livez' },
  readyz: { method: 'get', path: '/readyz' },
  metrics: { method: 'get', path: '/metrics' },
  openapiDocument: { method: 'get', path: '/openapi.json' },
  asyncapiDocument: { method: 'get', path: '/asyncapi.json' },
  docsPage: { method: 'get', path: '/docs' },
  jwks: { method: 'get', path: '/.well-known/jwks.json' },

  whoami: { method: 'get', path: '/v1/whoami' },
  createKey: { method: 'post', path: '/v1/keys', isIdempotent: true },
  listKeys: { method: 'get', path: '/v1/keys' },
  deleteKey: { method: 'delete', path: '/v1/keys/{key}' },
  rotateSigningKey: { method: 'post', path: '/v1/signing-keys/rotate' },
  createSignInCode: { method: 'post', path: '/v1/sign-in-codes' },
  signIn: { method: 'post', path: '/v1/sign-in' },
  signOut: { method: 'post', path: '/v1/sign-out' },

  listAudit: { method: 'get', path: '/v1/audit' },

  putBoard: { method: 'put', path: '/v1/boards/{board}' },
  listBoards: { method: 'get', path: '/v1/boards' },
  getBoard: { method: 'get', path: '/v1/boards/{board}' },
  patchBoard: { method: 'patch', path: '/v1/boards/{board}' },
  deleteBoard: { method: 'delete', path: '/v1/boards/{board}' },
  getAttention: { method: 'get', path: '/v1/boards/{board}/attention' },
  getStats: { method: 'get', path: '/v1/boards/{board}/stats' },

  putLane: { method: 'put', path: '/v1/boards/{board}/lanes/{lane}' },
  listLanes: { method: 'get', path: '/v1/boards/{board}/lanes' },
  getLane: { method: 'get', path: '/v1/boards/{board}/lanes/{lane}' },
  patchLane: { method: 'patch', path: '/v1/boards/{board}/lanes/{lane}' },
  deleteLane: { method: 'delete', path: '/v1/boards/{board}/lanes/{lane}' },
  pauseLane: { method: 'post', path: '/v1/boards/{board}/lanes/{lane}/pause' },
  resumeLane: { method: 'post', path: '/v1/boards/{board}/lanes/{lane}/resume' },
  drainLane: { method: 'post', path: '/v1/boards/{board}/lanes/{lane}/drain' },
  takeOverLane: { method: 'post', path: '/v1/boards/{board}/lanes/{lane}/takeover', isIdempotent: true },
  createLaneKey: { method: 'post', path: '/v1/boards/{board}/lanes/{lane}/keys', isIdempotent: true },

  createTask: { method: 'post', path: '/v1/boards/{board}/tasks', isIdempotent: true },
  createTasks: { method: 'post', path: '/v1/boards/{board}/tasks/batch', isIdempotent: true },
  bulkTasks: { method: 'post', path: '/v1/boards/{board}/tasks/bulk', isIdempotent: true },
  getOperation: { method: 'get', path: '/v1/boards/{board}/operations/{operation}', isWaitable: true },
  cancelOperation: {
    method: 'post',
    path: '/v1/boards/{board}/operations/{operation}/cancel',
    isRepeatable: true,
  },
  importTasks: { method: 'post', path: '/v1/boards/{board}/import', isRepeatable: true },
  listTasks: { method: 'get', path: '/v1/boards/{board}/tasks' },
  getTask: { method: 'get', path: '/v1/boards/{board}/tasks/{task}', isWaitable: true },
  patchTask: { method: 'patch', path: '/v1/boards/{board}/tasks/{task}' },
  deleteTask: { method: 'delete', path: '/v1/boards/{board}/tasks/{task}' },
  promoteTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/promote' },
  unblockTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/unblock' },
  cancelTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/cancel' },
  completeTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/complete' },
  reclaimTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/reclaim' },
  assignTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/assign' },
  archiveTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/archive' },
  reopenTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/reopen' },
  scheduleTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/schedule' },
  acceptTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/accept' },
  requestTaskChanges: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/request-changes' },
  linkParent: { method: 'put', path: '/v1/boards/{board}/tasks/{task}/parents/{parent}' },
  unlinkParent: { method: 'delete', path: '/v1/boards/{board}/tasks/{task}/parents/{parent}' },
  getGraph: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/graph' },
  getWhy: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/why' },
  getContext: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/context' },
  addComment: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/comments', isIdempotent: true },
  listComments: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/comments' },
  steerTask: { method: 'post', path: '/v1/boards/{board}/tasks/{task}/steer', isIdempotent: true },
  listMessages: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/messages' },
  listOutput: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/output' },
  listTaskRuns: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/runs' },
  listTaskEvents: { method: 'get', path: '/v1/boards/{board}/tasks/{task}/events' },

  createDelegation: { method: 'post', path: '/v1/boards/{board}/delegations', isIdempotent: true },
  listDelegations: { method: 'get', path: '/v1/boards/{board}/delegations' },
  getDelegation: { method: 'get', path: '/v1/boards/{board}/delegations/{delegation}', isWaitable: true },
  steerDelegation: {
    method: 'post',
    path: '/v1/boards/{board}/delegations/{delegation}/steer',
    isIdempotent: true,
  },
  cancelDelegation: {
    method: 'post',
    path: '/v1/boards/{board}/delegations/{delegation}/cancel',
    isRepeatable: true,
  },
  cancelDelegations: { method: 'post', path: '/v1/boards/{board}/delegations/cancel', isRepeatable: true },

  putSubscription: { method: 'put', path: '/v1/boards/{board}/subscriptions' },
  listSubscriptions: { method: 'get', path: '/v1/boards/{board}/subscriptions' },
  getSubscription: { method: 'get', path: '/v1/boards/{board}/subscriptions/{subscription}' },
  deleteSubscription: { method: 'delete', path: '/v1/boards/{board}/subscriptions/{subscription}' },

  claimDeliveries: {
    method: 'post',
    path: '/v1/boards/{board}/deliveries/claims',
    isIdempotent: true,
    isWaitable: true,
  },
  listDeliveries: { method: 'get', path: '/v1/boards/{board}/deliveries' },
  ackDelivery: { method: 'post', path: '/v1/deliveries/{delivery}/ack', isRepeatable: true },
  nackDelivery: { method: 'post', path: '/v1/deliveries/{delivery}/nack' },
  retryDelivery: { method: 'post', path: '/v1/deliveries/{delivery}/retry', isRepeatable: true },
  listSessionMessages: { method: 'get', path: '/v1/boards/{board}/sessions/{session}/messages' },

  claimTasks: {
    method: 'post',
    path: '/v1/boards/{board}/lanes/{lane}/claims',
    isIdempotent: true,
    isWaitable: true,
  },

  getRun: { method: 'get', path: '/v1/runs/{run}' },
  heartbeatRun: { method: 'post', path: '/v1/runs/{run}/heartbeat', isRepeatable: true },
  appendOutput: { method: 'post', path: '/v1/runs/{run}/output' },
  acknowledgeMessages: { method: 'post', path: '/v1/runs/{run}/messages/ack', isRepeatable: true },
  completeRun: { method: 'post', path: '/v1/runs/{run}/complete', isRepeatable: true },
  blockRun: { method: 'post', path: '/v1/runs/{run}/block', isRepeatable: true },
  requestRunChanges: { method: 'post', path: '/v1/runs/{run}/request-changes', isRepeatable: true },
  releaseRun: { method: 'post', path: '/v1/runs/{run}/release', isRepeatable: true },
  failRun: { method: 'post', path: '/v1/runs/{run}/fail', isRepeatable: true },
  batchRuns: { method: 'post', path: '/v1/runs/batch', isRepeatable: true },

  listEvents: { method: 'get', path: '/v1/boards/{board}/events', isWaitable: true },
  getSnapshot: { method: 'get', path: '/v1/boards/{board}/snapshot' },
} as const satisfies OperationTable;

/** How an operation may be repeated when its answer was lost. */
export type Repetition = 'free' | 'with-key' | 'never';

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly isRepeatable?: true;
  readonly isIdempotent?: true;
  readonly isWaitable?: true;
}

export function repetitionOf(operation: Operation): Repetition {
  if (operation.isIdempotent) return 'with-key';
  if (operation.isRepeatable) return 'free';
  return ['get', 'put', 'delete'].includes(operation.method) ? 'free' : 'never';
}
