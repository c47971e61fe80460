/**
 * All that one worker holds: begins the work on what was claimed, follows it to its end, and gives back what is not to be worked on. Says
 * how many hands are taken, never how many there are. A claim is never left behind in silence.
 */
import type { PushedClaim } from '../../contract/frames.ts';
import type { LanekeeperError } from '../errors.ts';
import type { ClaimRun, RunHost, StartRun } from './claim-run.ts';
import { Heartbeats } from './heartbeats.ts';
import { LiveTable } from './live-table.ts';
import { messageOf } from './plain-text.ts';
import type { StopReason } from './run-end.ts';
import { RunLine } from './run-line.ts';
import type { SteeringMessage } from './steering-message.ts';
import type { WorkerClient } from './worker-client.ts';
import type { WorkerLog } from './worker-log.ts';

export interface RunningClaimsOptions {
  readonly client: WorkerClient;
  readonly start: StartRun;
  readonly leaseSeconds: number;
  /** Whether fresh claims may be worked on at all; else they are given back, with the reason. null: they may. */
  readonly refusal?: (() => Promise<string | null>) | undefined;
  readonly log: WorkerLog;
  readonly onAway: (error: unknown) => void;
  readonly onTakenOver: (error: LanekeeperError) => void;
  /** A hand is free again. */
  readonly onFree: () => void;
  readonly leave: AbortSignal;
  readonly hardStop: AbortSignal;
}

/** Of the lease that was asked for: what is less was given by somebody else, and no rounding. */
const SHORTER = 0.9;
/** With five pauses between them, some three seconds in all. */
const GIVE_BACK_ATTEMPTS = 6;

export class RunningClaims {
  readonly line: RunLine;
  readonly #options: RunningClaimsOptions;
  readonly #host: RunHost;
  readonly #heartbeats: Heartbeats;
  readonly #runs = new LiveTable<ClaimRun>();
  /** It is not decided yet whether they are worked on. */
  readonly #arriving = new Set<Promise<void>>();
  #arrivingCount = 0;
  #started = 0;
  #unreported = 0;

  constructor(options: RunningClaimsOptions) {
    const { client, leaseSeconds } = options;
    this.#options = options;
    this.line = new RunLine(client);
    this.#heartbeats = new Heartbeats(client, this.line, leaseSeconds);
    this.#host = { ...options, line: this.line, heartbeats: this.#heartbeats };
  }

  /** Hands that are taken. */
  get count(): number {
    return this.#runs.size + this.#arrivingCount;
  }

  /** Of tasks, ever; without those that were taken up. */
  get startedCount(): number {
    return this.#started;
  }

  /** Claims that are left to their leases. */
  get unreportedCount(): number {
    return this.#unreported;
  }

  /** What could not be given back in time is left to its lease: which those are. */
  abandon(): readonly ClaimRun[] {
    for (const runId of this.#runs.ids()) this.#heartbeats.drop(runId);
    return this.#runs.values();
  }

  /** Begins the work, unless that is refused or the worker is leaving: then they are given back. Never rejects. */
  admit(claims: readonly PushedClaim[]): Promise<void> {
    const { refusal, leave } = this.#options;
    if (refusal === undefined && !leave.aborted) {
      this.#start(claims);
      return Promise.resolve();
    }
    this.#arrivingCount += claims.length;
    const arrived = this.#ask(claims).then(() => {
      this.#arrivingCount -= claims.length;
      this.#arriving.delete(arrived);
      this.#options.onFree();
    });
    this.#arriving.add(arrived);
    return arrived;
  }

  /** Goes on with a run that somebody else has begun. */
  adopt(begin: (host: RunHost) => ClaimRun): void {
    this.#follow(begin(this.#host));
  }

  stop(runId: string, reason: StopReason): void {
    this.#runs.get(runId)?.stop(reason);
  }

  tell(runId: string, message: SteeringMessage): void {
    this.#runs.get(runId)?.tell([message]);
  }

  /** Something happened to the run, or to any: the server is asked now. */
  hurry(runId?: string): void {
    if (runId !== undefined) this.#heartbeats.hurry(runId);
    else for (const each of this.#runs.ids()) this.#heartbeats.hurry(each);
  }

  stopAll(): void {
    for (const run of this.#runs.values()) run.stop({ kind: 'draining' });
  }

  killAll(): void {
    this.stopAll();
    for (const run of this.#runs.values()) run.kill();
  }

  /** What runs now has ended, and what was just coming was begun or given back. */
  async finished(): Promise<void> {
    await Promise.all(this.#arriving);
    await Promise.all(this.#runs.values().map((run) => run.ended));
  }

  async giveBack(claims: readonly PushedClaim[], reason = 'the worker is shutting down'): Promise<void> {
    const { client, log } = this.#options;
    for (const { run_id: runId, token, task } of claims) {
      const body = { reason };
      try {
        // Whoever leaves meets a server that is just being restarted, and waits for no outage.
        const retry = { attemptsMax: GIVE_BACK_ATTEMPTS };
        if (token !== undefined) await client.runs.release(runId, body, { token, retry });
        else await this.line.end({ runId, token: null }, { verb: 'release', body });
      } catch (error) {
        this.#unreported += 1;
        log.warn(`${task.id} was claimed and could not be given back: ${messageOf(error)}`);
      }
    }
  }

  async #ask(claims: readonly PushedClaim[]): Promise<void> {
    const { refusal, leave } = this.#options;
    // Who cannot say whether it may work does not.
    const reason = leave.aborted ? null : ((await refusal?.().catch(messageOf)) ?? null);
    if (reason !== null || leave.aborted) await this.giveBack(claims, reason ?? undefined);
    else this.#start(claims);
  }

  #start(claims: readonly PushedClaim[]): void {
    this.#started += claims.length;
    const { start, leaseSeconds } = this.#options;
    for (const claim of claims) {
      this.#follow(start(claim, this.#host));
      // Pushed with a lease of the lane's that would not last until our first heartbeat.
      if (claim.heartbeat_interval_seconds * 3 < leaseSeconds * SHORTER) this.hurry(claim.run_id);
    }
  }

  #follow(run: ClaimRun): void {
    const { run_id: runId } = run.claim;
    this.#runs.set(runId, run);
    void run.ended.then((isKnown) => {
      this.#runs.delete(runId);
      if (!isKnown) this.#unreported += 1;
      this.#options.onFree();
    });
  }
}
