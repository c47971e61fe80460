/** One watcher that is treated badly while the log grows; it goes on from its last cursor each time, and what it saw is held against the log. */
import type { SlowWatchInput, SlowWatchResult } from '../driver.ts';
import { pauseMs } from '../window.ts';
import type { ServerAccess } from './server-access.ts';
import { WebSocketConnection } from './web-socket.ts';

/** A kilobyte at a time at the rate of the bar. */
const SLICE_MS = 100;
/** In one request; several requests a second then make the load. */
const TASKS_PER_BATCH = 100;
/** Half a kilobyte of title: an event of about a kilobyte. */
const TITLE = 'x'.repeat(480);
/** Everything is a few megabytes, and comes in seconds once it is let. */
const END_MS_MAX = 60_000;

interface Frame {
  readonly type: string;
  readonly cursor?: string;
  readonly events?: readonly { readonly seq: number }[];
}

export class SlowWatcher {
  readonly #access: ServerAccess;
  readonly #path: string;
  readonly #seqs: number[] = [];
  #after = 'start';
  #socket: WebSocketConnection | undefined;
  #written = 1;

  private constructor(access: ServerAccess, board: string) {
    this.#access = access;
    this.#path = `/v1/boards/${board}`;
  }

  static async run(access: ServerAccess, input: SlowWatchInput): Promise<SlowWatchResult> {
    const watcher = new SlowWatcher(access, input.board);
    await access.callAsAdmin({ method: 'PUT', path: watcher.#path, body: {} });
    const stopping = new AbortController();
    const writing = watcher.#write(input.tasksPerSecond, stopping.signal);
    try {
      await watcher.#suffer(input);
    } finally {
      stopping.abort();
      await writing;
    }
    await watcher.#catchUp();
    return watcher.#compare();
  }

  async #write(tasksPerSecond: number, signal: AbortSignal): Promise<void> {
    const tasks = Array.from({ length: TASKS_PER_BATCH }, () => ({ title: TITLE }));
    while (!signal.aborted) {
      await this.#access.callAsAdmin({ method: 'POST', path: `${this.#path}/tasks/batch`, body: { tasks } });
      this.#written += TASKS_PER_BATCH;
      await pauseMs((TASKS_PER_BATCH / tasksPerSecond) * 1000);
    }
  }

  async #suffer(input: SlowWatchInput): Promise<void> {
    await this.#connect();
    this.#socket?.pause();
    await pauseMs(input.pauseMs);
    const endAt = performance.now() + input.throttleMs;
    const bytesPerSlice = (input.bytesPerSecond * SLICE_MS) / 1000;
    while (performance.now() < endAt) {
      this.#socket?.read(bytesPerSlice);
      await pauseMs(SLICE_MS);
    }
    for (let connection = 1; connection < input.connections; connection += 1) {
      await this.#connect();
      await pauseMs(Math.random() * SLICE_MS);
    }
  }

  async #connect(): Promise<void> {
    this.#socket?.close();
    const token = this.#access.adminKey;
    const url = this.#access.urls[0] ?? '';
    const path = `${this.#path}/watch`;
    const socket = await WebSocketConnection.open({ url, path, token, subprotocol: 'lanekeeper.v1' });
    this.#socket = socket;
    socket.listen(
      (text) => {
        if (this.#socket === socket) this.#receive(JSON.parse(text) as Frame);
      },
      () => undefined,
    );
    socket.send(JSON.stringify({ type: 'watch', id: 'w', after: this.#after }));
  }

  #receive({ type, cursor, events = [] }: Frame): void {
    if (type === 'error') throw new Error('the watch was refused');
    for (const { seq } of events) this.#seqs.push(seq);
    if ((type === 'events' || type === 'bookmark') && cursor !== undefined) this.#after = cursor;
  }

  async #catchUp(): Promise<void> {
    await this.#connect();
    const deadline = performance.now() + END_MS_MAX;
    while ((this.#seqs.at(-1) ?? 0) < this.#written && performance.now() < deadline) await pauseMs(SLICE_MS);
    this.#socket?.close();
  }

  /** The log is dense, so it is all numbers up to the last one. */
  #compare(): SlowWatchResult {
    const distinct = new Set(this.#seqs);
    const repeated = this.#seqs.length - distinct.size;
    const isOrdered = this.#seqs.every((seq, index) => index === 0 || seq > (this.#seqs[index - 1] ?? 0));
    if (repeated === 0 && !isOrdered) throw new Error('events came out of order');
    return { events: this.#written, seen_percent: (distinct.size / this.#written) * 100, repeated };
  }
}
