/**
 * A worker that is handed its work over a socket: it grants credits, and acknowledges and completes what comes on that same socket.
 * It never has more than `ahead` tasks that it was handed and has not ended, and grants anew when a quarter of them is free.
 */
import type { BenchBoard, HeldClaim } from './bench-board.ts';
import { WebSocketConnection } from './web-socket.ts';

export interface PushWorkerOptions {
  readonly url: string;
  readonly worker: string;
  readonly ahead: number;
  /** False: the socket itself proves who ends a run. */
  readonly hasTokens: boolean;
  /** First thing when a task is in the worker's hands. */
  readonly onClaim: () => void;
  /** When the server has confirmed the completion. */
  readonly onEnded?: () => void;
}

interface ServerFrame {
  readonly type: string;
  readonly id?: string;
  readonly ok?: boolean;
  readonly claim?: HeldClaim;
}

/** How ids of completions begin, to tell their replies from others. */
const END_ID = 'e';
/** Credits are granted anew in portions, not one by one. */
const FREE_SHARE = 1 / 4;

export class PushWorker {
  readonly #socket: WebSocketConnection;
  readonly #options: PushWorkerOptions;
  readonly #lane: string;
  readonly failed: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  #frames = 0;
  #inFlight = 0;
  #ended = 0;
  /** What the server may still send, as far as is known here. */
  #granted = 0;
  #isStopping = false;

  private constructor(socket: WebSocketConnection, board: BenchBoard, options: PushWorkerOptions) {
    this.#socket = socket;
    this.#lane = board.lane;
    this.#options = options;
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for it hears of it; until somebody does, it is not a crash of the process.
    this.failed.catch(() => undefined);
    socket.listen(
      (text) => this.#receive(JSON.parse(text) as ServerFrame, text),
      (error) => this.#fail(error),
    );
  }

  static async open(board: BenchBoard, options: PushWorkerOptions): Promise<PushWorker> {
    const socket = await WebSocketConnection.open({
      url: options.url,
      path: `${board.path}/watch`,
      token: board.laneKey,
      subprotocol: 'lanekeeper.v1',
    });
    const worker = new PushWorker(socket, board, options);
    const { worker: name, hasTokens } = options;
    worker.#send({ type: 'hello', id: 'hello', lane: board.lane, worker: name, tokens: hasTokens });
    return worker;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** What the server has confirmed. */
  get endedCount(): number {
    return this.#ended;
  }

  start(): void {
    this.#grant();
  }

  /** No more credits. What is still on its way is ended as it comes. */
  stop(): void {
    this.#isStopping = true;
    this.#send({ type: 'credit', id: this.#nextId('c'), lane: this.#lane, credits: 0 });
  }

  close(): void {
    this.#socket.close();
  }

  #receive(frame: ServerFrame, text: string): void {
    if (frame.type === 'claim' && frame.claim !== undefined) this.#work(frame.claim);
    else if (frame.type === 'reply') this.#settle(frame, text);
    else if (frame.type === 'error') this.#fail(new Error(`the server answered ${text}`));
  }

  #work({ run_id, token }: HeldClaim): void {
    this.#options.onClaim();
    this.#inFlight += 1;
    this.#granted -= 1;
    this.#send({ type: 'claim_ack', run_id });
    const id = this.#nextId(END_ID);
    this.#send(
      this.#options.hasTokens ? { type: 'complete', id, run_id, token } : { type: 'complete', id, run_id },
    );
  }

  #settle({ id = '', ok }: ServerFrame, text: string): void {
    if (ok !== true) this.#fail(new Error(`the server answered ${text}`));
    if (!id.startsWith(END_ID)) return;
    this.#inFlight -= 1;
    this.#ended += 1;
    this.#options.onEnded?.();
    if (!this.#isStopping) this.#grant();
  }

  #grant(): void {
    const { ahead } = this.#options;
    const credits = ahead - this.#inFlight;
    if (credits <= 0 || credits - this.#granted < ahead * FREE_SHARE) return;
    this.#granted = credits;
    this.#send({ type: 'credit', id: this.#nextId('c'), lane: this.#lane, credits });
  }

  #send(frame: Readonly<Record<string, unknown>>): void {
    this.#socket.send(JSON.stringify(frame));
  }

  #nextId(prefix: string): string {
    this.#frames += 1;
    return `${prefix}${this.#frames}`;
  }
}
