/**
 * A lane's worker: `client.worker({lane}, handler)`. Claims tasks as the lane has it, has a function do each, and ends them. It listens to no
 * signal of the process and ends none: that is for whoever owns the process.
 *
 *     const worker = client.worker({ lane: 'factory' }, async (task, context) => ({ summary: await press(task, context.signal) }));
 *     process.once('SIGTERM', () => worker.stop());
 *     await worker.run();
 */
import { LIMITS } from '../../contract/constants.ts';
import { onAbort } from '../abort-hub.ts';
import { joinSignals } from '../timing.ts';
import { randomKey } from '../transport.ts';
import type { RunHost } from './claim-run.ts';
import { type Handler, HandlerRun, type HandlerRunContext } from './handler-run.ts';
import { LaneLoop } from './lane-loop.ts';
import { OutputRelay } from './output-relay.ts';
import type { WorkMode } from './work-mode.ts';
import type { WorkerClient } from './worker-client.ts';
import { UnreportedEndsError } from './worker-error.ts';
import type { WorkerLog } from './worker-log.ts';

/** As much of `console`, or of a logger like pino, as a worker uses. */
export interface WorkerLogger {
  info(text: string): void;
  warn(text: string): void;
}

export interface WorkerOptions {
  readonly lane: string;
  /** Its name: of two workers of one name on a lane the newer sends the older away. Default: one made up for this worker. */
  readonly worker?: string | undefined;
  /** Of your program, shown with the worker's presence; up to 64 characters. */
  readonly version?: string | undefined;
  /** Tasks at once, 1 to 1,000. Default 1. */
  readonly concurrency?: number | undefined;
  /** How work is asked for: by long polls alone, by hints of a socket, or pushed over one. Default: as the lane has it, which may allow but one. */
  readonly mode?: WorkMode | undefined;
  /** A claim is renewed every third of it, and taken back when that fails for so long. Default 60, at most 86,400. */
  readonly leaseSeconds?: number | undefined;
  /** After a soft stop: how long handlers may finish before their signal fires with 'shutdown'. Default 30. */
  readonly drainSeconds?: number | undefined;
  /** Between a signal and giving the claim back without the handler. Default 5. */
  readonly graceSeconds?: number | undefined;
  /** For one task; then its signal fires with 'timeout', and the attempt has failed. Default: no limit. */
  readonly timeoutSeconds?: number | undefined;
  /** Leaves after so many tasks. Default: never. */
  readonly tasksMax?: number | undefined;
  /** Registers the lane when there is none of its name. Default false. */
  readonly register?: boolean | undefined;
  /** How long a server that is away is waited for at the start. Default: for ever. */
  readonly connectSeconds?: number | undefined;
  /**
   * false: in push mode claims come without a token, which saves the server a signature each. Then a run ends over its socket alone, and
   * `delegate`, `createTask` and the like are not there. Default true.
   */
  readonly tokens?: boolean | undefined;
  /** Default: warnings to console.warn, and nothing else. null: nothing. */
  readonly logger?: WorkerLogger | null | undefined;
  /** A soft stop, as `stop()`. That of the client is a hard one: it ends the very requests that a worker would leave with. */
  readonly signal?: AbortSignal | undefined;
}

export interface StopOptions {
  /** At once: handlers are told, and their claims given back without waiting for them. */
  readonly hard?: boolean | undefined;
}

/** Of the random part of a name: enough that no two of a lane are alike. */
const NAME_CHARACTERS = 12;

export class Worker {
  /** As which it is known to the lane. */
  readonly name: string;
  readonly #client: WorkerClient;
  readonly #options: WorkerOptions;
  readonly #drain = new AbortController();
  readonly #hardStop = new AbortController();
  #handler: Handler | undefined;
  #loop: LaneLoop | undefined;
  #running: Promise<void> | undefined;
  #context: HandlerRunContext | undefined;

  constructor(client: WorkerClient, options: WorkerOptions, handler?: Handler) {
    checkRange('concurrency', options.concurrency, 1, LIMITS.creditsMax);
    checkRange('leaseSeconds', options.leaseSeconds, 1, LIMITS.leaseSecondsMax);
    this.#client = client;
    this.#options = options;
    this.#handler = handler;
    this.name = options.worker ?? `worker-${randomKey().slice(0, NAME_CHARACTERS)}`;
  }

  /** What does each task. */
  handle(handler: Handler): this {
    this.#handler = handler;
    return this;
  }

