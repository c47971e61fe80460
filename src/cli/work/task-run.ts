/**
 * One claim from start to end: runs the command with the task on stdin, keeps the lease, stops the command when it
 * must, and reports what came of it. The command gets the claim's token and nothing else that could open a door.
 */
import type { Client } from '../../client/client.ts';
import type { LanekeeperError } from '../../client/errors.ts';
import type { Claim } from '../../contract/claims.ts';
import { type Delivery, deliverEnd } from './deliver.ts';
import type { Heartbeats, KeptClaim } from './heartbeats.ts';
import type { OrphanGuard } from './orphan-guard.ts';
import type { OutputRelay, RunOutput } from './output-relay.ts';
import { type Argv, type ProcessEnd, ProcessGroup } from './process-group.ts';
import type { EndRecord, OutputDisplay, Reporter } from './reporter.ts';
import { type SteeringDirectory, SteeringFile, type SteeringMessage } from './steering-file.ts';
import { endOfRun, type RunEnd, type StopReason } from './verdict.ts';

export interface TaskRunContext {
  readonly client: Client;
  readonly heartbeats: Heartbeats;
  readonly guard: OrphanGuard;
  /** null: what commands print stays here. */
  readonly relay: OutputRelay | null;
  readonly steering: SteeringDirectory;
  readonly reporter: Reporter;
  readonly argv: Argv;
  /** Of the worker; what speaks for the worker is taken out before a command sees it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly leaseSeconds: number;
  readonly timeoutSeconds: number | null;
  /** A request will be repeated until the server answers. */
  readonly onAway: (error: unknown) => void;
  /** The claim went with the lane: another worker has taken it over. */
  readonly onTakenOver: (error: LanekeeperError) => void;
  /** The worker leaves. */
  readonly leave: AbortSignal;
  /** Ends retries at once: the person does not want to wait. */
  readonly hardStop: AbortSignal;
}

/** The task's summary and the last error both fit into this many times over; bounds memory per task. */
const TAIL_BYTES_MAX = 64 * 1024;

/** After a command has ended its own run through the API: time to exit by itself. A guess: cleaning up takes seconds. */
const OWN_END_GRACE_MS = 10_000;

export class TaskRun {
  /** Resolves to true when the server knows how it ended, or nobody may say so any more. Never rejects. */
  readonly ended: Promise<boolean>;
  readonly claim: Claim;
  /** The command could not even be started: the worker itself needs mending. */
  startFailure: Error | null = null;
  readonly #context: TaskRunContext;
  readonly #group: ProcessGroup;
  readonly #kept: KeptClaim;
  readonly #display: OutputDisplay | undefined;
  readonly #relayed: RunOutput | undefined;
  readonly #steeringFile: SteeringFile;
  readonly #startedAtMs = performance.now();
  #stopReason: StopReason | null = null;

