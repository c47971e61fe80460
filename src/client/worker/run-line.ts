/**
 * How the verbs of a run reach the server: by requests under the claim's token, or over the link that its claim was pushed to, which
 * alone speaks for a claim without a token. Each is sent once, so that whoever asks decides what a lost answer is worth.
 */
import { UnreachableError } from '../errors.ts';
import type { BodyOf, ReplyOf } from '../operation-types.ts';
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
  end(runId: string, end: RunEnd): Promise<EndAnswer>;
  heartbeat(runId: string, body: HeartbeatBody): Promise<HeartbeatAnswer>;
  output(runId: string, lines: readonly string[]): Promise<unknown>;
  acknowledge(runId: string, ids: readonly string[]): Promise<unknown>;
}

/** A heartbeat that takes longer is repeated rather than waited for. */
const HEARTBEAT_TIMEOUT_MS = 10_000;
/** An answer to lines is not waited for longer: they are no reason to hold anything up. */
const OUTPUT_TIMEOUT_MS = 5_000;

export class RunLine {
  readonly #client: WorkerClient;
  #socket: RunSocket | null = null;

  constructor(client: WorkerClient) {
    this.#client = client;
  }

  /** From now on by this socket; null: by requests. */
  use(socket: RunSocket | null): void {
    this.#socket = socket;
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

  heartbeat(claim: KeptClaim, body: HeartbeatBody): Promise<HeartbeatAnswer> {
    return this.#say(
      claim,
      (socket) => socket.heartbeat(claim.runId, body),
      (token) => {
        const options = { token, retry: { attemptsMax: 1 }, timeoutMs: HEARTBEAT_TIMEOUT_MS };
        return this.#client.runs.heartbeat(claim.runId, body, options);
      },
    );
  }

  /** Not idempotent: lines that are sent again may stand there twice. So what the socket may have taken is not asked for by request. */
  async output(claim: KeptClaim, lines: readonly string[]): Promise<void> {
    const { runId, token } = claim;
    if (this.#socket !== null) {
      await this.#socket.output(runId, lines);
      return;
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

  #noSocket(): UnreachableError {
    const context = { url: this.#client.url, cause: undefined, mayHaveTakenEffect: false };
    return new UnreachableError('the socket that speaks for the claim is away', context);
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
