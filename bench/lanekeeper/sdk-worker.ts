/**
 * The worker of our own client library, as its users have it, with a handler that does nothing: it acknowledges, renews, ends and asks for more by
 * itself. Beside the raw PushWorker it shows what the library costs.
 */
import { connect } from '../../src/client/client.ts';
import type { Worker } from '../../src/client/worker/worker.ts';
import type { BenchBoard } from './bench-board.ts';
import type { PushWorkerOptions } from './push-worker.ts';

export class SdkWorker {
  readonly #worker: Worker;
  readonly failed: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  #begin: () => void = () => undefined;

  private constructor(board: BenchBoard, options: PushWorkerOptions) {
    const { url, worker, ahead, hasTokens, onClaim } = options;
    const client = connect({ url, token: board.laneKey, board: board.name });
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for it hears of it; until somebody does, it is not a crash of the process.
    this.failed.catch(() => undefined);
    const warn = (text: string): void => this.#fail(new Error(text));
    const logger = { info: () => undefined, warn };
    this.#worker = client.worker(
      { lane: board.lane, worker, concurrency: ahead, mode: 'push', tokens: hasTokens, logger },
      async () => {
        this.#begin();
        onClaim();
      },
    );
  }

  /** It opens its socket when it is started. */
  static async open(board: BenchBoard, options: PushWorkerOptions): Promise<SdkWorker> {
    return new SdkWorker(board, options);
  }

  get inFlight(): number {
    return this.#worker.runningCount;
  }

  /** What the server has confirmed: nothing else ends a run here. */
  get endedCount(): number {
    return this.#worker.startedCount - this.#worker.runningCount;
  }

  /** Resolves with its first task: until then it looks for its lane and opens its socket, which is not what is measured. */
  async start(): Promise<void> {
    const begun = new Promise<void>((resolve) => {
      this.#begin = resolve;
    });
    this.#worker.run().catch((error: Error) => this.#fail(error));
    await begun;
  }

  /** It leaves as on a SIGTERM: no more claims, those that are on their way given back, what runs ended. Resolves when nothing is held. */
  stop(): Promise<void> {
    return this.#worker.stop();
  }

  close(): void {
    void this.#worker.stop({ hard: true });
  }
}
