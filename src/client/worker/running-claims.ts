/**
 * All that one worker holds: begins the work on what was claimed, follows it to its end, and gives back what is not to be worked on. Says
 * how many hands are taken, never how many there are. A claim is never left behind in silence.
 */
import { LIMITS } from '../../contract/constants.ts';
import type { PushedClaim } from '../../contract/frames.ts';
import type { LanekeeperError } from '../errors.ts';
import type { ClaimRun, RunHost, StartRun } from './claim-run.ts';
import { deliverEnd } from './deliver.ts';
import { Heartbeats } from './heartbeats.ts';
import { LiveTable } from './live-table.ts';
import { firstCharacters, messageOf } from './plain-text.ts';
import type { RunEnd, StopReason } from './run-end.ts';
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

type ReleaseBody = Extract<RunEnd, { verb: 'release' }>['body'];

/** Of the lease that was asked for: what is less was given by somebody else, and no rounding. */
const SHORTER = 0.9;

/** Claims that are given back at the same time: a server that has just come back is not met by a thousand at once. */
const GIVEN_BACK_AT_ONCE = 4;

/** A claim that could not be begun, by a mistake of ours, is not to come back at once and for ever. */
const CANNOT_START_DELAY_SECONDS = 30;

export class RunningClaims {
  readonly line: RunLine;
  readonly #options: RunningClaimsOptions;
  readonly #host: RunHost;
  readonly #heartbeats: Heartbeats;
  readonly #runs = new LiveTable<ClaimRun>();
  /** It is not decided yet whether they are worked on. */
  readonly #arriving = new Set<Promise<void>>();
  #arrivingCount = 0;
  /** Of the runs, those that nothing but a socket can speak for. */
  #tokenlessCount = 0;
  /** Runs that something was heard of before they were begun. */
  readonly #newsOfArriving = new Set<string>();
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

  /** Some claim may have no token: without its socket nobody could renew or end it. */
  get needsSocket(): boolean {
    return this.#tokenlessCount > 0 || this.#arrivingCount > 0;
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
    return this.#arrive(claims, this.#ask(claims));
  }

  /** Goes on with a run that somebody else has begun. */
  adopt(begin: (host: RunHost) => ClaimRun): void {
    this.#follow(begin(this.#host), false);
  }

  stop(runId: string, reason: StopReason): void {
    const run = this.#runs.get(runId);
    if (run !== undefined) run.stop(reason);
    else this.#noteOfArriving(runId);
  }

  tell(runId: string, message: SteeringMessage): void {
    const run = this.#runs.get(runId);
    if (run !== undefined) run.tell([message]);
    else this.#noteOfArriving(runId);
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

  /** As patient as with any other end. Never rejects. */
  async giveBack(
    claims: readonly PushedClaim[],
    body: ReleaseBody = { reason: 'the worker is shutting down' },
  ): Promise<void> {
    const waiting = [...claims];
    const giveNext = async (): Promise<void> => {
      for (let claim = waiting.shift(); claim !== undefined; claim = waiting.shift())
        await this.#giveBackOne(claim, body);
    };
    await Promise.all(Array.from({ length: GIVEN_BACK_AT_ONCE }, giveNext));
  }

  async #giveBackOne({ run_id: runId, token, task }: PushedClaim, body: ReleaseBody): Promise<void> {
    const { client, leaseSeconds, leave, hardStop: signal, onAway: onRetry, log } = this.#options;
    const context = { client, line: this.line, leaseSeconds, leave, signal, isLast: false, onRetry };
    const delivery = await deliverEnd({ runId, token: token ?? null }, { verb: 'release', body }, context);
    // One that is gone already is as good as given back.
    if (delivery.kind !== 'undelivered') return;
    this.#unreported += 1;
    log.warn(`${task.id} was claimed and could not be given back: ${messageOf(delivery.error)}`);
  }

  /** Their hands are taken until `decided`. */
  #arrive(claims: readonly PushedClaim[], decided: Promise<void>): Promise<void> {
    this.#arrivingCount += claims.length;
    const arrived = decided.then(() => {
      this.#arrivingCount -= claims.length;
      this.#arriving.delete(arrived);
      if (this.#arrivingCount === 0) this.#newsOfArriving.clear();
      this.#options.onFree();
    });
    this.#arriving.add(arrived);
    return arrived;
  }

  /** A heartbeat will tell what it was, once the run has begun. */
  #noteOfArriving(runId: string): void {
    if (this.#arrivingCount > 0) this.#newsOfArriving.add(runId);
  }

  async #ask(claims: readonly PushedClaim[]): Promise<void> {
    const { refusal, leave } = this.#options;
    // Who cannot say whether it may work does not.
    const reason = leave.aborted ? null : ((await refusal?.().catch(messageOf)) ?? null);
    if (reason !== null) await this.giveBack(claims, { reason });
    else if (leave.aborted) await this.giveBack(claims);
    else this.#start(claims);
  }

  #start(claims: readonly PushedClaim[]): void {
    this.#started += claims.length;
    const { start, leaseSeconds } = this.#options;
    for (const claim of claims) {
      try {
        this.#follow(start(claim, this.#host), claim.token === undefined);
      } catch (error) {
        this.#refuse(claim, messageOf(error));
        continue;
      }
      // Pushed with a lease of the lane's that would not last until our first heartbeat.
      const isShort = claim.heartbeat_interval_seconds * 3 < leaseSeconds * SHORTER;
      if (isShort || this.#newsOfArriving.delete(claim.run_id)) this.hurry(claim.run_id);
    }
  }

  /** A mistake of ours costs this claim, and not those that came with it. */
  #refuse(claim: PushedClaim, reason: string): void {
    this.#options.log.warn(`${claim.task.id} could not be begun: ${reason}; it is given back`);
    const body = {
      reason: firstCharacters(`could not be begun: ${reason}`, LIMITS.reasonCharactersMax),
      delay_seconds: CANNOT_START_DELAY_SECONDS,
    };
    void this.#arrive([claim], this.giveBack([claim], body));
  }

  #follow(run: ClaimRun, isTokenless: boolean): void {
    const { run_id: runId } = run.claim;
    this.#runs.set(runId, run);
    if (isTokenless) this.#tokenlessCount += 1;
    void run.ended.then((isKnown) => {
      this.#runs.delete(runId);
      if (isTokenless) this.#tokenlessCount -= 1;
      if (!isKnown) this.#unreported += 1;
      this.#options.onFree();
    });
  }
}
