/** Many sockets that watch one board, and the time until all of them have an event. */
import type { FanOutInput, FloodInput } from '../driver.ts';
import { pauseMs } from '../window.ts';
import type { ServerAccess } from './server-access.ts';
import { WebSocketConnection } from './web-socket.ts';

/** A server lets one key have a thousand: half of that leaves room for those that are not known to be gone yet. */
const SOCKETS_PER_KEY = 500;
/** Handshakes at a time: enough to keep the server busy, within the backlog of its listening socket. */
const OPENING_MAX = 50;
/** Far above any time to be measured: an event that has not arrived by then is lost. */
const ARRIVAL_MS_MAX = 10_000;

interface Arrivals {
  left: number;
  readonly delaysMs: number[];
  readonly startedAt: number;
  readonly onAll: () => void;
}

export class Watchers {
  readonly #access: ServerAccess;
  readonly #board: string;
  readonly #sockets: WebSocketConnection[] = [];
  #watching = 0;
  #arrivals: Arrivals | undefined;
  #failure: Error | undefined;

  private constructor(access: ServerAccess, board: string) {
    this.#access = access;
    this.#board = board;
  }

  static async open(access: ServerAccess, board: string, count: number): Promise<Watchers> {
    const watchers = new Watchers(access, board);
    await access.callAsAdmin({ method: 'PUT', path: `/v1/boards/${board}`, body: {} });
    for (let opened = 0; opened < count; opened += SOCKETS_PER_KEY)
      await watchers.#openWith(await watchers.#makeKey(), Math.min(SOCKETS_PER_KEY, count - opened));
    return watchers;
  }

  /** One event at a time, and the next one when all have it. */
  async sampleFanOut({ events, intervalMs }: Omit<FanOutInput, 'board'>): Promise<number[]> {
    const delaysMs: number[] = [];
    for (let sample = 0; sample < events; sample += 1) {
      delaysMs.push(...(await this.#sample(1)));
      await pauseMs(intervalMs);
    }
    return delaysMs;
  }

  /** Many events at a time, as fast as all have them: how many arrive in a second, at all sockets together. */
  async floodFanOut({ batches, tasks }: Omit<FloodInput, 'board'>): Promise<number> {
    const startedAt = performance.now();
    for (let batch = 0; batch < batches; batch += 1) await this.#sample(tasks);
    return (batches * tasks * this.#sockets.length * 1000) / (performance.now() - startedAt);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async #makeKey(): Promise<string> {
    const body = { role: 'observer', name: 'bench', boards: [this.#board] };
    const { secret } = await this.#access.callAsAdmin<{ secret: string }>({
      method: 'POST',
      path: '/v1/keys',
      body,
    });
    return secret;
  }

  async #openWith(token: string, count: number): Promise<void> {
    for (let opened = 0; opened < count; opened += OPENING_MAX)
      await Promise.all(
        Array.from({ length: Math.min(OPENING_MAX, count - opened) }, () => this.#openOne(token)),
      );
    const wanted = this.#sockets.length;
    const deadline = performance.now() + ARRIVAL_MS_MAX;
    while (this.#watching < wanted) {
      if (performance.now() > deadline) throw new Error(`${this.#watching} of ${wanted} sockets watch`);
      await pauseMs(5);
    }
  }

  async #openOne(token: string): Promise<void> {
    const url = this.#access.urls[0] ?? '';
    const path = `/v1/boards/${this.#board}/watch`;
    const socket = await WebSocketConnection.open({ url, path, token, subprotocol: 'lanekeeper.v1' });
    socket.listen(
      (text) => this.#receive(text),
      (error) => {
        this.#failure ??= error;
      },
    );
    this.#sockets.push(socket);
    socket.send('{"type":"watch","id":"w"}');
  }

  /** By its beginning: to parse a thousand frames would be measured with what is measured. */
  #receive(text: string): void {
    if (text.startsWith('{"type":"watching"')) this.#watching += 1;
    else if (text.startsWith('{"type":"events"')) this.#arrive(countEvents(text));
    else if (!text.startsWith('{"type":"bookmark"')) this.#failure ??= new Error(`the server sent ${text}`);
  }

  #arrive(events: number): void {
    const arrivals = this.#arrivals;
    if (arrivals === undefined) {
      this.#failure ??= new Error('an event that nobody made');
      return;
    }
    arrivals.delaysMs.push(performance.now() - arrivals.startedAt);
    arrivals.left -= events;
    if (arrivals.left === 0) arrivals.onAll();
  }

  /** Creates so many tasks and waits until each socket has an event of each; how long after their creation the frames came, in ms. */
  async #sample(tasks: number): Promise<readonly number[]> {
    let timer: NodeJS.Timeout | undefined;
    let arrivals: Arrivals | undefined;
    const all = new Promise<void>((resolve, reject) => {
      arrivals = {
        left: this.#sockets.length * tasks,
        delaysMs: [],
        startedAt: performance.now(),
        onAll: resolve,
      };
      this.#arrivals = arrivals;
      timer = setTimeout(() => reject(this.#failure ?? new Error('an event was lost')), ARRIVAL_MS_MAX);
    });
    try {
      const path = `/v1/boards/${this.#board}/tasks`;
      const task = { title: 'a task' };
      const creation =
        tasks === 1
          ? { path, body: task }
          : { path: `${path}/batch`, body: { tasks: Array.from({ length: tasks }, () => task) } };
      await Promise.all([all, this.#access.callAsAdmin({ method: 'POST', ...creation })]);
    } finally {
      clearTimeout(timer);
      this.#arrivals = undefined;
    }
    if (this.#failure !== undefined) throw this.#failure;
    return arrivals?.delaysMs ?? [];
  }
}

/** By a field that each has once; titles here hold no quotes. */
function countEvents(frame: string): number {
  let events = 0;
  for (let at = frame.indexOf('"seq":'); at >= 0; at = frame.indexOf('"seq":', at + 1)) events += 1;
  return events;
}
