/** What `lanekeeper/client` offers. */
export type { AuditEntry } from '../contract/audit.ts';
export type { Board } from '../contract/boards.ts';
export type { Claim, Handoff } from '../contract/claims.ts';
export type { Delegation, DelegationResult } from '../contract/delegations.ts';
export type { Delivery, LeasedDelivery } from '../contract/deliveries.ts';
export type { Event } from '../contract/events.ts';
export type { Key } from '../contract/keys.ts';
export type { Lane } from '../contract/lanes.ts';
export type { Message } from '../contract/messages.ts';
export type { OutputLine } from '../contract/outputs.ts';
export type { Run, RunOperation, RunOperationResult } from '../contract/runs.ts';
export type { Subscription } from '../contract/subscriptions.ts';
export type { Task } from '../contract/tasks.ts';
export type { Client, ConnectOptions } from './client.ts';
export { connect } from './client.ts';
export type { LateToken } from './credential.ts';
export type { Delegated, DelegateRequest, OnCapacity, Overflow } from './delegate.ts';
export type { ErrorCode, FieldError } from './errors.ts';
export { LanekeeperError, UnreachableError } from './errors.ts';
export type { ArgumentsOf, BodyOf, OperationId, QueryOf, ReplyOf } from './operation-types.ts';
export type { CollectOptions } from './resources/delegations.ts';
export type { Listing } from './resources/listing.ts';
export type { BoardCallOptions } from './resources/resource.ts';
export type { RunCallOptions } from './resources/runs.ts';
export type { Readiness } from './resources/system.ts';
export type { RetryPolicy } from './retry.ts';
export type { CallOptions } from './transport.ts';
export type { StateName } from './watch/machine.ts';
export type {
  CancelFrame,
  OutputFrame,
  SteerFrame,
  WatchLimits,
  WatchOptions,
} from './watch/options.ts';
export type { WebSocketConstructor, WebSocketLike } from './watch/socket.ts';
export type { Watch } from './watch/watch.ts';
export type { HandlerResult } from './worker/handler-end.ts';
export { Block, Fatal, RetryAfter } from './worker/handler-end.ts';
export type { Handler } from './worker/handler-run.ts';
export type { OutputSource } from './worker/output-source.ts';
export type { EndAnswer } from './worker/run-end.ts';
export type { SteeringMessage } from './worker/steering-message.ts';
export type { AbortReason } from './worker/task-aborted.ts';
export { TaskAbortedError } from './worker/task-aborted.ts';
export type { ProgressDetails, ReviewRequest, TaskContext } from './worker/task-context.ts';
export type { WorkMode } from './worker/work-mode.ts';
export type { StopOptions, Worker, WorkerLogger, WorkerOptions } from './worker/worker.ts';
export type { Replacement } from './worker/worker-error.ts';
export { UnreportedEndsError, WorkerReplacedError } from './worker/worker-error.ts';
