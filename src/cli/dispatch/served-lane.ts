/**
 * One lane as a dispatcher sees it: serves it while it is of kind spawn and says what to spawn, and lets it be
 * otherwise. What was begun under other settings goes on to its end, and counts against the concurrency of today.
 */
import type { Client } from '../../client/client.ts';
import { LanekeeperError } from '../../client/errors.ts';
import { messageOf } from '../../client/worker/plain-text.ts';
import type { Claim } from '../../contract/claims.ts';
import type { Lane } from '../../contract/lanes.ts';
import { ExitError, exitCodeOf } from '../exit-codes.ts';
import { LaneWorker, type LaneWorkerOptions } from '../worker/lane-worker.ts';
import type { Launcher } from '../worker/launcher.ts';
import type { RunStart } from '../worker/task-run.ts';
import type { SpawnLauncher } from './spawn-launcher.ts';
import { type SpawnSettings, servedOf } from './spawn-settings.ts';

export type ServedLaneOptions = Omit<
  LaneWorkerOptions,
  'client' | 'launcher' | 'hands' | 'refusal' | 'adopted' | 'onReplaced'
> & {
  readonly spawner: SpawnLauncher;
  /** Named by the caller, who wants to know why it is not served. */
  readonly isNamed: boolean;
  readonly onSuperseded: () => void;
};

/** After a lane, or starting its processes, has failed for a reason that waiting alone may mend. A guess: half a minute. */
const REST_MS = 30_000;
/** The lane is read between a claim and its process; without an answer what was last heard of it holds. */
const READ_TIMEOUT_MS = 5_000;

export class ServedLane {
  readonly #options: ServedLaneOptions;
  /** Each with its end, which never rejects. Those that claim no more are here as long as they have something running. */
  readonly #workers = new Map<LaneWorker, Promise<void>>();
  readonly #launcher: Launcher;
  /** The one that claims. */
  #active: LaneWorker | null = null;
  #isServed = false;
  /** What the lane said when it was last served. */
  #settings: SpawnSettings | null = null;
  #said = '';
  #restsUntilMs = 0;
  #isTakenOver = false;
  #startedCount = 0;
  #failure: unknown;

