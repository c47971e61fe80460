/**
 * The client: one object per server and credential, with the contract's resources on it. Opens nothing by itself.
 * Runs in browsers and on Node 20 and later; depends on nothing but the platform's fetch and WebSocket.
 */
import type { Delegation } from '../contract/delegations.ts';
import type { Delegated, DelegateRequest, OnCapacity, Overflow } from './delegate.ts';
import { delegate } from './delegate.ts';
import type { ReplyOf } from './operation-types.ts';
import { Audit } from './resources/audit.ts';
import { Boards } from './resources/boards.ts';
import { Claims } from './resources/claims.ts';
import { Delegations } from './resources/delegations.ts';
import { Deliveries } from './resources/deliveries.ts';
import { Events } from './resources/events.ts';
import { Keys } from './resources/keys.ts';
import { Lanes } from './resources/lanes.ts';
import type { BoardCallOptions } from './resources/resource.ts';
import { Runs } from './resources/runs.ts';
import { Subscriptions } from './resources/subscriptions.ts';
import { System } from './resources/system.ts';
import { Tasks } from './resources/tasks.ts';
import type { CallOptions, TransportOptions } from './transport.ts';
import { Transport } from './transport.ts';
import type { WatchOptions } from './watch/options.ts';
import type { WebSocketConstructor } from './watch/socket.ts';
import { Watch } from './watch/watch.ts';
import type { Handler } from './worker/handler-run.ts';
import { Worker, type WorkerOptions } from './worker/worker.ts';

export interface ConnectOptions extends TransportOptions {
  /** What calls go to unless they name another. Default: "default", which every server has. */
  readonly board?: string | undefined;
  /** For tests and unusual platforms; takes the subprotocol way to authenticate. */
  readonly webSocket?: WebSocketConstructor | undefined;
}

export class Client {
  readonly board: string;
  readonly boards: Boards;
  readonly lanes: Lanes;
  readonly tasks: Tasks;
  readonly claims: Claims;
  readonly delegations: Delegations;
  readonly subscriptions: Subscriptions;
  readonly deliveries: Deliveries;
  readonly runs: Runs;
  readonly keys: Keys;
  readonly audit: Audit;
  readonly events: Events;
  readonly system: System;
  /** For operations that have no method of their own here. */
  readonly transport: Transport;
  /** As given to connect; undefined: the platform's. */
  readonly webSocket: WebSocketConstructor | undefined;

  constructor(options: ConnectOptions) {
    const transport = new Transport(options);
    this.transport = transport;
    this.board = options.board ?? 'default';
    this.webSocket = options.webSocket;
    this.boards = new Boards(transport, this.board);
    this.lanes = new Lanes(transport, this.board);
    this.tasks = new Tasks(transport, this.board);
    this.claims = new Claims(transport, this.board);
    this.delegations = new Delegations(transport, this.board);
    this.subscriptions = new Subscriptions(transport, this.board);
    this.deliveries = new Deliveries(transport, this.board);
    this.events = new Events(transport, this.board);
    this.runs = new Runs(transport);
    this.keys = new Keys(transport);
    this.audit = new Audit(transport);
    this.system = new System(transport);
  }

  get url(): string {
    return this.transport.url;
  }

  /** Who the credential speaks for. */
  whoami(options?: CallOptions): Promise<ReplyOf<'whoami'>> {
    return this.transport.request('whoami', {}, options);
  }

  /** Unfinished tasks and lanes of one instant; watch from its cursor to stay current. */
  snapshot(options?: BoardCallOptions): Promise<ReplyOf<'getSnapshot'>> {
    const params = { board: options?.board ?? this.board };
    return this.transport.request('getSnapshot', { params }, options);
  }

  /** What waits for a person, oldest first, with the actions that resolve it. */
  attention(options?: BoardCallOptions): Promise<ReplyOf<'getAttention'>> {
    const params = { board: options?.board ?? this.board };
    return this.transport.request('getAttention', { params }, options);
  }

  /**
   * Hands work over in the background: `{tasks}`, or one task as `{lane, goal, context}`. Answers at once with the delegation, which
   * `delegations.collect` waits for. Where as many as may are running, `onCapacity` decides: `fail` (the default) throws
   * `delegation_capacity`; `wait` tries again whenever one ends, for at most timeoutSeconds, and then throws it; a function does the work
   * here and now, and what it resolves to is `inline`. Nothing is made twice.
   */
  delegate(
    request: DelegateRequest & { readonly onCapacity?: 'fail' | 'wait' | undefined },
    options?: BoardCallOptions,
  ): Promise<{ readonly delegation: Delegation; readonly inline?: undefined }>;
  delegate<Inline>(
    request: DelegateRequest & { readonly onCapacity: (overflow: Overflow) => Promise<Inline> },
    options?: BoardCallOptions,
  ): Promise<Delegated<Inline>>;
  delegate<Inline>(
    request: DelegateRequest & { readonly onCapacity?: OnCapacity<Inline> | undefined },
    options?: BoardCallOptions,
  ): Promise<Delegated<Inline>> {
    const { delegations, tasks, events } = this;
    return delegate({ delegations, tasks, events, timing: this.transport.timing }, request, options);
  }

  /**
   * Follows the log from now on, or from `after`, through drops and restarts. Starts at once; ends quietly when
   * the signal is aborted. Throws LanekeeperError `cursor_expired` when the log no longer reaches back far enough.
   */
  watch(options: WatchOptions = {}, signal?: AbortSignal): Watch {
    const context = { transport: this.transport, board: this.board, webSocket: this.webSocket };
    return new Watch(context, options, signal);
  }

  /** A worker of a lane; takes a key of the lane. Does nothing before its `run()`. See Worker and Handler. */
  worker(options: WorkerOptions, handler?: Handler): Worker {
    return new Worker(this, options, handler);
  }
}

/** A client for the server at `url`; `token` is an API key or a claim token. Makes no request yet. */
export function connect(options: ConnectOptions): Client {
  return new Client(options);
}
