/** What a handler has beside its task: all that it may say about it, hear about it and have done for it, under its claim. */
import type { Handoff } from '../../contract/claims.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { PushedClaim } from '../../contract/frames.ts';
import type { Task } from '../../contract/tasks.ts';
import {
  type Delegated,
  type DelegateRequest,
  delegate,
  type OnCapacity,
  type Overflow,
} from '../delegate.ts';
import type { BodyOf, ReplyOf } from '../operation-types.ts';
import type { CollectOptions } from '../resources/delegations.ts';
import type { HandlerResult } from './handler-end.ts';
import type { Inbox } from './inbox.ts';
import type { RunOutput } from './output-relay.ts';
import { type OutputSource, printAll } from './output-source.ts';
import type { News } from './pending-news.ts';
import { cleanText, firstCharacters } from './plain-text.ts';
import type { EndAnswer, RunEnd } from './run-end.ts';
import type { KeptClaim } from './run-line.ts';
import type { SteeringMessage } from './steering-message.ts';
import type { WorkerClient } from './worker-client.ts';

export interface ProgressDetails {
  /** JSON of at most 256 KiB: where the next attempt would go on, see `checkpoint`. */
  readonly checkpoint?: unknown;
  /** Merged into the run's. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

export interface ReviewRequest extends HandlerResult {
  /** The lane that may claim the review; without one people decide. */
  readonly reviewer?: string | undefined;
}

export interface TaskContextParts {
  readonly client: WorkerClient;
  readonly claim: PushedClaim;
  readonly kept: KeptClaim;
  readonly signal: AbortSignal;
  readonly inbox: Inbox;
  readonly output: RunOutput;
  readonly say: (news: News) => Promise<void>;
  readonly endNow: (end: RunEnd) => Promise<EndAnswer>;
}

export class TaskContext {
  /** Without its token; see `token`. */
  readonly claim: Omit<PushedClaim, 'token'>;
  readonly handoff: Handoff;
  /** 1, 2, …: rises with every claim of the task. */
  readonly attempt: number;
  /** The last one that an earlier attempt has left with `progress`; null: none has. */
  readonly checkpoint: unknown;
  /** Fires when the work is to stop. Its reason is a TaskAbortedError, whose `reason` says why. */
  readonly signal: AbortSignal;
  readonly #parts: TaskContextParts;

  constructor(parts: TaskContextParts) {
    const { token: _token, ...claim } = parts.claim;
    this.#parts = parts;
    this.claim = claim;
    this.handoff = claim.handoff;
    this.attempt = claim.attempt;
    this.signal = parts.signal;
    this.checkpoint =
      claim.handoff.attempts.findLast(({ checkpoint }) => checkpoint !== null)?.checkpoint ?? null;
    this.#bindAll();
  }

  /**
   * The claim's token as it is now, for a process that is to speak for the task itself; it is replaced as it grows old. Never log it.
   * null: the worker was made with `tokens: false`.
   */
  get token(): string | null {
    return this.#parts.kept.token;
  }