  constructor(options: ServedLaneOptions) {
    this.#options = options;
    this.#launcher = {
      launch: (claim, onOutput) => {
        if (this.#settings === null) throw new Error('a claim of a lane that was never served');
        return options.spawner.launch(claim, this.#settings, onOutput);
      },
      onStartFailure: (claim, error) => this.#rest(claim, error),
    };
  }

  get isBusy(): boolean {
    return this.#workers.size > 0;
  }

  /** Of tasks, ever. */
  get startedCount(): number {
    return (
      this.#startedCount + [...this.#workers.keys()].reduce((sum, worker) => sum + worker.startedCount, 0)
    );
  }

  /** Goes on with what an earlier dispatcher has left, whether or not the lane is served. */
  adopt(client: Client, starts: readonly RunStart[]): void {
    const worker = this.#makeWorker(client, starts);
    worker.retire();
    this.#run(worker);
  }

  /** The lane as it is now; null: there is none of this name. Throws what keeps its key from being used. */
  update(lane: Lane | null, clientFor: (lane: string) => Client | null): void {
    const served = lane === null ? null : servedOf(lane);
    const isServed = served !== null && 'settings' in served && !this.#isTakenOver;
    const client = isServed ? clientFor(this.#options.lane) : null;
    if (!isServed || client === null) {
      this.retire();
      if (served === null) this.#say('there is no such lane yet', this.#options.isNamed);
      else if ('refusal' in served)
        this.#say(served.refusal.reason, this.#options.isNamed || served.refusal.isBroken);
      else if (!this.#isTakenOver) this.#say('there is no key for it', true);
      return;
    }
    this.#said = '';
    this.#take(served.settings);
    if (this.#active?.isLeaving === false || performance.now() < this.#restsUntilMs) return;
    this.#active = this.#makeWorker(client, []);
    this.#run(this.#active);
  }

  /** Something is wrong with it, until the next update. What runs goes on. */
  refuse(reason: string): void {
    this.retire();
    this.#say(reason, true);
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    while (this.#workers.size > 0) await Promise.all(this.#workers.values());
  }

  /** As settled(); throws what went wrong while it drained, or at all where nothing is tried again. */
  async left(): Promise<void> {
    await this.settled();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #take(settings: SpawnSettings): void {
    this.#settings = settings;
    this.#isServed = true;
    this.#active?.nudge();
  }

  /** Claim no more. */
  retire(): void {
    this.#isServed = false;
    this.#active?.retire();
    this.#active = null;
  }

  #makeWorker(client: Client, adopted: readonly RunStart[]): LaneWorker {
    const worker: LaneWorker = new LaneWorker({
      ...this.#options,
      client,
      adopted,
      launcher: this.#launcher,
      hands: () => this.#handsOf(worker),
      refusal: () => this.#refusal(client),
      onReplaced: (how) => {
        if (how === 'superseded') this.#options.onSuperseded();
        // What was taken from a dispatcher that was dead says nothing about the one that is back.
        else if (worker === this.#active) this.#isTakenOver = true;
      },
      isPatient: true,
    });
    return worker;
  }

  #handsOf(asking: LaneWorker): number {
    if (this.#settings === null || !this.#isServed || performance.now() < this.#restsUntilMs) return 0;
    const others = [...this.#workers.keys()].filter((worker) => worker !== asking);
    return this.#settings.concurrency - others.reduce((sum, worker) => sum + worker.runningCount, 0);
  }

  /** The lane may have changed while a claim was waited for: nothing is spawned for one that is not to be spawned. */
  async #refusal(client: Client): Promise<string | null> {
    const { lane: name } = this.#options;
    try {
      const { lane } = await client.lanes.get(name, {
        timeoutMs: READ_TIMEOUT_MS,
        retry: { attemptsMax: 1 },
      });
      const served = servedOf(lane);
      if ('refusal' in served) {
        this.retire();
        return `the dispatcher leaves lane ${name} alone: ${served.refusal.reason}`;
      }
      this.#take(served.settings);
      return null;
    } catch {
      return !this.#isServed ? `the dispatcher leaves lane ${name} alone` : null;
    }
  }

  #run(worker: LaneWorker): void {
    const { lane, reporter, drain, endsWhenIdle = false } = this.#options;
    const end = worker.run().catch((error: unknown) => {
      if (drain.aborted) this.#failure ??= error;
      // Without a message: it was replaced, and has said so.
      if (drain.aborted || (error instanceof ExitError && error.message === '')) return;
      const isGone = error instanceof LanekeeperError && error.code === 'lane_not_found';
      const next = endsWhenIdle ? '' : `; trying again in ${REST_MS / 1000} s`;
      reporter.warn(`lane ${lane}: ${messageOf(error)}${next}`);
      // Said here, with the lane's name; the others go on.
      if (endsWhenIdle && !isGone) this.#failure ??= new ExitError(exitCodeOf(error));
      if (!isGone) this.#restsUntilMs = performance.now() + REST_MS;
    });
    const gone = end.then(() => {
      this.#startedCount += worker.startedCount;
      this.#workers.delete(worker);
      this.#active?.nudge();
    });
    this.#workers.set(worker, gone);
  }

  #rest(claim: Claim, error: Error): void {
    const { lane, reporter } = this.#options;
    reporter.warn(
      `cannot start a process for ${claim.task.id}: ${error.message}; lane ${lane} rests for ${REST_MS / 1000} s`,
    );
    this.#restsUntilMs = performance.now() + REST_MS;
    setTimeout(() => this.#active?.nudge(), REST_MS).unref();
  }

  /** Once, until it is served again or there is another reason. */
  #say(reason: string, isWanted: boolean): void {
    if (reason === this.#said) return;
    this.#said = reason;
    if (isWanted) this.#options.reporter.warn(`lane ${this.#options.lane} is not served: ${reason}`);
  }
}
