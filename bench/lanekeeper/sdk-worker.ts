/** stub: link only */
import { connect } from '../../src/client/client.ts';
import { PushLink } from '../../src/client/worker/push-link.ts';
import type { BenchBoard } from './bench-board.ts';
import type { PushWorkerOptions } from './push-worker.ts';

export class SdkWorker {
  #held = 0;
  #ahead: number;
  #stopping = false;
  readonly #link: PushLink;
  readonly failed: Promise<never>;

  private constructor(board: BenchBoard, options: PushWorkerOptions) {
    const { transport } = connect({ url: options.url, token: board.laneKey });
    this.#ahead = options.ahead;
    let fail: (error: Error) => void = () => undefined;
    this.failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.failed.catch(() => undefined);
    const work = async (runId: string): Promise<void> => {
      await this.#link.end(runId, { verb: 'complete', body: {} });
      this.#held -= 1;
      options.onEnded();
      if (!this.#stopping) this.#link.setCredits(this.#ahead - this.#held);
    };
    this.#link = new PushLink(
      { transport, board: board.name, webSocket: undefined },
      {
        lane: board.lane,
        worker: options.worker,
        tokens: options.hasTokens,
        onClaim: (claim) => {
          options.onClaim();
          this.#held += 1;
          work(claim.run_id).catch(fail);
        },
      },
    );
    this.#link.run().catch(fail);
  }

  static async open(board: BenchBoard, options: PushWorkerOptions): Promise<SdkWorker> {
    const worker = new SdkWorker(board, options);
    while (worker.#link.state !== 'live') await new Promise((resolve) => setTimeout(resolve, 5));
    return worker;
  }

  get inFlight(): number {
    return this.#held;
  }

  start(): void {
    this.#link.setCredits(this.#ahead);
  }

  stop(): void {
    this.#stopping = true;
    void this.#link.stopClaims();
  }

  close(): void {
    this.#link.close();
  }
}
