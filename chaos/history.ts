/**
 * What happened in a chaos run, as its processes saw it: one line of JSON per entry, appended as it happens and never rewritten, so that a
 * recorder that is killed leaves all but its last line. Checkers read nothing else but this and the state in which the database was found
 * at the end.
 */
import type { Event } from '../src/contract/events.ts';
import type { DelegationStatus, Outcome, TaskStatus } from '../src/contract/statuses.ts';
import type { FinalReturns } from './final-returns.ts';
import type { ResumingEntry, WatcherEntry } from './watch-entries.ts';

/** Milliseconds of the one clock of the recording machine that only rises, the same for all its processes. */
export type AtMs = number;

/**
 * How an operation ended for whoever asked: `ok` when it was acknowledged, `fail` when it was refused and certainly had no effect, `unknown`
 * when no answer came or one that says nothing about the effect (a timeout, a cut connection, any 5xx).
 */
export type Ending = 'ok' | 'fail' | 'unknown';

interface OperationBase {
  readonly entry: 'operation';
  /** Who asked, for example "worker-3.2": the third worker, its second life. */
  readonly process: string;
  readonly invokedAt: AtMs;
  /** Missing while it is under way, and for ever when its process was killed: then its ending is unknown. */
  readonly endedAt?: AtMs;
  readonly ending: Ending;
  /** Of a refusal: the problem's code, and for claim_lost its reason. */
  readonly code?: string;
  readonly reason?: string;
  /** The address of the server that was asked, where it was written down. */
  readonly via?: string;
}

export interface CreateOperation extends OperationBase {
  readonly kind: 'create';
  readonly idempotencyKey: string;
  readonly lane: string;
  /** Of an ok. */
  readonly taskId?: string;
  readonly isReplay?: boolean;
}

/**
 * A claim request, with or without a wait; also a takeover that hands over claims, and a claim that was pushed: on a lane of claim mode push
 * `invokedAt` is when it came, and says nothing of when it was made.
 */
export interface ClaimOperation extends OperationBase {
  readonly kind: 'claim';
  readonly lane: string;
  readonly worker: string;
  readonly claims: readonly RecordedClaim[];
}

export interface RecordedClaim {
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  /** As its holder was told, by the database. */
  readonly leaseExpiresAt?: string;
}

/** Every write under a claim: a heartbeat, or an end. */
export interface RunOperation extends OperationBase {
  readonly kind:
    | 'heartbeat'
    | 'complete'
    | 'request_changes'
    | 'fail'
    | 'release'
    | 'block'
    | 'output'
    | 'ack';
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  /** Of an accepted end: the run's outcome. */
  readonly outcome?: Outcome;
  /** Of an accepted end: when, by the database. */
  readonly runEndedAt?: string;
  /** Of a heartbeat that was answered: until when it holds, by the database. */
  readonly leaseExpiresAt?: string;
}

export interface CancelOperation extends OperationBase {
  readonly kind: 'cancel';
  readonly taskId: string;
  /** Of an ok: the status that was answered. */
  readonly status?: TaskStatus;
}

/** What a person or an orchestrator does with a task, or a worker with the links of its own. send_back: the changes a person requests. */
export interface OperatorOperation extends OperationBase {
  readonly kind: 'link' | 'unlink' | 'finish' | 'reopen' | 'archive' | 'accept' | 'send_back';
  readonly taskId: string;
  /** Of links: the task that is waited for. */
  readonly parentId?: string;
}

/** Work handed over as a group, by an orchestrator or under a claim. Its key is its goal too, so that its row tells. */
export interface DelegateOperation extends OperationBase {
  readonly kind: 'delegate';
  readonly idempotencyKey: string;
  readonly sessionId: string | null;
  /** Of an ok. */
  readonly delegationId?: string;
  readonly taskIds?: readonly string[];
  readonly isReplay?: boolean;
}

/** Looked up with a wait, or stopped. */
export interface DecisionOperation extends OperationBase {
  readonly kind: 'collect' | 'cancel_delegation';
  readonly delegationId: string;
  /** Of an ok: what it was then, and once it was decided whose results came with it. */
  readonly status?: DelegationStatus;
  readonly taskIds?: readonly string[];
}

export interface CancelSessionOperation extends OperationBase {
  readonly kind: 'cancel_session';
  readonly sessionId: string;
  /** Of an ok: those that it stopped. */
  readonly delegationIds?: readonly string[];
}

