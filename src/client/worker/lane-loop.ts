/**
 * A lane's worker: claims as long as it has free hands, begins the work on each task, and on a drain leaves in good order (leaving.ts).
 * Whoever was replaced, by a takeover of the lane or by a process of the same worker name, leaves in the same way: going on, it would
 * claim again what it was just relieved of. How a task is worked on is not its business.
 */
import type { PushedClaim } from '../../contract/frames.ts';
import type { ClaimMode, Lane } from '../../contract/lanes.ts';
import { onAbort } from '../abort-hub.ts';
import { LanekeeperError } from '../errors.ts';
import { Availability, isTransient } from './availability.ts';
import { Bell } from './bell.ts';
import type { ClaimRun, RunHost, StartRun } from './claim-run.ts';
import { Claimer } from './claimer.ts';
import { findLane } from './find-lane.ts';
import { Hands, type HandsOptions } from './hands.ts';
import { LaneSocket } from './lane-socket.ts';
import { type LeavingOptions, leaveInOrder } from './leaving.ts';
import { RunningClaims } from './running-claims.ts';
import { modeFor, type WorkMode } from './work-mode.ts';
import type { WorkerClient } from './worker-client.ts';
import { type Replacement, UnreportedEndsError, WorkerReplacedError } from './worker-error.ts';

export interface LaneLoopOptions extends HandsOptions, LeavingOptions {
  readonly client: WorkerClient;
  readonly lane: string;
  readonly worker: string;
  /** Of the program; shown with the worker's presence. */
  readonly version?: string | undefined;
  /** Default: as the lane has it. */
  readonly mode?: WorkMode | undefined;
  readonly start: StartRun;
  readonly leaseSeconds: number;
  /** false: in push mode claims come without a token, which only their socket can speak for. */
  readonly tokens?: boolean | undefined;
  /** Ends when nothing is ready and nothing runs, instead of waiting for more. */
  readonly endsWhenIdle?: boolean | undefined;
  /** Runs that an earlier worker has left. */
  readonly adopted?: readonly ((host: RunHost) => ClaimRun)[];
  /** Whether fresh claims may be worked on at all; else they are given back, with the reason. null: they may. */
  readonly refusal?: (() => Promise<string | null>) | undefined;
  /** It serves the lane from now on, in this mode. */
  readonly onServing: (lane: Lane, mode: ClaimMode) => void;
  /** It has begun to leave, because somebody else is to do its work. */
  readonly onReplaced?: ((how: Replacement) => void) | undefined;
  /** How long an unreachable server is waited for at the start; null: for ever. */
  readonly connectSeconds: number | null;
  /** Registers the lane when there is none of its name. */
  readonly mayRegister: boolean;
  /** Where several workers of one server would all say the same. */
  readonly availability?: Availability | undefined;
}

/** Half of what the server allows: proxies like to cut idle connections after a minute. */
const WAIT_SECONDS = 30;
/** Between claims of a lane in watch mode when no hint comes: a floor under lost hints, not a way to learn of work. */
const HINT_FLOOR_MS = 30_000;
/** An empty answer that came faster was not a long poll (paused lane, wait not granted): slow down. */
const EMPTY_PAUSE_MS = 1_000;
/** In push mode: what was ready when the credits came would have come long since. Less than a wait, whose timer may be early. */
const QUIET_MS = EMPTY_PAUSE_MS / 2;

export class LaneLoop {
  readonly #options: LaneLoopOptions;
  readonly #availability: Availability;
  readonly #claimer: Claimer;
  readonly #running: RunningClaims;
  readonly #socket: LaneSocket;
  /** There may be work. */
  readonly #work = new Bell();
  readonly #hands: Hands;
  /** Fires with the drain, and with everything else that ends claiming. */
  readonly #leave = new AbortController();
  #failure: unknown;
  #lastReason: string | undefined;
  #isRetired = false;

