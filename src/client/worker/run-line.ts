/**
 * How the verbs of a run reach the server: by requests under the claim's token, or over the link that its claim was pushed to, which
 * alone speaks for a claim without a token. Each is sent once, so that whoever asks decides what a lost answer is worth.
 */
import { UnreachableError } from '../errors.ts';
import type { BodyOf, ReplyOf } from '../operation-types.ts';
import { callAfter } from '../timing.ts';
import type { PushStateName } from './push-machine.ts';
import type { EndAnswer, RunEnd } from './run-end.ts';
import type { WorkerClient } from './worker-client.ts';

/** A claim whose lease is kept. The token is replaced when the server sends a fresh one; null: its socket is the proof. */
export interface KeptClaim {
  readonly runId: string;
  token: string | null;
}

export type HeartbeatBody = NonNullable<BodyOf<'heartbeatRun'>>;
export type HeartbeatAnswer = Pick<ReplyOf<'heartbeatRun'>, 'cancel_requested' | 'messages' | 'token'>;

/** A push link. Its verbs throw LanekeeperError, or UnreachableError when the server answers nowhere. */
interface RunSocket {
  readonly state: PushStateName;
  end(runId: string, end: RunEnd): Promise<EndAnswer>;
  heartbeat(runId: string, body: HeartbeatBody): Promise<HeartbeatAnswer>;
  output(runId: string, lines: readonly string[]): Promise<unknown>;
  acknowledge(runId: string, ids: readonly string[]): Promise<unknown>;
}

/** A heartbeat that takes longer is repeated rather than waited for. */
const HEARTBEAT_TIMEOUT_MS = 10_000;
/** Of a lease: so long a socket may owe the answer to a heartbeat. It is sent after a third, so there is half of it left to ask by request. */
const SOCKET_SHARE = 1 / 6;
/** An answer to lines is not waited for longer: they are no reason to hold anything up. */
const OUTPUT_TIMEOUT_MS = 5_000;

export class RunLine {
  readonly #client: WorkerClient;
  #socket: RunSocket | null = null;
  /** Why no socket will ever speak for these claims again. */
  #ending: Error | null = null;

  constructor(client: WorkerClient) {
    this.#client = client;
  }

  /** From now on by this socket; null: by requests. */
  use(socket: RunSocket | null): void {
    this.#socket = socket;
    this.#ending = null;
  }

  /** There is no socket and there will be none: for a claim without a token nobody can speak any more. */
  giveUp(error: Error): void {
    this.#socket = null;
    this.#ending = error;
  }

  /** Whether it makes sense to say something now that is said once. */
  canSay({ token }: KeptClaim): boolean {
    return token !== null || this.#socket === null || this.#socket.state === 'live';
  }

  /** One frame each costs less than a request for many. */
  get isSocket(): boolean {
    return this.#socket !== null;
  }

  /** Idempotent: the same end answers the same again. */
  end(claim: KeptClaim, end: RunEnd): Promise<EndAnswer> {
    return this.#say(
      claim,
      (socket) => socket.end(claim.runId, end),
      (token) => this.#requestEnd(claim.runId, end, token),
    );
  }

  /** A socket that is only half there takes a heartbeat and never answers: it is not waited for as long as a lease would need. */
  heartbeat(claim: KeptClaim, body: HeartbeatBody): Promise<HeartbeatAnswer> {
    const leaseMs = (body.lease_seconds ?? Number.POSITIVE_INFINITY) * 1000;
    const patienceMs = Math.min(HEARTBEAT_TIMEOUT_MS, leaseMs * SOCKET_SHARE);
    return this.#say(
      claim,
      (socket) => this.#inTime(socket.heartbeat(claim.runId, body), patienceMs),
      (token) => {
        const options = { token, retry: { attemptsMax: 1 }, timeoutMs: HEARTBEAT_TIMEOUT_MS };
        return this.#client.runs.heartbeat(claim.runId, body, options);
      },
    );
  }

  /** Not idempotent: lines that are sent again may stand there twice. So what the socket may have taken is not said by request. */
  async output(claim: KeptClaim, lines: readonly string[]): Promise<void> {
    const { runId, token } = claim;
    if (this.#socket !== null) {
      try {
        await this.#inTime(this.#socket.output(runId, lines), OUTPUT_TIMEOUT_MS);
        return;
      } catch (error) {
        const isSaid = !(error instanceof UnreachableError) || error.mayHaveTakenEffect;
        if (token === null || isSaid) throw error;
      }
    }
    if (token === null) throw this.#noSocket();
    const options = { token, retry: { attemptsMax: 1 }, timeoutMs: OUTPUT_TIMEOUT_MS };
    await this.#client.runs.output(runId, lines, options);
  }

  /** Heartbeats repeat what nobody has acknowledged. */
  async acknowledge(claim: KeptClaim, ids: readonly string[]): Promise<void> {
    await this.#say<unknown>(
      claim,
      (socket) => socket.acknowledge(claim.runId, ids),
      (token) => this.#client.runs.acknowledge(claim.runId, ids, { token, retry: { attemptsMax: 1 } }),
    );
  }

  async #say<T>(
    { token }: KeptClaim,
    bySocket: (socket: RunSocket) => Promise<T>,
    byRequest: (token: string) => Promise<T>,
  ): Promise<T> {
    if (this.#socket !== null) {
      try {
        return await bySocket(this.#socket);
      } catch (error) {
        if (token === null || !(error instanceof UnreachableError)) throw error;
      }
    }
    if (token === null) throw this.#noSocket();
    return byRequest(token);
  }

  /** The promise, or UnreachableError after `ms`: what was said may be heard all the same. */
  #inTime<T>(asked: Promise<T>, ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const stopTimer = callAfter(ms, () =>
        reject(this.#unreachable('the socket does not answer in time', true)),
      );
      asked.finally(stopTimer).then(resolve, reject);
    });
  }

  #noSocket(): Error {
    return this.#ending ?? this.#unreachable('the socket that speaks for the claim is away', false);
  }

  #unreachable(detail: string, mayHaveTakenEffect: boolean): UnreachableError {
    return new UnreachableError(detail, { url: this.#client.url, cause: undefined, mayHaveTakenEffect });
  }

  async #requestEnd(runId: string, end: RunEnd, token: string): Promise<EndAnswer> {
    const { run, task } = await this.#send(runId, end, { token, retry: { attemptsMax: 1 } });
    return { outcome: run.outcome, taskStatus: task.status };
  }

  #send(
    runId: string,
    end: RunEnd,
    options: { readonly token: string; readonly retry: { readonly attemptsMax: number } },
  ): Promise<ReplyOf<'completeRun'>> {
    const { runs } = this.#client;
    switch (end.verb) {
      case 'complete':
        return runs.complete(runId, end.body, options);
      case 'request-changes':
        return runs.requestChanges(runId, end.body, options);
      case 'block':
        return runs.block(runId, end.body, options);
      case 'fail':
        return runs.fail(runId, end.body, options);
      case 'release':
        return runs.release(runId, end.body, options);
    }
  }
}
