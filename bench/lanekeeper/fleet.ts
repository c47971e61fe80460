/** Many workers that hold claims and keep them alive, each heartbeat at its own time of the interval, as a real fleet's are. */
import type { BeatResult, FleetInput } from '../driver.ts';
import { pauseMs } from '../window.ts';
import type { BenchBoard, HeldClaim } from './bench-board.ts';
import type { HttpConnection } from './http-connection.ts';
import type { ServerAccess } from './server-access.ts';

interface FleetWorker {
  readonly connection: HttpConnection;
  readonly claims: HeldClaim[];
  /** One request at a time: heartbeats of a worker that are late wait for one another. */
  busy: Promise<void>;
}

/** Heartbeats that come due between two looks leave together. */
const TICK_MS = 5;
/** How much faster than in steady state the first half of the claims has its first heartbeat. */
const FIRST_BEATS_SPEEDUP = 5;
/** Batches of these end the claims. */
const CLAIMS_PER_END = 500;

export class Fleet {
  readonly #board: BenchBoard;
  readonly #input: FleetInput;
  readonly #workers: readonly FleetWorker[];
  #delaysMs: number[] = [];
  #isStopping = false;
  #beating: Promise<void> = Promise.resolve();
  #failure: unknown;

  private constructor(board: BenchBoard, input: FleetInput, workers: readonly FleetWorker[]) {
    this.#board = board;
    this.#input = input;
    this.#workers = workers;
  }

  /** The board must have as many ready tasks. */
  static async claim(access: ServerAccess, board: BenchBoard, input: FleetInput): Promise<Fleet> {
    const connections = await access.openConnections(input.workers);
    const workers = await Promise.all(
      connections.map(async (connection, index): Promise<FleetWorker> => {
        const request = { worker: `worker-${index}`, max: input.claimsPerWorker };
        const claims = await board.claim(connection, request);
        if (claims.length !== input.claimsPerWorker)
          throw new Error(`asked for ${input.claimsPerWorker} claims, got ${claims.length}`);
        return { connection, claims: [...claims], busy: Promise.resolve() };
      }),
    );
    return new Fleet(board, input, workers);
  }

  /**
   * The log gets the first heartbeat of a run and then one in 30 s. If all runs began at once, whole intervals would log all
   * heartbeats or none; with every other run one heartbeat ahead, each interval logs half of them, which is their share in the long run.
   */
  async beatEveryOther(): Promise<void> {
    const pauseBetweenMs = this.#input.intervalMs / FIRST_BEATS_SPEEDUP / this.#workers.length;
    for (const worker of this.#workers) {
      const half = worker.claims.filter((_, place) => place % 2 === 0);
      await this.#board.operate(worker.connection, 'heartbeat', half);
      await pauseMs(pauseBetweenMs);
    }
  }

  start(): void {
    this.#beating = this.#beat().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async count(windowMs: number): Promise<BeatResult> {
    this.#delaysMs = [];
    await pauseMs(windowMs);
    const delaysMs = this.#delaysMs;
    this.#delaysMs = [];
    if (this.#failure !== undefined) throw this.#failure;
    return { beats: delaysMs.length * this.#claimsPerBeat(), delaysMs };
  }

  async release(): Promise<void> {
    this.#isStopping = true;
    await this.#beating;
    if (this.#failure !== undefined) throw this.#failure;
    for (const { connection, claims } of this.#workers) {
      for (let start = 0; start < claims.length; start += CLAIMS_PER_END)
        await this.#board.operate(connection, 'complete', claims.slice(start, start + CLAIMS_PER_END));
      connection.close();
    }
  }

  #claimsPerBeat(): number {
    return this.#input.way === 'batch' ? this.#input.claimsPerWorker : 1;
  }

  async #beat(): Promise<void> {
    const { workers, claimsPerWorker, intervalMs } = this.#input;
    const beatsPerInterval = (workers * claimsPerWorker) / this.#claimsPerBeat();
    const startedAt = performance.now();
    const failed: unknown[] = [];
    for (let next = 0; !this.#isStopping && failed.length === 0; ) {
      const dueAt = (beat: number): number => startedAt + (beat * intervalMs) / beatsPerInterval;
      for (; dueAt(next) <= performance.now(); next += 1)
        this.#send(next, dueAt(next)).catch((error: unknown) => failed.push(error));
      await pauseMs(TICK_MS);
    }
    await Promise.allSettled(this.#workers.map(({ busy }) => busy));
    if (failed.length > 0) throw failed[0];
  }

  /** Workers come in turns; those that send singly go through their claims. */
  #send(beat: number, dueAt: number): Promise<void> {
    const worker = this.#workers[beat % this.#workers.length];
    if (worker === undefined) return Promise.resolve();
    const place = Math.floor(beat / this.#workers.length) % this.#input.claimsPerWorker;
    worker.busy = worker.busy.then(async () => {
      await (this.#input.way === 'batch' ? this.#beatAll(worker) : this.#beatOne(worker, place));
      this.#delaysMs.push(performance.now() - dueAt);
    });
    return worker.busy;
  }

  async #beatAll({ connection, claims }: FleetWorker): Promise<void> {
    const tokens = await this.#board.operate(connection, 'heartbeat', claims);
    tokens.forEach((token, place) => {
      renew(claims, place, token);
    });
  }

  async #beatOne({ connection, claims }: FleetWorker, place: number): Promise<void> {
    const claim = claims[place];
    if (claim === undefined) return;
    const { token } = await connection.call<{ token?: string }>({
      method: 'POST',
      path: `/v1/runs/${claim.run_id}/heartbeat`,
      token: claim.token,
      body: {},
    });
    renew(claims, place, token);
  }
}

/** A heartbeat brings a fresh token when the old one is near its end. */
function renew(claims: HeldClaim[], place: number, token: string | undefined): void {
  const claim = claims[place];
  if (claim !== undefined && token !== undefined) claims[place] = { run_id: claim.run_id, token };
}
