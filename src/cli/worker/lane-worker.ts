/**
 * A lane's worker: claims as long as it has free hands, has a process launched per task, and leaves in good order. On a
 * drain it claims no more, settles what it may have claimed without hearing of it, lets the running ones finish
 * for a while, then stops them and gives their claims back. A claim is never left behind in silence. Whoever was
 * replaced, by a takeover of the lane or by a process of the same worker name, leaves in the same way: going on, it
 * would claim again what it was just relieved of.
 */
import { onAbort } from '../../client/abort-hub.ts';
import type { Client } from '../../client/client.ts';
import { LanekeeperError, UnreachableError } from '../../client/errors.ts';
import type { Claim } from '../../contract/claims.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { ClaimMode, Lane } from '../../contract/lanes.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import { Availability } from './availability.ts';
import { Bell } from './bell.ts';
import { Claimer, isTransient } from './claimer.ts';
import { findLane } from './find-lane.ts';
import { Heartbeats } from './heartbeats.ts';
import { listenForHints } from './hints.ts';
import type { Launcher } from './launcher.ts';
import { OutputRelay } from './output-relay.ts';
import type { Reporter } from './reporter.ts';
import type { SteeringMessage } from './steering-file.ts';
import { messageOf, type RunStart, TaskRun } from './task-run.ts';
import { firstAborted, within } from './waiting.ts';

/** Another worker has the lane now, or another process the name of this worker. */
export type Replacement = 'taken_over' | 'superseded';

export interface LaneWorkerOptions {
  readonly client: Client;
  readonly lane: string;
  readonly worker: string;
  /** Of this program; shown with the worker's presence. */
  readonly version: string;
  readonly launcher: Launcher;
  /** How many tasks at once; may change, and be nothing for a while: see nudge(). */
  readonly hands: () => number;
  readonly leaseSeconds: number;
  readonly ownEndGraceSeconds: number;
  readonly drainSeconds: number;
  /** null: without end. */
  readonly tasksMax: number | null;
  /** Ends when nothing is ready and nothing runs, instead of waiting for more. */
  readonly endsWhenIdle?: boolean;
  /** Leaving for reasons of its own, it waits for what runs, however long; only a drain has a limit. */
  readonly isPatient?: boolean;
  /** Runs that an earlier worker has left. */
  readonly adopted?: readonly RunStart[];
  /** Whether fresh claims may be worked on at all; else they are given back, with the reason. null: they may. */
  readonly refusal?: () => Promise<string | null>;
  /** It has begun to leave, because somebody else is to do its work. */
  readonly onReplaced?: (how: Replacement) => void;
  /** How long an unreachable server is waited for at the start; null: for ever. */
  readonly connectSeconds: number | null;
  /** Registers the lane when there is none of its name. */
  readonly mayRegister: boolean;
  /** What the processes print is sent to the server, where people watch it. */
  readonly sendsOutput: boolean;
  readonly reporter: Reporter;
  /** Where several workers of one server would all say the same. */
  readonly availability?: Availability;
  /** Claim no more, finish or give back what runs. */
  readonly drain: AbortSignal;
  /** Now. */
  readonly hardStop: AbortSignal;
}

/** Half of what the server allows: proxies like to cut idle connections after a minute. */
const WAIT_SECONDS = 30;
/** Between claims of a lane in watch mode when no hint comes: a floor under lost hints, not a way to learn of work. */
const HINT_FLOOR_MS = 30_000;
/** An empty answer that came faster was not a long poll (paused lane, wait not granted): slow down. */
const EMPTY_PAUSE_MS = 1_000;
/** After a hard stop: one round trip to give claims back. */
const HARD_STOP_MS = 2_000;

export class LaneWorker {
  readonly #options: LaneWorkerOptions;
  readonly #availability: Availability;
  readonly #claimer: Claimer;
  readonly #heartbeats: Heartbeats;
  readonly #relay: OutputRelay | null;
  readonly #running = new Map<string, TaskRun>();
  readonly #bell = new Bell();
  /** Fires with the drain, and with everything else that ends claiming. */
  readonly #leave = new AbortController();
  readonly #left: Promise<void>;
  readonly #ear = new AbortController();
  #listening: Promise<void> = Promise.resolve();
  #failure: unknown;
  #started = 0;
  #unreported = 0;
  #lastReason: string | undefined;
  #isListening = false;
  #isRetired = false;
  #mode: ClaimMode = 'pull';