  constructor(options: LaneLoopOptions) {
    const { client, log, availability, lane } = options;
    this.#options = options;
    this.#availability = availability ?? new Availability(client, log);
    this.#claimer = new Claimer(options);
    this.#running = new RunningClaims({
      ...options,
      onAway: (error) => this.#availability.gone(error),
      onTakenOver: ({ detail }) => this.#giveWay('taken_over', `lane ${lane} was taken over: ${detail}`),
      onFree: () => {
        this.#socket.onFree();
        this.#hands.ring();
      },
      leave: this.#leave.signal,
    });
    this.#hands = new Hands(options, this.#running);
    this.#socket = new LaneSocket(options, {
      running: this.#running,
      onWork: () => this.#work.ring(),
      onClaim: (claim) => this.#take(claim),
      onReplaced: (how, reason) => this.#giveWay(how, reason),
      onFailed: (error) => this.fail(error),
      onLinkEnded: () => this.#hands.ring(),
      onAway: (error) => this.#availability.gone(error),
      onBack: () => this.#availability.back(),
    });
  }

  /** It claims no more; what runs may take its time. */
  get isLeaving(): boolean {
    return this.#leave.signal.aborted;
  }

  get runningCount(): number {
    return this.#running.count;
  }

  get startedCount(): number {
    return this.#running.startedCount;
  }

  /** The number of hands has changed. */
  nudge(): void {
    this.#work.ring();
    this.#hands.ring();
  }

  /** Claim no more. Whoever asks for it may have another worker of the same name at once. */
  retire(): void {
    this.#isRetired = true;
    this.#leave.abort();
  }

  /** It cannot go on: it claims no more, and `run` throws this in the end. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#leave.abort();
  }

  /** Resolves when it has left in good order; throws what ended it otherwise. */
  async run(): Promise<void> {
    const { drain, hardStop, adopted = [], isPatient = false } = this.#options;
    const leave = (): void => this.#leave.abort();
    const stopListening = [onAbort(drain, leave), onAbort(hardStop, () => this.#running.killAll())];
    if (drain.aborted) leave();
    for (const begin of adopted) this.#running.adopt(begin);
    try {
      await this.#serve();
    } catch (error) {
      this.#failure ??= error;
    }
    leave();
    // Whoever leaves for long must not be taken for one who is there; cancels come with the heartbeats.
    if (isPatient && !drain.aborted) await this.#socket.close();
    await leaveInOrder(this.#options, {
      running: this.#running,
      socket: this.#socket,
      claimer: this.#claimer,
      isDone: () => this.#hands.isDone,
    });
    await this.#socket.close();
    for (const stop of stopListening) stop();
    this.#conclude();
  }

  async #serve(): Promise<void> {
    let lane = await this.#findLane();
    let isRefused = false;
    while (lane !== null) {
      const mode = modeFor(lane, this.#options.mode);
      this.#options.onServing(lane, mode);
      try {
        await this.#serveIn(mode);
        return;
      } catch (error) {
        if (!(error instanceof LanekeeperError) || error.code !== 'claim_mode_mismatch') throw error;
        lane = await this.#findLane();
        // Somebody has changed the lane's mode under us, maybe there and back; when it stays the same, the server means something else.
        const isSame = lane !== null && modeFor(lane, this.#options.mode) === mode;
        if (isSame && isRefused) throw error;
        isRefused = isSame;
      }
    }
  }

  #findLane(): Promise<Lane | null> {
    const search = { ...this.#options, claimMode: this.#options.mode };
    return findLane(search, this.#availability, this.#leave.signal);
  }

  async #serveIn(mode: ClaimMode): Promise<void> {
    await this.#socket.open(mode);
    if (mode === 'push') await this.#pushLoop();
    else await this.#claimLoop(mode);
  }

  /** Somebody else is to do this work. What still runs may end, as in a drain. */
  #giveWay(how: Replacement, reason: string): void {
    if (this.#options.drain.aborted || this.#isRetired || this.#failure !== undefined) return;
    this.#options.log.warn(`${reason}; claiming no more`);
    this.fail(new WorkerReplacedError(how, reason));
    this.#options.onReplaced?.(how);
  }

  async #claimLoop(mode: ClaimMode): Promise<void> {
    let failures = 0;
    while (!this.isLeaving && !this.#hands.isDone) {
      const max = this.#hands.freeCount;
      try {
        const isIdle = max > 0 ? await this.#claimOnce(mode, max) : await this.#waitForHands();
        if (isIdle && this.#options.endsWhenIdle) return;
        failures = 0;
      } catch (error) {
        if (this.isLeaving) return;
        if (!isTransient(error)) throw error;
        failures += 1;
        await this.#availability.pauseAfter(error, failures, this.#leave.signal);
      }
    }
  }

  /** The link asks for claims; here it only learns how many are wanted. */
  async #pushLoop(): Promise<void> {
    const { endsWhenIdle = false } = this.#options;
    let idleSinceMs: number | null = null;
    let started = this.startedCount;
    while (!this.isLeaving && !this.#hands.isDone) {
      this.#socket.setRoom(Math.max(0, this.#hands.freeCount));
      await this.#hands.wait(endsWhenIdle ? EMPTY_PAUSE_MS : HINT_FLOOR_MS, this.#leave.signal);
      this.#socket.throwIfEnded();
      const isIdle = this.#socket.isLive && this.runningCount === 0 && started === this.startedCount;
      idleSinceMs = isIdle ? (idleSinceMs ?? performance.now()) : null;
      started = this.startedCount;
      // Nobody says that there is nothing: that nothing comes does.
      const isQuiet = idleSinceMs !== null && performance.now() - idleSinceMs >= QUIET_MS;
      if (endsWhenIdle && isQuiet) return;
    }
  }

  #take(claim: PushedClaim): void {
    void this.#running.admit([claim]);
    if (this.#hands.isDone) this.#hands.ring();
  }

  /** Resolves to true when none can come, because nothing runs. */
  async #waitForHands(): Promise<boolean> {
    if (this.#options.endsWhenIdle && this.#running.count === 0) return true;
    await this.#hands.wait(HINT_FLOOR_MS, this.#leave.signal);
    return false;
  }

  /** Resolves to true when nothing was ready and nothing runs. */
  async #claimOnce(mode: ClaimMode, max: number): Promise<boolean> {
    const { endsWhenIdle = false } = this.#options;
    const { signal } = this.#leave;
    const askedAtMs = performance.now();
    const waitSeconds = mode === 'watch' || endsWhenIdle ? undefined : WAIT_SECONDS;
    const { claims, reason, isRepeat } = await this.#claimer.claim(max, waitSeconds, signal);
    this.#availability.back();
    if (claims.length > 0) {
      await this.#running.admit(claims);
      // Their leases may be as old as the first asking.
      if (isRepeat) for (const { run_id: runId } of claims) this.#running.hurry(runId);
      return false;
    }
    this.#noteReason(reason);
    if (endsWhenIdle) return this.#waitForHands();
    if (mode === 'watch') await this.#work.wait(HINT_FLOOR_MS, signal);
    else if (performance.now() - askedAtMs < EMPTY_PAUSE_MS) await this.#work.wait(EMPTY_PAUSE_MS, signal);
    return false;
  }

  /** Says once why nothing comes, unless it is only that nothing is there. */
  #noteReason(reason: string | undefined): void {
    if (reason !== this.#lastReason && reason !== undefined && reason !== 'none_ready') {
      this.#options.log.note(`no work: ${reason.replaceAll('_', ' ')}; waiting`);
    }
    this.#lastReason = reason;
  }

  #conclude(): void {
    for (const { claim } of this.#running.abandon()) {
      this.#options.log.warn(
        `${claim.task.id} (run ${claim.run_id}) was not given back; its lease runs out by itself`,
      );
    }
    if (this.#failure !== undefined) throw this.#failure;
    const { unreportedCount } = this.#running;
    if (unreportedCount > 0) throw new UnreportedEndsError(unreportedCount);
  }
}