  /**
   * Says how far it is, and renews the lease. `fraction`: any rising number, mostly from 0 to 1; null: it is only about the rest. `note`: up
   * to 4,000 characters; what is longer is cut. Resolves when the server has it, however long that is away; of calls that nobody waits
   * for, the later values win. Throws LanekeeperError when what it was given is refused, or the claim is gone.
   */
  progress(fraction: number | null, note?: string, details: ProgressDetails = {}): Promise<void> {
    const { checkpoint, metadata } = details;
    const text = note === undefined ? '' : firstCharacters(cleanText(note), LIMITS.reasonCharactersMax);
    const said = this.#parts.say({
      ...(fraction === null ? {} : { progress: fraction }),
      ...(text === '' ? {} : { note: text }),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
    });
    // Whoever does not wait for it hears of a lost claim by the signal.
    said.catch(() => undefined);
    return said;
  }

  /**
   * Prints a text, or all that a stream brings, as lines that people watch live; the server keeps the last 200 of a task, 500 characters
   * each. Resolves when all of it is on its way: slower than it is sent, and so a producer that waits for it is held back to that. Lines
   * that were sent to a server that did not answer are left out and counted. Throws what the stream throws.
   */
  output(source: OutputSource): Promise<void> {
    return printAll(source, this.#parts.output);
  }

  /** Prints a line at once. When more come than can be sent, the oldest are left out and counted. */
  log(line: string): void {
    this.#parts.output.append(line.split(/\r?\n/));
  }

  /**
   * What people say to this task while it is worked on, and what they said before; ends with the signal or the run. A message is
   * acknowledged when it is taken. One that nobody takes is told to the next attempt.
   */
  get messages(): AsyncIterable<SteeringMessage> {
    return this.#parts.inbox;
  }

  /** The same by a call for each. Returns how to stop. */
  onMessage(listener: (message: SteeringMessage) => void): () => void {
    return this.#parts.inbox.listen(listener);
  }

  /** Creates a task for this one, up to 100 a run. Made once, however often its answer is lost. Throws LanekeeperError, UnreachableError. */
  async createTask(body: BodyOf<'createTask'>): Promise<Task> {
    return (await this.#parts.client.tasks.create(body, this.#call())).task;
  }

  /** The next attempt reads it in its handoff. */
  async comment(text: string): Promise<ReplyOf<'addComment'>['comment']> {
    const { client, claim } = this.#parts;
    return (await client.tasks.comment(claim.task.id, text, this.#call())).comment;
  }

  /** As `client.delegate`, in the name of this task; `collect` waits for what comes of it. */
  delegate(
    request: DelegateRequest & { readonly onCapacity?: 'fail' | 'wait' | undefined },
  ): Promise<Delegated>;
  delegate<Inline>(
    request: DelegateRequest & { readonly onCapacity: (overflow: Overflow) => Promise<Inline> },
  ): Promise<Delegated<Inline>>;
  async delegate<Inline>(
    request: DelegateRequest & { readonly onCapacity?: OnCapacity<Inline> | undefined },
  ): Promise<Delegated<Inline>> {
    const { delegations, tasks, events, transport } = this.#parts.client;
    // A claim sees the events of its own task alone.
    const parts = { delegations, tasks, events, timing: transport.timing, isBlind: true };
    return delegate(parts, request, this.#call());
  }

  /** Waits until it is decided, for at most `timeoutSeconds` (600), with the lease renewed meanwhile; it may still be `running` then. */
  async collect(
    delegation: string,
    options: Pick<CollectOptions, 'timeoutSeconds'> = {},
  ): Promise<ReplyOf<'getDelegation'>['delegation']> {
    const { delegations } = this.#parts.client;
    return (await delegations.collect(delegation, { ...options, ...this.#call() })).delegation;
  }

  /** Ends the run now: the work is done, and waits for somebody to look at it. What the handler returns counts no more. */
  requestReview(request: ReviewRequest = {}): Promise<EndAnswer> {
    return this.#parts.endNow({ verb: 'complete', body: { ...request, review: true } });
  }

  /** Ends the run of a review now: the work goes back to the lane that did it, with the reason. */
  requestChanges(reason: string): Promise<EndAnswer> {
    return this.#parts.endNow({ verb: 'request-changes', body: { reason } });
  }

  /** Ends the run now: the task waits until somebody has unblocked it. To end the handler with it, throw `Block`. */
  block(body: BodyOf<'blockRun'>): Promise<EndAnswer> {
    return this.#parts.endNow({ verb: 'block', body });
  }

  /** So that a handler may take out what it needs: `async (task, { signal, progress }) => …`. */
  #bindAll(): void {
    this.progress = this.progress.bind(this);
    this.output = this.output.bind(this);
    this.log = this.log.bind(this);
    this.onMessage = this.onMessage.bind(this);
    this.createTask = this.createTask.bind(this);
    this.comment = this.comment.bind(this);
    this.delegate = this.delegate.bind(this);
    this.collect = this.collect.bind(this);
    this.requestReview = this.requestReview.bind(this);
    this.requestChanges = this.requestChanges.bind(this);
    this.block = this.block.bind(this);
  }

  #call(): { readonly token: string; readonly board: string; readonly signal: AbortSignal } {
    const { kept, claim, signal } = this.#parts;
    if (kept.token === null) throw new TypeError('The claim came without a token: see the option tokens');
    return { token: kept.token, board: claim.task.board, signal };
  }
}