  /** Tasks that are worked on now. */
  get runningCount(): number {
    return this.#loop?.runningCount ?? 0;
  }

  /** Tasks that it has begun, ever. */
  get startedCount(): number {
    return this.#loop?.startedCount ?? 0;
  }

  /**
   * Works until it is stopped; resolves when it has left in good order: nothing is held any more. Outages of the server it sits out. Throws
   * LanekeeperError for what trying again does not mend (`lane_not_found`, `unauthenticated`, `forbidden`, `claim_mode_mismatch`, …),
   * WorkerReplacedError when another worker took its lane or its name, UnreportedEndsError when the server does not know of all that it
   * did, and UnreachableError after connectSeconds. Once in its life.
   */
  run(): Promise<void> {
    const handler = this.#handler;
    if (handler === undefined) return Promise.reject(new TypeError('The worker has no handler'));
    if (this.#running !== undefined) return Promise.reject(new TypeError('A worker runs once'));
    this.#running = this.#work(handler);
    return this.#running;
  }

  /**
   * Claims no more. What runs has drainSeconds to finish, its lease renewed meanwhile; then its signal fires with 'shutdown', and what still has
   * not ended is given back, which costs the task no attempt. Resolves when `run` has ended, however that was: a handler that waits for
   * it waits for itself. `{hard: true}`, also after a soft stop: at once, without waiting for handlers.
   */
  async stop({ hard = false }: StopOptions = {}): Promise<void> {
    if (hard) this.#hardStop.abort();
    this.#drain.abort();
    await this.#running?.catch(() => undefined);
  }

  async #work(handler: Handler): Promise<void> {
    const { signal } = this.#options;
    const { signal: clientSignal } = this.#client.transport;
    const drain = joinSignals([this.#drain.signal, signal]);
    this.#loop = this.#makeLoop(handler, drain.signal);
    const stop = (): void => {
      this.#hardStop.abort();
      this.#drain.abort();
    };
    const stopListening = clientSignal && onAbort(clientSignal, stop);
    if (clientSignal?.aborted) stop();
    try {
      await this.#loop.run();
    } catch (error) {
      // Whoever ended the client's requests knows that nothing could be reported.
      const isItsEnd = error === clientSignal?.reason || error instanceof UnreportedEndsError;
      if (!clientSignal?.aborted || !isItsEnd) throw error;
    } finally {
      stopListening?.();
      drain.release();
    }
  }

  #makeLoop(handler: Handler, drain: AbortSignal): LaneLoop {
    const { lane, mode, version, tokens, concurrency = 1, tasksMax = null, logger } = this.#options;
    const { leaseSeconds = 60, drainSeconds = 30, connectSeconds = null, register = false } = this.#options;
    const log = logOf(logger);
    return new LaneLoop({
      client: this.#client,
      worker: this.name,
      lane,
      mode,
      version,
      tokens,
      leaseSeconds,
      drainSeconds,
      hands: () => concurrency,
      tasksMax,
      connectSeconds,
      mayRegister: register,
      log,
      drain,
      hardStop: this.#hardStop.signal,
      start: (claim, host) => {
        this.#context ??= this.#contextOf(host, handler, log);
        return new HandlerRun(claim, this.#context);
      },
      onServing: ({ name, board }, served) =>
        log.note(
          `working on lane ${name} of board ${board} as ${this.name} (${served}), ${concurrency} at once`,
        ),
      onDraining: (count) => log.note(`draining: ${count} running, up to ${drainSeconds} s`),
    });
  }

  /** One for all runs: to copy it for each took as long as to end it. */
  #contextOf(host: RunHost, handler: Handler, log: WorkerLog): HandlerRunContext {
    const { timeoutSeconds = null, graceSeconds = 5 } = this.#options;
    const relay = new OutputRelay(host.client, host.line);
    return { ...host, handler, relay, log, timeoutSeconds, graceSeconds };
  }
}

function logOf(logger: WorkerLogger | null | undefined): WorkerLog {
  if (logger === null) return { note: () => undefined, warn: () => undefined };
  // biome-ignore lint/suspicious/noConsole: whoever gave no logger is to hear of what went wrong all the same.
  if (logger === undefined) return { note: () => undefined, warn: (text) => console.warn(text) };
  return { note: (text) => logger.info(text), warn: (text) => logger.warn(text) };
}

function checkRange(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}`);
}
