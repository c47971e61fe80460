/** The lane worker of this program: a process per task, told about on the terminal, and exit codes for why it has ended. */

import type { ClaimRun, RunHost } from '../../client/worker/claim-run.ts';
import { LaneLoop, type LaneLoopOptions } from '../../client/worker/lane-loop.ts';
import { OutputRelay } from '../../client/worker/output-relay.ts';
import {
  type Replacement,
  UnreportedEndsError,
  WorkerReplacedError,
} from '../../client/worker/worker-error.ts';
import type { Claim } from '../../contract/claims.ts';
import type { PushedClaim } from '../../contract/frames.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import type { Launcher } from './launcher.ts';
import type { Reporter } from './reporter.ts';
import { type RunStart, TaskRun } from './task-run.ts';

export interface LaneWorkerOptions
  extends Omit<
    LaneLoopOptions,
    'start' | 'adopted' | 'log' | 'onServing' | 'onDraining' | 'mode' | 'tokens' | 'version'
  > {
  readonly version: string;
  readonly launcher: Launcher;
  readonly ownEndGraceSeconds: number;
  readonly adopted?: readonly RunStart[];
  readonly onReplaced?: (how: Replacement) => void;
  /** What the processes print is sent to the server, where people watch it. */
  readonly sendsOutput: boolean;
  readonly reporter: Reporter;
}

export class LaneWorker {
  readonly #options: LaneWorkerOptions;
  readonly #loop: LaneLoop;
  #relay: OutputRelay | null = null;

  constructor(options: LaneWorkerOptions) {
    const { reporter, hands, worker, drainSeconds, adopted = [] } = options;
    this.#options = options;
    this.#loop = new LaneLoop({
      ...options,
      log: reporter,
      start: (claim, host) => this.#start(ownClaim(claim), host),
      adopted: adopted.map((start) => (host: RunHost) => this.#begin(start, host)),
      onServing: (lane, mode) =>
        reporter.note(
          `working on lane ${lane.name} of board ${lane.board} as ${worker} (${mode}), ${limitText(hands())}; Ctrl-C drains`,
        ),
      onDraining: (count) =>
        reporter.note(`draining: ${count} running, up to ${drainSeconds} s; once more to stop at once`),
    });
  }

  /** It claims no more; what runs may take its time. */
  get isLeaving(): boolean {
    return this.#loop.isLeaving;
  }

  get runningCount(): number {
    return this.#loop.runningCount;
  }

  get startedCount(): number {
    return this.#loop.startedCount;
  }

  /** The number of hands has changed. */
  nudge(): void {
    this.#loop.nudge();
  }

  /** Claim no more. Whoever asks for it may have another worker of the same name at once. */
  retire(): void {
    this.#loop.retire();
  }

  /** Resolves when it has left in good order; throws what ended it otherwise. */
  async run(): Promise<void> {
    const { hardStop } = this.#options;
    try {
      await this.#loop.run();
    } catch (error) {
      if (!hardStop.aborted) throw asExit(error);
    }
    if (hardStop.aborted) throw new ExitError(EXIT.interrupted);
  }

  #start(claim: Claim, host: RunHost): ClaimRun {
    const { launcher } = this.#options;
    const launch: RunStart['launch'] = (onOutput) => launcher.launch(claim, onOutput);
    const run = this.#begin({ claim, launch, messages: claim.handoff.messages }, host);
    void run.ended.then(() => {
      if (run.startFailure !== null) this.#cannotStart(claim, run.startFailure);
    });
    return run;
  }

  #begin(start: RunStart, host: RunHost): TaskRun {
    const { reporter, ownEndGraceSeconds, sendsOutput } = this.#options;
    if (sendsOutput) this.#relay ??= new OutputRelay(host.client, host.line);
    return new TaskRun(start, { ...host, reporter, ownEndGraceSeconds, relay: this.#relay });
  }

  #cannotStart(claim: Claim, error: Error): void {
    const { onStartFailure } = this.#options.launcher;
    if (onStartFailure !== undefined) onStartFailure(claim, error);
    else this.#loop.fail(new ExitError(EXIT.error, `Cannot start the command: ${error.message}`));
  }
}

/** What was said on the terminal already has no words here. */
function asExit(error: unknown): unknown {
  if (error instanceof WorkerReplacedError) return new ExitError(EXIT.conflict);
  if (error instanceof UnreportedEndsError) return new ExitError(EXIT.error, error.message);
  return error;
}

/** Processes speak for their claims themselves, so every claim here has a token. */
function ownClaim(claim: PushedClaim): Claim {
  const { token } = claim;
  if (token === undefined) throw new TypeError('A claim came without a token, though one was asked for');
  return { ...claim, token };
}

function limitText(hands: number): string {
  // A dispatcher has begun with what an earlier one has left.
  if (hands < 1) return 'as soon as what runs already leaves room';
  return hands === 1 ? 'one task at a time' : `${hands} tasks at a time`;
}