  constructor(claim: Claim, context: TaskRunContext) {
    this.claim = claim;
    this.#context = context;
    this.#kept = { runId: claim.run_id, token: claim.token };
    context.reporter.started(claim);
    this.#display = context.reporter.display(claim);
    this.#relayed = context.relay?.open(this.#kept);
    this.#steeringFile = new SteeringFile(context.steering, claim.run_id);
    this.#group = ProcessGroup.start({
      argv: context.argv,
      env: { ...commandEnvironment(claim, context), LANEKEEPER_STEERING_FILE: this.#steeringFile.path },
      stdin: `${JSON.stringify({ ...claim.task, handoff: claim.handoff })}\n`,
      tailBytesMax: TAIL_BYTES_MAX,
      onOutput: (stream, chunk) => {
        this.#display?.write(stream, chunk);
        this.#relayed?.write(stream, chunk);
      },
    });
    this.tell(claim.handoff.messages);
    this.ended = this.#follow();
  }

  /** The first reason counts, but for a lost claim, after which nothing may be reported. Too late: no reason at all. */
  stop(reason: StopReason): void {
    if (reason.kind === 'claim_lost') this.#stopReason = reason;
    else if (!this.#group.hasExited) this.#stopReason ??= reason;
    this.#group.stop();
  }

  /** Acknowledged once the command can read it; until then the heartbeats repeat it. */
  tell(messages: readonly SteeringMessage[]): void {
    if (messages.length === 0 || this.#group.hasExited) return;
    const { client, reporter } = this.#context;
    const { runId, token } = this.#kept;
    try {
      this.#steeringFile.append(messages);
    } catch (error) {
      reporter.warn(`a message for ${this.claim.task.id} could not be handed on: ${messageOf(error)}`);
      return;
    }
    const ids = messages.map(({ id }) => id);
    void client.runs.acknowledge(runId, ids, { token, retry: { attemptsMax: 1 } }).catch(() => undefined);
  }

  kill(): void {
    this.#group.kill();
  }

  async #follow(): Promise<boolean> {
    const { guard, heartbeats, timeoutSeconds } = this.#context;
    const { pid } = this.#group;
    if (pid !== undefined) {
      guard.watch(pid);
      void this.#group.gone.then(() => guard.forget(pid));
    }
    heartbeats.keep(this.#kept, {
      onCancelRequested: () => this.stop({ kind: 'cancel_requested' }),
      onMessages: (messages) => this.tell(messages),
      onClaimLost: (error) => this.#loseClaim(error),
      onLeaseExpired: () => this.#expireLease(),
    });
    const timer =
      timeoutSeconds === null
        ? undefined
        : setTimeout(() => this.stop({ kind: 'timed_out', seconds: timeoutSeconds }), timeoutSeconds * 1000);
    const processEnd = await this.#group.ended;
    clearTimeout(timer);
    this.#display?.end();
    this.#steeringFile.remove();
    if (this.#relayed !== undefined) await this.#context.relay?.close(this.#relayed);
    const end = endOfRun(processEnd, this.#stopReason);
    if (processEnd.kind === 'not_started') this.startFailure = processEnd.error;
    const isKnown = end === null ? this.#reportLost() : await this.#report(end, processEnd);
    heartbeats.drop(this.#kept.runId);
    return isKnown;
  }

  /**
   * Another may hold the task soon, so the command must not go on. But a server that was away has kept the claim: given back it is no
   * failure, and claimable at once. What the server then says decides.
   */
  #expireLease(): void {
    if (!this.#group.hasExited && this.#stopReason === null) {
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
    // The command itself has ended the run with its token. It may tidy up; nothing is left to report.
    this.#stopReason = reason;
    const timer = setTimeout(() => this.#group.stop(), OWN_END_GRACE_MS);
    void this.#group.gone.then(() => clearTimeout(timer));
  }

  #noteTakeover(error: LanekeeperError): void {
    if (error.problem['reason'] === 'superseded') this.#context.onTakenOver(error);
  }

  async #report(end: RunEnd, processEnd: ProcessEnd): Promise<boolean> {
    const { client, leaseSeconds, reporter, leave, hardStop } = this.#context;
    const title = `${this.claim.task.id} (run ${this.claim.run_id})`;
    const delivery = await deliverEnd(this.#kept, end, {
      client,
      leaseSeconds,
      signal: hardStop,
      leave,
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
      outcome: 'lost',
      task_status: null,
      detail,
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
        const { run, task: after } = delivery.reply;
        return { ...record, outcome: run.outcome ?? end.verb, task_status: after.status };
      }
      case 'claim_lost':
        return { ...record, outcome: 'lost', task_status: null, detail: lossDetail(delivery.error) };
      case 'undelivered':
        return { ...record, outcome: 'undelivered', task_status: null, detail: messageOf(delivery.error) };
    }
  }

  #seconds(): number {
    return Math.round(performance.now() - this.#startedAtMs) / 1000;
  }
}

function commandEnvironment(claim: Claim, { client, env }: TaskRunContext): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // The worker's key, and whatever else would speak for more than this claim, stays with the worker.
    if (value !== undefined && !name.startsWith('LANEKEEPER_')) clean[name] = value;
  }
  return {
    ...clean,
    LANEKEEPER_URL: client.url,
    LANEKEEPER_BOARD: claim.task.board,
    LANEKEEPER_LANE: claim.lane,
    LANEKEEPER_TASK_ID: claim.task.id,
    LANEKEEPER_RUN_ID: claim.run_id,
    LANEKEEPER_ATTEMPT: String(claim.attempt),
    LANEKEEPER_TOKEN: claim.token,
  };
}

function detailOf(end: RunEnd, processEnd: ProcessEnd): string | null {
  if (end.verb === 'release') return end.body.reason ?? null;
  if (end.verb === 'complete') return null;
  const first = end.body.error.split('\n').at(-1) ?? '';
  const how =
    processEnd.kind === 'exited' ? `exit code ${processEnd.exitCode ?? processEnd.signal}` : 'not started';
  return first === how ? how : `${how}, ${first}`;
}

function lossDetail(error: LanekeeperError): string {
  const reason = error.problem['reason'];
  return typeof reason === 'string' ? `the claim is gone: ${reason}` : `the claim is gone: ${error.detail}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
