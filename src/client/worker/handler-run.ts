/**
 * One claim from start to end, worked on by a function: keeps the lease, tells the function when it must stop, and reports what came of it.
 * A function cannot be ended from outside. One that goes on although it was told to stop keeps its hand, so that nothing is begun
 * beside it; its claim is given back all the same, and whoever leaves does not wait for it.
 */
import type { PushedClaim } from '../../contract/frames.ts';
import type { Task } from '../../contract/tasks.ts';
import type { LanekeeperError } from '../errors.ts';
import { callAfter } from '../timing.ts';
import type { ClaimRun, RunHost } from './claim-run.ts';
import { type Delivery, deliverEnd } from './deliver.ts';
import { endOfHandler, type HandlerEnd, type HandlerResult } from './handler-end.ts';
import { Inbox } from './inbox.ts';
import { lossDetail } from './lost-claim.ts';
import type { OutputRelay, RunOutput } from './output-relay.ts';
import { messageOf } from './plain-text.ts';
import type { EndAnswer, RunEnd, StopReason } from './run-end.ts';
import type { KeptClaim } from './run-line.ts';
import type { SteeringMessage } from './steering-message.ts';
import { abortOf } from './task-aborted.ts';
import { TaskContext } from './task-context.ts';
import { within } from './waiting.ts';
import type { WorkerLog } from './worker-log.ts';

/**
 * Does one task. What it returns completes it, nothing at all too. It throws `RetryAfter`, `Fatal` or `Block` to say something else; any other
 * error fails the attempt, which is tried again as the task has it. Once its signal has fired, an error or nothing means that it has given
 * up, and the claim is given back; what it returns all the same still counts. It may be called more than once for one task, here or
 * elsewhere. While it blocks the event loop no lease is renewed.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler may have no return at all, which undefined does not allow.
export type Handler = (task: Task, context: TaskContext) => Promise<HandlerResult | void>;

/** At the end of a run, for what was still being said about it: a round trip, and no reason to hold its end up. */
const LAST_WORDS_MS = 1_000;

export interface HandlerRunContext extends RunHost {
  readonly handler: Handler;
  readonly relay: OutputRelay;
  readonly log: WorkerLog;
  /** null: it may take as long as it likes. */
  readonly timeoutSeconds: number | null;
  /** Between telling a handler to stop and giving its claim back without it. */
  readonly graceSeconds: number;
}

export class HandlerRun implements ClaimRun {
  readonly ended: Promise<boolean>;
  readonly claim: PushedClaim;
  readonly #context: HandlerRunContext;
  readonly #kept: KeptClaim;
  readonly #abort = new AbortController();
  readonly #output: RunOutput;
  readonly #inbox: Inbox;
  readonly #startedAtMs = performance.now();
  /** The handler was told to stop, and has not. */
  readonly #overdue = once();
  /** Nobody waits for the handler any more. */
  readonly #abandoned = once();
  readonly #stopTimers: (() => void)[] = [];
  #stopTimeout: (() => void) | undefined;
  #stopReason: StopReason | null = null;
  /** Its handler is done: only a lost claim can still change what that comes to. */
  #isDone = false;
  /** null: nothing was said to it. */
  #acknowledging: Promise<unknown> | null = null;
  /** By which the handler has ended its run before itself. */
  #ownEnd: Promise<Delivery> | null = null;

