/** P13: from the end of a task until a gateway has what is to be said of it, idle, and while replies that nobody makes run into their deadline. */
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { HttpConnection } from '../lanekeeper/http-connection.ts';
import { startServerProcess } from '../lanekeeper/server-process.ts';
import { LatencyProbe } from '../latency-probe.ts';
import type { Contender, Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { pauseMs } from '../window.ts';

/** A round's p99 is then its fourth-slowest sample, as in P4. */
const SAMPLES = 300;
/** Unrecorded: compiles the path and opens every pool's connections. */
const WARM_UP_SAMPLES = 50;
/** Random, so that no timer of the server can fall into step. */
const INTERVALS = { intervalMsMin: 5, intervalMsMax: 25 } as const;
/** While replies run into their deadline: fewer, so that they last over it. */
const STUCK_INTERVALS = { intervalMsMin: 30, intervalMsMax: 70 } as const;
/** Given by the bar. */
const STUCK = 200;
const IDLE_P50_MS_MAX = 20;
const IDLE_P99_MS_MAX = 100;
const STUCK_P95_MS_MAX = 1000;
/** A reply has 45 s; from here on the samples last over that moment. */
const BEFORE_DEADLINE_MS = 40_000;
const WAIT_SECONDS = 30;
const PER_CLAIM_MAX = 10;

const idle: Contender = { name: 'idle', measure: (bench) => measure(bench, 'idle') };
const stuck: Contender = {
  name: `${STUCK} replies at their deadline`,
  measure: (bench) => measure(bench, 'stuck'),
};

export const returning: Scenario = {
  id: 'P13',
  title: 'return: a task ends → a gateway has the delivery',
  isExtra: true,
  metrics: [
    { key: 'p50_ms', unit: 'ms p50', digits: 2 },
    { key: 'p95_ms', unit: 'ms p95', digits: 2 },
    { key: 'p99_ms', unit: 'ms p99', digits: 2 },
    { key: 'max_ms', unit: 'ms max', digits: 2 },
  ],
  contenders: [idle, stuck],
  comparisons: [
    { metric: 'p50_ms', of: idle.name, against: null, bar: { kind: 'at_most', value: IDLE_P50_MS_MAX } },
    { metric: 'p99_ms', of: idle.name, against: null, bar: { kind: 'at_most', value: IDLE_P99_MS_MAX } },
    { metric: 'p95_ms', of: stuck.name, against: null, bar: { kind: 'at_most', value: STUCK_P95_MS_MAX } },
  ],
};

interface Delivery {
  readonly id: string;
  readonly lease_id: string;
  readonly events: readonly { readonly task_id?: string }[];
}

async function measure(bench: Bench, mode: 'idle' | 'stuck'): Promise<Measured> {
  const server = await startServerProcess({
    databaseUrl: await bench.databaseUrlFor(`return-${mode}`),
    adminKey: bench.adminKey,
    dataDir: join(bench.scratchDir, `server-return-${mode}`),
    nodeFlags: [],
  });
  const open = () => HttpConnection.open(server.url);
  const [asker, waiter, acker] = [await open(), await open(), await open()];
  const board = new Board(bench, asker, `return-${Date.now()}`);
  const gateway = new Gateway(board.path, bench.adminKey, waiter, acker);
  try {
    await board.make();
    const listening = gateway.run();
    await sample(board, gateway, WARM_UP_SAMPLES, INTERVALS);
    if (mode === 'stuck') {
      for (let index = 0; index < STUCK; index += 1)
        await board.finish(await board.task('telegram', `s${index}`));
      await pauseMs(BEFORE_DEADLINE_MS);
    }
    await bench.checkpoint();
    const latencies = await sample(board, gateway, SAMPLES, mode === 'idle' ? INTERVALS : STUCK_INTERVALS);
    gateway.close();
    await listening;
    return {
      figures: {
        p50_ms: percentile(latencies, 0.5),
        p95_ms: percentile(latencies, 0.95),
        p99_ms: percentile(latencies, 0.99),
        max_ms: Math.max(...latencies),
        samples: latencies.length,
      },
    };
  } finally {
    for (const connection of [asker, waiter, acker]) connection.close();
    await server.stop();
  }
}

async function sample(
  board: Board,
  gateway: Gateway,
  samples: number,
  intervals: { readonly intervalMsMin: number; readonly intervalMsMax: number },
): Promise<number[]> {
  let next = '';
  return gateway.probe.sample(
    { ...intervals, samples, way: 'poll' },
    () => {
      gateway.awaited = next;
      return board.finish(next);
    },
    async () => {
      next = await board.task('discord', `d${Math.random()}`);
    },
  );
}

class Board {
  readonly path: string;
  readonly #token: string;
  readonly #connection: HttpConnection;

  constructor(bench: Bench, connection: HttpConnection, name: string) {
    this.path = `/v1/boards/${name}`;
    this.#token = bench.adminKey;
    this.#connection = connection;
  }

  async make(): Promise<void> {
    const settings = { synthesizer_lane: 'writer' };
    await this.#call('PUT', '', { settings });
    await this.#call('PUT', '/lanes/writer', {});
  }

  /** One whose outcome returns to a chat of its own. */
  async task(platform: string, chat: string): Promise<string> {
    const origin = { platform, chat_id: chat, session_id: chat };
    const { task } = await this.#call<{ task: { id: string } }>('POST', '/tasks', {
      title: 'a task',
      origin,
    });
    return task.id;
  }

  async finish(task: string): Promise<void> {
    await this.#call('POST', `/tasks/${task}/complete`, { summary: 'done' });
  }

  #call<T>(method: 'POST' | 'PUT', rest: string, body: unknown): Promise<T> {
    return this.#connection.call<T>({ method, path: `${this.path}${rest}`, token: this.#token, body });
  }
}

/** Waits for deliveries, says that each is sent, and tells the probe when it has the one that is awaited. */
class Gateway {
  readonly probe = new LatencyProbe();
  awaited = '';
  readonly #path: string;
  readonly #token: string;
  readonly #waiter: HttpConnection;
  readonly #acker: HttpConnection;
  #isClosed = false;

  constructor(path: string, token: string, waiter: HttpConnection, acker: HttpConnection) {
    this.#path = path;
    this.#token = token;
    this.#waiter = waiter;
    this.#acker = acker;
  }

  async run(): Promise<void> {
    while (!this.#isClosed) {
      const answer = this.#waiter.call<{ deliveries: Delivery[] }>({
        method: 'POST',
        path: `${this.#path}/deliveries/claims`,
        token: this.#token,
        headers: `Prefer: wait=${WAIT_SECONDS}\r\n`,
        body: { max: PER_CLAIM_MAX },
      });
      const found = await answer.catch(() => null);
      if (found === null) return; // Closed: it is over.
      const isHere = found.deliveries.some(({ events }) => events[0]?.task_id === this.awaited);
      if (isHere) this.probe.arrived();
      for (const { id, lease_id } of found.deliveries)
        await this.#acker.call({
          method: 'POST',
          path: `/v1/deliveries/${id}/ack`,
          token: this.#token,
          body: { lease_id },
        });
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#waiter.close();
  }
}