export interface SubscribeOperation extends OperationBase {
  readonly kind: 'subscribe';
  /** A task or delegation. */
  readonly subjectId: string;
  readonly platform: string;
  readonly chatId: string;
  readonly subscriptionId?: string;
}

/** A gateway's request for deliveries, with a wait. */
export interface LeaseOperation extends OperationBase {
  readonly kind: 'lease';
  readonly leaseSeconds: number;
  readonly leases: readonly RecordedLease[];
}

export interface RecordedLease {
  readonly deliveryId: string;
  readonly subscriptionId: string;
  readonly leaseId: string;
  readonly attempt: number;
  /** By the database. */
  readonly expiresAt: string;
  /** The events that it tells about. */
  readonly seqs: readonly number[];
  /** Of whose deliveries only one is out, as it was when this was answered. */
  readonly session: string;
  /** A digest: the same text each time. */
  readonly text: string;
}

/** What a gateway says of a delivery. bury: it can never be sent. */
export interface DeliveryOperation extends OperationBase {
  readonly kind: 'deliver' | 'nack' | 'bury' | 'defer';
  readonly deliveryId: string;
  readonly leaseId: string;
  readonly attempt: number;
}

/** By hand: a dead one is tried again. */
export interface RetryOperation extends OperationBase {
  readonly kind: 'retry';
  readonly deliveryId: string;
}

export type ReturnOperation =
  | DelegateOperation
  | DecisionOperation
  | CancelSessionOperation
  | SubscribeOperation
  | LeaseOperation
  | DeliveryOperation
  | RetryOperation;

export type Operation =
  | CreateOperation
  | ClaimOperation
  | RunOperation
  | CancelOperation
  | OperatorOperation
  | ReturnOperation;

/** Those that are answered when there is something: that they take long says nothing. */
export function isWait({ kind }: Pick<Operation, 'kind'>): boolean {
  return kind === 'claim' || kind === 'collect' || kind === 'lease';
}

export interface FaultEntry {
  readonly entry: 'fault';
  readonly at: AtMs;
  /** For example "kill server", "stop worker", "kill postgres", "terminate listener", "cut proxy". */
  readonly fault: string;
  /** Of a client: the name of its process, with or without its life, so that the fault is not held against the others. */
  readonly target: string;
  /** Of a fault that lasts: when it was over. */
  readonly until?: AtMs;
}

export type HistoryEntry = Operation | WatcherEntry | ResumingEntry | FaultEntry;

/** The board at the end, read from the database itself after the last fault, when everything that was under way had ended. */
export interface FinalState extends FinalReturns {
  /** Its name: a run has two. */
  readonly board: string;
  /** By the database. */
  readonly readAt: string;
  /** The same moment by the recording machine's clock: what puts the times of the log beside those of the history. */
  readonly readAtMs: AtMs;
  readonly seq: number;
  readonly events: readonly Event[];
  readonly tasks: readonly FinalTask[];
  readonly runs: readonly FinalRun[];
  readonly claims: readonly FinalClaim[];
  readonly links: readonly FinalLink[];
  /** Counts by status as the board's counter row has them. */
  readonly counts: Readonly<Partial<Record<TaskStatus, number>>>;
}

/** Of a board that prunes: read while it goes on. */
export interface PrunedState extends FinalState {
  /** It was read between this moment and `readAtMs`. */
  readonly readFromMs: AtMs;
  /** The newest event that is gone; 0: none is. */
  readonly prunedSeq: number;
  /** What is over is kept for so long, and not much longer. */
  readonly keptSeconds: Readonly<Record<'events' | 'finishedTasks', number>>;
}

export interface FinalTask {
  readonly id: string;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly attempt: number;
  readonly version: number;
  readonly idempotencyKey: string | null;
  readonly runAt: string | null;
  readonly blockedKind: string | null;
  readonly blockedReason: string | null;
  readonly unmetParents: number;
  readonly archivedFrom: TaskStatus | null;
  /** Of work under review: the lane that may claim it, and who may not. */
  readonly reviewer: string | null;
  readonly implementerLane: string | null;
  readonly implementerWorker: string | null;
}

export interface FinalLink {
  readonly childId: string;
  readonly parentId: string;
  readonly isMet: boolean;
}

export interface FinalRun {
  readonly id: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly outcome: Outcome | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface FinalClaim {
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly leaseExpiresAt: string;
}

/** Something that must never happen, with all that is needed to look into it. */
export interface Violation {
  /** Number of the property in docs/guarantees.md. */
  readonly property: number;
  readonly detail: string;
  readonly evidence: Readonly<Record<string, unknown>>;
}