  constructor(claim: PushedClaim, context: HandlerRunContext) {
    this.claim = claim;
    this.#context = context;
    this.#kept = { runId: claim.run_id, token: claim.token ?? null };
    this.#output = context.relay.open(this.#kept);
    this.#inbox = new Inbox(
      (ids) => this.#acknowledge(ids),
      (error) => this.#warn(`what listens to its messages has failed: ${messageOf(error)}`),
    );
    this.ended = this.#follow().catch((error: unknown) => this.#giveUp(error));
  }

  stop(reason: StopReason): void {
    if (this.#isDone) {
      if (reason.kind === 'claim_lost') this.#stopReason = reason;
      return;
    }
    const isNews = reason.kind === 'claim_lost' || this.#stopReason === null;
    if (isNews) this.#stopReason = reason;
    if (!this.#abort.signal.aborted) this.#abort.abort(abortOf(reason));
    this.#inbox.close();
    // A cancel has a time limit at the server, which keeps what is finished until then.
    if (reason.kind === 'cancel_requested') return;
    this.#stopTimers.push(callAfter(this.#context.graceSeconds * 1000, () => this.#endGrace(reason)));
  }

  tell(messages: readonly SteeringMessage[]): void {
    this.#inbox.add(messages);
  }

  kill(): void {
    this.#overdue.happen();
    this.#abandoned.happen();
  }

  #endGrace({ kind }: StopReason): void {
    if (kind === 'claim_lost') this.#warn('its handler goes on although its claim is gone');
    else this.#overdue.happen();
    if (kind === 'draining') this.#abandoned.happen();
  }

  async #follow(): Promise<boolean> {
    const { heartbeats, timeoutSeconds, relay } = this.#context;
    const { runId } = this.#kept;
    heartbeats.keep(this.#kept, {
      onCancelRequested: () => this.stop({ kind: 'cancel_requested' }),
      onMessages: (messages) => this.tell(messages),
      onClaimLost: (error) => this.#loseClaim(error),
      onLeaseExpired: () => this.stop({ kind: 'lease_expired' }),
    });
    this.tell(this.claim.handoff.messages);
    if (timeoutSeconds !== null) this.#stopAfter(timeoutSeconds);
    const working = this.#work();
    const end = await Promise.race([working, this.#overdue.promise]);
    // What comes while the end is being said decides it no more, but for a lost claim.
    const stopped = this.#stopReason;
    this.#stopTimeout?.();
    this.#isDone = end !== undefined;
    if (end === undefined)
      this.#warn('its handler goes on although it was told to stop; its claim is given back');
    this.#inbox.close();
    await relay.close(this.#output);
    // Else the end may overtake it, and the message would stand there as missed.
    if (this.#acknowledging !== null) await within(this.#acknowledging, LAST_WORDS_MS);
    const isKnown = await this.#report(end ?? null, stopped);
    heartbeats.drop(runId);
    if (end === undefined) await Promise.race([working, this.#abandoned.promise]);
    for (const stop of this.#stopTimers) stop();
    return isKnown;
  }

  /** Never rejects. */
  async #work(): Promise<HandlerEnd> {
    // Not before the worker knows of this run: the first thing a handler does may be to stop it.
    await Promise.resolve();
    try {
      return { kind: 'returned', value: await this.#context.handler(this.claim.task, this.#makeContext()) };
    } catch (error) {
      return { kind: 'threw', error };
    }
  }

  #makeContext(): TaskContext {
    const { client, heartbeats } = this.#context;
    return new TaskContext({
      client,
      claim: this.claim,
      kept: this.#kept,
      signal: this.#abort.signal,
      inbox: this.#inbox,
      output: this.#output,
      say: (news) => heartbeats.say(this.#kept.runId, news),
      endNow: (end) => this.#endNow(end),
    });
  }

  /** What does not get through, heartbeats repeat. */
  #acknowledge(ids: readonly string[]): void {
    const told = this.#context.line.acknowledge(this.#kept, ids).catch(() => undefined);
    this.#acknowledging = Promise.all([this.#acknowledging, told]);
  }

  #stopAfter(seconds: number): void {
    const stop = (): void => this.stop({ kind: 'timed_out', seconds });
    this.#stopTimeout = callAfter(seconds * 1000, stop);
  }

  #loseClaim(error: LanekeeperError): void {
    // The heartbeat came after the end that the handler is just saying; its answer tells more.
    if (error.problem['reason'] === 'ended' && this.#ownEnd !== null) return;
    if (error.problem['reason'] === 'superseded') this.#context.onTakenOver(error);
    this.stop({ kind: 'claim_lost', detail: lossDetail(error) });
  }

  /** The first end counts; an end that could not be delivered was none. */
  async #endNow(end: RunEnd): Promise<EndAnswer> {
    if (this.#ownEnd !== null) throw new TypeError('The run has ended already');
    this.#ownEnd = this.#deliver(end, false);
    const delivery = await this.#ownEnd;
    if (delivery.kind === 'delivered') {
      // From here on nothing is to be kept, and a lost claim would be our own doing.
      this.#context.heartbeats.drop(this.#kept.runId);
      return delivery.answer;
    }
    this.#ownEnd = null;
    // A heartbeat may have met the same before, and was not told of.
    if (delivery.kind === 'claim_lost') this.#loseClaim(delivery.error);
    throw delivery.error;
  }

  /** @param stopped Why it was told to stop, before it was done. */
  async #report(handled: HandlerEnd | null, stopped: StopReason | null): Promise<boolean> {
    const own = await this.#ownEnd;
    if (own?.kind === 'delivered') {
      this.#note(own.answer.outcome ?? 'ended');
      return true;
    }
    const reason = this.#stopReason?.kind === 'claim_lost' ? this.#stopReason : stopped;
    const end = endOfHandler(handled, reason);
    if (end === null) {
      this.#note(reason?.kind === 'claim_lost' ? `lost (${reason.detail})` : 'lost');
      return true;
    }
    return this.#conclude(end, await this.#deliver(end, true));
  }

  async #conclude(end: RunEnd, delivery: Delivery): Promise<boolean> {
    switch (delivery.kind) {
      case 'delivered':
        this.#note(`${delivery.answer.outcome ?? end.verb}${detailOf(end)}`);
        return true;
      case 'claim_lost':
        if (delivery.error.problem['reason'] === 'superseded') this.#context.onTakenOver(delivery.error);
        this.#note(`lost (${lossDetail(delivery.error)})`);
        return true;
      case 'undelivered': {
        const { error } = delivery;
        // What JSON cannot say is the handler's failure, and known here alone.
        if (error instanceof TypeError && end.verb !== 'fail') {
          const failed: RunEnd = { verb: 'fail', body: { error: `the result is no JSON: ${error.message}` } };
          return this.#conclude(failed, await this.#deliver(failed, true));
        }
        this.#warn(
          `its end (${end.verb}) could not be reported: ${messageOf(error)}; its lease runs out by itself`,
        );
        return false;
      }
    }
  }

  #deliver(end: RunEnd, isLast: boolean): Promise<Delivery> {
    const { client, line, leaseSeconds, leave, hardStop: signal, onAway: onRetry } = this.#context;
    return deliverEnd(this.#kept, end, { client, line, leaseSeconds, leave, signal, isLast, onRetry });
  }

  /** A mistake of ours costs this run, and not the worker with all the others. */
  #giveUp(error: unknown): boolean {
    this.#context.heartbeats.drop(this.#kept.runId);
    this.#warn(`${messageOf(error)}; its claim is left to its lease`);
    return false;
  }

  #note(what: string): void {
    const seconds = ((performance.now() - this.#startedAtMs) / 1000).toFixed(1);
    this.#context.log.note(`${this.claim.task.id} ${what} after ${seconds} s`);
  }

  #warn(text: string): void {
    this.#context.log.warn(`${this.claim.task.id} (run ${this.claim.run_id}): ${text}`);
  }
}

function detailOf(end: RunEnd): string {
  if (end.verb === 'fail') return `: ${end.body.error}`;
  if (end.verb === 'release' || end.verb === 'block') return `: ${end.body.reason ?? ''}`;
  return '';
}

function once(): { readonly promise: Promise<undefined>; readonly happen: () => void } {
  let happen: () => void = () => undefined;
  const promise = new Promise<undefined>((resolve) => {
    happen = () => resolve(undefined);
  });
  return { promise, happen };
}