  constructor(options: LaneWorkerOptions) {
    this.#options = options;
    this.#availability = options.availability ?? new Availability(options.client, options.reporter);
    this.#claimer = new Claimer(options);
    this.#heartbeats = new Heartbeats(options.client, options.leaseSeconds);
    this.#relay = options.sendsOutput ? new OutputRelay(options.client) : null;
    this.#left = firstAborted(this.#leave.signal);
  }

  /** It claims no more; what runs may take its time. */
  get isLeaving(): boolean {
    return this.#leave.signal.aborted;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  get startedCount(): number {
    return this.#started;
  }

  /** The number of hands has changed. */
  nudge(): void {
    this.#bell.ring();
  }

  /** Claim no more. Whoever asks for it may have another worker of the same name at once. */
  retire(): void {
    this.#isRetired = true;
    this.#leave.abort();
  }

  /** Resolves when it has left in good order; throws what ended it otherwise. */
  async run(): Promise<void> {
    const { drain, hardStop } = this.#options;
    const leave = (): void => this.#leave.abort();
    const stopListening = [onAbort(drain, leave), onAbort(hardStop, () => this.#killAll())];
    if (drain.aborted) leave();
    for (const start of this.#options.adopted ?? []) this.#follow(start);
    try {
      await this.#work();
    } catch (error) {
      this.#failure ??= error;
    }
    this.#leave.abort();
    // Whoever leaves for long must not be taken for one who is there; cancels come with the heartbeats.
    if (this.#options.isPatient && !drain.aborted) this.#ear.abort();
    await this.#leaveInOrder();
    this.#ear.abort();
    await this.#listening;
    for (const stop of stopListening) stop();
    this.#conclude();
  }

  async #work(): Promise<void> {
    let lane = await this.#findLane();
    while (lane !== null) {
      const mode = this.#checkLane(lane);
      this.#mode = mode;
      if (mode !== 'pull') this.#listen();
      try {
        await this.#claimLoop(mode);
        return;
      } catch (error) {
        if (!(error instanceof LanekeeperError) || error.code !== 'claim_mode_mismatch') throw error;
        lane = await this.#findLane();
        // Somebody has changed the lane's mode under us; when it is the same, the server means something else.
        if (lane?.claim_mode === mode) throw error;
      }
    }
  }

  #findLane(): Promise<Lane | null> {
    return findLane(this.#options, this.#availability, this.#leave.signal);
  }

  #checkLane(lane: Lane): ClaimMode {
    const { reporter, hands, worker } = this.#options;
    if (lane.claim_mode === 'push') {
      throw new ExitError(
        EXIT.conflict,
        `Lane ${lane.name} has claim mode "push", which this command does not support yet. ` +
          `Next: lanekeeper lane set ${lane.name} --claim-mode pull-or-watch`,
      );
    }
    reporter.note(
      `working on lane ${lane.name} of board ${lane.board} as ${worker} (${lane.claim_mode}), ${limitText(hands())}; Ctrl-C drains`,
    );
    return lane.claim_mode;
  }

  /** Once, whatever the mode becomes later: the socket hears of cancels in every mode. */
  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    const { client, lane, worker, version, reporter } = this.#options;
    const listener = {
      onWork: () => this.#bell.ring(),
      onRunChanged: (runId: string) => this.#heartbeats.hurry(runId),
      onCancel: (runId: string) => this.#running.get(runId)?.stop({ kind: 'cancel_requested' }),
      onSteer: (runId: string, message: SteeringMessage) => this.#running.get(runId)?.tell([message]),
      onTakenOver: (taker: string) => {
        for (const runId of this.#running.keys()) this.#heartbeats.hurry(runId);
        this.#retire('taken_over', `worker ${taker} has taken lane ${lane} over`);
      },
      onConnected: () => {
        this.#bell.ring();
        for (const runId of this.#running.keys()) this.#heartbeats.hurry(runId);
      },
      onGone: (error: unknown) => {
        if (error instanceof LanekeeperError && error.code === 'superseded') {
          this.#retire(
            'superseded',
            `another process is worker ${worker} of lane ${lane} now (see --worker)`,
          );
          return;
        }
        if (this.#mode === 'watch') {
          this.#failure ??= error;
          this.#leave.abort();
          return;
        }
        reporter.warn(
          `no live hints (${messageOf(error)}); going on with long polls, a cancel takes a heartbeat to arrive`,
        );
      },
    };
    this.#listening = listenForHints(client, { lane, worker, version }, listener, this.#ear.signal);
  }

  /** Somebody else is to do this work. What still runs may end, as in a drain. */
  #retire(how: Replacement, reason: string): void {
    if (this.#options.drain.aborted || this.#isRetired || this.#failure !== undefined) return;
    this.#options.reporter.warn(`${reason}; claiming no more`);
    this.#failure = new ExitError(EXIT.conflict);
    this.#leave.abort();
    this.#options.onReplaced?.(how);
  }

  async #claimLoop(mode: ClaimMode): Promise<void> {
    let failures = 0;
    while (!this.#leave.signal.aborted && !this.#isDone) {
      const max = this.#freeHands();
      try {
        const isIdle = max > 0 ? await this.#claimOnce(mode, max) : await this.#waitForHands();
        if (isIdle && this.#options.endsWhenIdle) return;
        failures = 0;
      } catch (error) {
        if (this.#leave.signal.aborted) return;
        if (!isTransient(error)) throw error;
        failures += 1;
        await this.#availability.pauseAfter(error, failures, this.#leave.signal);
      }
    }
  }

  /** As many tasks as it was to start. */
  get #isDone(): boolean {
    const { tasksMax } = this.#options;
    return tasksMax !== null && this.#started >= tasksMax;
  }

  #freeHands(): number {
    const { hands, tasksMax } = this.#options;
    const left = tasksMax === null ? Number.POSITIVE_INFINITY : tasksMax - this.#started;
    return Math.min(hands() - this.#running.size, left, LIMITS.claimsMax);
  }

  /** Resolves to true when none can come, because nothing runs. */
  async #waitForHands(): Promise<boolean> {
    if (this.#options.endsWhenIdle && this.#running.size === 0) return true;
    await this.#oneFinished();
    return false;
  }

  /** Resolves to true when nothing was ready and nothing runs. */
  async #claimOnce(mode: ClaimMode, max: number): Promise<boolean> {
    const { endsWhenIdle = false, launcher } = this.#options;
    const askedAtMs = performance.now();
    const waitSeconds = mode === 'watch' || endsWhenIdle ? undefined : WAIT_SECONDS;
    const { claims, reason } = await this.#claimer.claim(max, waitSeconds, this.#leave.signal);
    this.#availability.back();
    if (claims.length > 0) {
      const refusal = (await this.#options.refusal?.()) ?? null;
      if (refusal !== null || this.#leave.signal.aborted) {
        await this.#giveBack(claims, refusal ?? undefined);
        return false;
      }
      for (const claim of claims) {
        this.#follow({
          claim,
          launch: (onOutput) => launcher.launch(claim, onOutput),
          messages: claim.handoff.messages,
          onStartFailure: (error) => this.#cannotStart(claim, error),
        });
      }
      this.#started += claims.length;
      return false;
    }
    this.#noteReason(reason);
    if (endsWhenIdle) {
      if (this.#running.size === 0) return true;
      await this.#oneFinished();
    } else if (mode === 'watch') {
      await this.#bell.wait(HINT_FLOOR_MS, this.#leave.signal);
    } else if (performance.now() - askedAtMs < EMPTY_PAUSE_MS) {
      await this.#bell.wait(EMPTY_PAUSE_MS, this.#leave.signal);
    }
    return false;
  }

  #follow({
    onStartFailure,
    ...start
  }: RunStart & { readonly onStartFailure?: (error: Error) => void }): void {
    const { claim } = start;
    const run = new TaskRun(start, {
      ...this.#options,
      heartbeats: this.#heartbeats,
      relay: this.#relay,
      leave: this.#leave.signal,
      onAway: (error) => this.#availability.gone(error),
      onTakenOver: ({ detail }) => this.#retire('taken_over', `lane ${claim.lane} was taken over: ${detail}`),
    });
    this.#running.set(claim.run_id, run);
    void run.ended.then((isKnown) => {
      this.#running.delete(claim.run_id);
      if (!isKnown) this.#unreported += 1;
      if (run.startFailure !== null) onStartFailure?.(run.startFailure);
    });
  }

  #cannotStart(claim: Claim, error: Error): void {
    const { onStartFailure } = this.#options.launcher;
    if (onStartFailure !== undefined) {
      onStartFailure(claim, error);
    } else if (this.#failure === undefined) {
      this.#failure = new ExitError(EXIT.error, `Cannot start the command: ${error.message}`);
      this.#leave.abort();
    }
  }

  /** Or the number of hands has changed. */
  async #oneFinished(): Promise<void> {
    const over = new AbortController();
    const nudged = this.#bell.wait(HINT_FLOOR_MS, over.signal);
    const ends = [...this.#running.values()].map((run) => run.ended);
    await Promise.race<unknown>([this.#left, nudged, ...ends]);
    over.abort();
  }

  /** Says once why nothing comes, unless it is only that nothing is there. */
  #noteReason(reason: string | undefined): void {
    if (reason !== this.#lastReason && reason !== undefined && reason !== 'none_ready') {
      this.#options.reporter.note(`no work: ${reason.replaceAll('_', ' ')}; waiting`);
    }
    this.#lastReason = reason;
  }

  async #leaveInOrder(): Promise<void> {
    const { drain, drainSeconds, hardStop, isPatient = false, reporter } = this.#options;
    await this.#settleClaims();
    const hasTime = this.#isDone || (isPatient && !drain.aborted);
    if (this.#running.size > 0 && !hasTime) {
      reporter.note(
        `draining: ${this.#running.size} running, up to ${drainSeconds} s; once more to stop at once`,
      );
    }
    const finished = this.#allFinished();
    const killed = firstAborted(hardStop);
    // After the last task of --max-tasks, and for the patient, there is no hurry: the time starts with a signal.
    if (hasTime) await Promise.race([finished, firstAborted(drain, hardStop)]);
    await within(Promise.race([finished, killed]), drainSeconds * 1000);
    for (const run of this.#running.values()) run.stop({ kind: 'draining' });
    await Promise.race([finished, killed]);
    if (hardStop.aborted) await within(finished, HARD_STOP_MS);
  }

  /** A claim request that was cut off may have claimed: ask, and give back. */
  async #settleClaims(): Promise<void> {
    const { reporter } = this.#options;
    let claims: readonly Claim[] = [];
    try {
      claims = await this.#claimer.settle();
    } catch (error) {
      if (error instanceof UnreachableError || (error instanceof LanekeeperError && error.retryable)) {
        reporter.warn(
          `left without knowing whether a last claim was made: ${messageOf(error)}; its lease would run out`,
        );
      }
    }
    await this.#giveBack(claims);
  }

  async #giveBack(claims: readonly Claim[], reason = 'the worker is shutting down'): Promise<void> {
    const { client, reporter } = this.#options;
    for (const { run_id, token, task } of claims) {
      const body = { reason };
      try {
        await client.runs.release(run_id, body, { token });
      } catch (error) {
        this.#unreported += 1;
        reporter.warn(`${task.id} was claimed and could not be given back: ${messageOf(error)}`);
      }
    }
  }

  async #allFinished(): Promise<void> {
    await Promise.all([...this.#running.values()].map((run) => run.ended));
  }

  #killAll(): void {
    for (const run of this.#running.values()) {
      run.stop({ kind: 'draining' });
      run.kill();
    }
  }

  #conclude(): void {
    const { hardStop, reporter } = this.#options;
    for (const { claim } of this.#running.values()) {
      reporter.warn(
        `${claim.task.id} (run ${claim.run_id}) was not given back; its lease runs out by itself`,
      );
    }
    if (hardStop.aborted) throw new ExitError(EXIT.interrupted);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#unreported > 0)
      throw new ExitError(EXIT.error, `The ends of ${this.#unreported} tasks could not be reported.`);
  }
}

function limitText(hands: number): string {
  // A dispatcher has begun with what an earlier one has left.
  if (hands < 1) return 'as soon as what runs already leaves room';
  return hands === 1 ? 'one task at a time' : `${hands} tasks at a time`;
}
