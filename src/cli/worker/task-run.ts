/**
 * One claim from start to end: hands the task to a process, keeps the lease, stops the process when it must, and
 * reports what came of it. How the process is started, and what its exit code means, is the launcher's.
 */
import type { LanekeeperError } from '../../client/errors.ts';
import type { ClaimRun, RunHost } from '../../client/worker/claim-run.ts';
import { type Delivery, deliverEnd } from '../../client/worker/deliver.ts';
import { lossDetail, ownOutcomeOf } from '../../client/worker/lost-claim.ts';
import type { OutputRelay, RunOutput } from '../../client/worker/output-relay.ts';
import { messageOf } from '../../client/worker/plain-text.ts';
import type { RunEnd, StopReason } from '../../client/worker/run-end.ts';
import type { KeptClaim } from '../../client/worker/run-line.ts';
import type { SteeringMessage } from '../../client/worker/steering-message.ts';
import type { Launched } from './launcher.ts';
import type { EndRecord, OutputDisplay, Reporter } from './reporter.ts';
import type { RunClaim } from './run-claim.ts';
import type { OnOutput, ProcessEnd, RunningProcess } from './running-process.ts';
import { endOfRun } from './verdict.ts';

export interface TaskRunContext extends RunHost {
  /** null: what processes print stays here. */
  readonly relay: OutputRelay | null;
  readonly reporter: Reporter;
  /** For a process that has ended its own run: time to exit by itself. */
  readonly ownEndGraceSeconds: number;
}

export interface RunStart {
  readonly claim: RunClaim;
  readonly launch: (onOutput: OnOutput) => Launched;
  /** What the process is told from the start. */
  readonly messages: readonly SteeringMessage[];
}

export class TaskRun implements ClaimRun {
  /** Resolves to true when the server knows how it ended, or nobody may say so any more. Never rejects. */
  readonly ended: Promise<boolean>;
  readonly claim: RunClaim;
  /** The process could not even be started: the worker itself, or its lane, needs mending. */
  startFailure: Error | null = null;
  readonly #context: TaskRunContext;
  readonly #launched: Launched;
  readonly #kept: KeptClaim;
  readonly #display: OutputDisplay | undefined;
  readonly #relayed: RunOutput | undefined;
  readonly #startedAtMs = performance.now();
  #stopReason: StopReason | null;
  /** By which the process ended its own run, as far as the server has told. */
  #ownOutcome: string | null = null;

  constructor({ claim, launch, messages }: RunStart, context: TaskRunContext) {
    this.claim = claim;
    this.#context = context;
    this.#kept = keptClaim(claim, (token) => this.#launched.onToken?.(token));
    context.reporter.started(claim);
    this.#display = context.reporter.display(claim);
    this.#relayed = context.relay?.open(this.#kept);
    this.#launched = launch((stream, chunk) => {
      this.#display?.write(stream, chunk);
      this.#relayed?.write(stream, chunk);
    });
    this.#stopReason = this.#launched.stopped ?? null;
    this.tell(messages);
    this.ended = this.#follow().catch((error: unknown) => this.#giveUp(error));
  }

  get #process(): RunningProcess {
    return this.#launched.process;
  }

  /** The first reason counts, but for a lost claim, after which nothing may be reported. Too late: no reason at all. */
  stop(reason: StopReason): void {
    const isInTime = !this.#process.hasExited && this.#stopReason === null;
    const isNews = reason.kind === 'claim_lost' || isInTime;
    if (isNews) this.#stopReason = reason;
    // Before anybody is told: whatever that comes to, the process must not go on.
    this.#process.stop();
    if (isNews) this.#launched.onStop?.(reason);
  }

  /** Acknowledged once the command can read it; until then the heartbeats repeat it. */
  tell(messages: readonly SteeringMessage[]): void {
    if (messages.length === 0 || this.#process.hasExited) return;
    const { line, reporter } = this.#context;
    try {
      this.#launched.steering.append(messages);
    } catch (error) {
      reporter.warn(`a message for ${this.claim.task.id} could not be handed on: ${messageOf(error)}`);
      return;
    }
    const ids = messages.map(({ id }) => id);
    void line.acknowledge(this.#kept, ids).catch(() => undefined);
  }

  kill(): void {
    this.#process.kill();
  }

  async #follow(): Promise<boolean> {
    const { heartbeats } = this.#context;
    const { timeout } = this.#launched;
    heartbeats.keep(this.#kept, {
      onCancelRequested: () => this.stop({ kind: 'cancel_requested' }),
      onMessages: (messages) => this.tell(messages),
      onClaimLost: (error) => this.#loseClaim(error),
      onLeaseExpired: () => this.#expireLease(),
    });
    if (this.#launched.isAdopted) heartbeats.hurry(this.#kept.runId);
    if (this.#stopReason !== null) this.#process.stop();
    const timer =
      timeout === null
        ? undefined
        : setTimeout(() => this.stop({ kind: 'timed_out', seconds: timeout.seconds }), timeout.leftMs);
    const processEnd = await this.#process.ended;
    clearTimeout(timer);
    this.#display?.end();
    if (this.#relayed !== undefined) await this.#context.relay?.close(this.#relayed);
    const end = endOfRun(processEnd, this.#stopReason, this.#launched.reading);
    if (processEnd.kind === 'not_started') this.startFailure = processEnd.error;
    const isKnown = end === null ? this.#reportLost() : await this.#report(end, processEnd);
    heartbeats.drop(this.#kept.runId);
    this.#launched.close(isKnown);
    return isKnown;
  }

  /** A mistake of ours costs this run, and not the worker with all the others. */
  #giveUp(error: unknown): boolean {
    const { heartbeats, reporter } = this.#context;
    this.#process.stop();
    heartbeats.drop(this.#kept.runId);
    reporter.warn(
      `${this.claim.task.id} (run ${this.claim.run_id}): ${messageOf(error)}; its process is stopped, its claim left to its lease`,
    );
    return false;
  }

  /**
   * Another may hold the task soon, so the command must not go on. But a server that was away has kept the claim: given back it is no
   * failure, and claimable at once. What the server then says decides.
   */
  #expireLease(): void {
    if (!this.#process.hasExited && this.#stopReason === null) {
      this.#context.reporter.warn(
        `no heartbeat of ${this.claim.task.id} got through for a whole lease: stopping its command, to give the task back`,
      );
    }
    this.stop({ kind: 'lease_expired' });
  }

  #loseClaim(error: LanekeeperError): void {
    this.#noteTakeover(error);
    const reason: StopReason = { kind: 'claim_lost', detail: lossDetail(error) };
    if (error.problem['reason'] !== 'ended') {
      this.stop(reason);
      return;
    }
    // The process itself has ended the run with its token. It may tidy up; nothing is left to report.
    this.#ownOutcome = ownOutcomeOf(error);
    this.#stopReason = reason;
    this.#launched.onStop?.(reason);
    const timer = setTimeout(() => this.#process.stop(), this.#context.ownEndGraceSeconds * 1000);
    void this.#process.gone.then(() => clearTimeout(timer));
  }

  #noteTakeover(error: LanekeeperError): void {
    if (error.problem['reason'] === 'superseded') this.#context.onTakenOver(error);
  }

  async #report(end: RunEnd, processEnd: ProcessEnd): Promise<boolean> {
    const { reporter, hardStop } = this.#context;
    const title = `${this.claim.task.id} (run ${this.claim.run_id})`;
    const delivery = await deliverEnd(this.#kept, end, {
      ...this.#context,
      isLast: true,
      signal: hardStop,
      onRetry: this.#context.onAway,
    });
    reporter.ended(this.#record(end, processEnd, delivery));
    if (delivery.kind === 'claim_lost') this.#noteTakeover(delivery.error);
    if (delivery.kind === 'undelivered') {
      reporter.warn(
        `the end of ${title} could not be reported: ${messageOf(delivery.error)}. ` +
          `It was: ${end.verb}. The server will take the task back when its lease runs out.`,
      );
    }
    return delivery.kind !== 'undelivered';
  }

  #reportLost(): boolean {
    const { task, run_id, attempt } = this.claim;
    const detail = this.#stopReason?.kind === 'claim_lost' ? this.#stopReason.detail : null;
    const seconds = this.#seconds();
    this.#context.reporter.ended({
      task_id: task.id,
      run_id,
      attempt,
      outcome: this.#ownOutcome ?? 'lost',
      task_status: null,
      detail: this.#ownOutcome === null ? detail : OWN_END,
      seconds,
    });
    return true;
  }

  #record(end: RunEnd, processEnd: ProcessEnd, delivery: Delivery): EndRecord {
    const { task, run_id, attempt } = this.claim;
    const record = {
      task_id: task.id,
      run_id,
      attempt,
      seconds: this.#seconds(),
      detail: detailOf(end, processEnd),
    };
    switch (delivery.kind) {
      case 'delivered': {
        const { outcome, taskStatus } = delivery.answer;
        return { ...record, outcome: outcome ?? end.verb, task_status: taskStatus };
      }
      case 'claim_lost': {
        const own = ownOutcomeOf(delivery.error);
        const detail = own === null ? lossDetail(delivery.error) : OWN_END;
        return { ...record, outcome: own ?? 'lost', task_status: null, detail };
      }
      case 'undelivered':
        return { ...record, outcome: 'undelivered', task_status: null, detail: messageOf(delivery.error) };
    }
  }

  #seconds(): number {
    return Math.round(performance.now() - this.#startedAtMs) / 1000;
  }
}

/** Its fresh tokens are passed on as they come. */
function keptClaim({ run_id, token }: RunClaim, onToken: (token: string) => void): KeptClaim {
  let current: string | null = token;
  return {
    runId: run_id,
    get token() {
      return current;
    },
    set token(fresh) {
      current = fresh;
      if (fresh !== null) onToken(fresh);
    },
  };
}

const OWN_END = 'by the process itself';

function detailOf(end: RunEnd, processEnd: ProcessEnd): string | null {
  if (end.verb === 'release') return end.body.reason ?? null;
  if (end.verb !== 'fail') return null;
  const first = end.body.error.split('\n').at(-1) ?? '';
  const how =
    processEnd.kind === 'exited'
      ? `exit code ${processEnd.exitCode ?? processEnd.signal}`
      : processEnd.kind.replace('_', ' ');
  return first === how ? how : `${how}, ${first}`;
}
