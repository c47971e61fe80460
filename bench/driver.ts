/**
 * A contender's side of the benchmark: runs in a process of its own and does what the benchmark tells it over IPC. Node's own
 * modules only and erasable types only: the peers' processes run this file with another Node and without a build.
 */

/** Where a driver finds what it drives. */
export interface DriverTarget {
  /** Of the server for ours, of the database for libraries. */
  readonly url: string;
  readonly adminKey: string;
}

export interface CycleInput {
  readonly concurrency: number;
  readonly leadInMs: number;
  readonly windowMs: number;
}

export interface CycleResult {
  /** Cycles that ended inside the window. */
  readonly cycles: number;
  /** Shorter than asked when the backlog ran low. */
  readonly windowMs: number;
  readonly ranLow: boolean;
}

export interface LatencyInput {
  readonly samples: number;
  readonly intervalMsMin: number;
  readonly intervalMsMax: number;
}

/** One contender, ready to work. A scenario calls what it needs; a driver throws where it lost or doubled work. */
export interface Driver {
  /** Tops the backlog up to so many pieces of work. */
  fill(pieces: number): Promise<void>;
  /** Takes and ends work with so many loops, one piece at a time. */
  runCycles(input: CycleInput): Promise<CycleResult>;
  /** Milliseconds from just before the call that adds a piece of work until a worker has it in its hands. */
  sampleLatency(input: LatencyInput): Promise<number[]>;
  close(): Promise<void>;
}

export type DriverCall =
  | { readonly id: number; readonly method: 'open'; readonly input: DriverTarget }
  | { readonly id: number; readonly method: 'fill'; readonly input: number }
  | { readonly id: number; readonly method: 'runCycles'; readonly input: CycleInput }
  | { readonly id: number; readonly method: 'sampleLatency'; readonly input: LatencyInput }
  | { readonly id: number; readonly method: 'close'; readonly input: null };

export type DriverAnswer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

/** Answers calls until the benchmark goes away; then this process ends, whatever it is doing. */
export function serveDriver(open: (target: DriverTarget) => Promise<Driver>): void {
  let driver: Driver | undefined;
  const opened = (): Driver => {
    if (driver === undefined) throw new Error('a driver is opened before it is used');
    return driver;
  };
  const run = async (call: DriverCall): Promise<unknown> => {
    switch (call.method) {
      case 'open':
        driver = await open(call.input);
        return null;
      case 'fill':
        return opened().fill(call.input);
      case 'runCycles':
        return opened().runCycles(call.input);
      case 'sampleLatency':
        return opened().sampleLatency(call.input);
      case 'close':
        return opened().close();
    }
  };
  const answer = async (call: DriverCall): Promise<void> => {
    let reply: DriverAnswer;
    try {
      reply = { id: call.id, ok: true, value: (await run(call)) ?? null };
    } catch (error) {
      reply = {
        id: call.id,
        ok: false,
        message: error instanceof Error ? (error.stack ?? '') : String(error),
      };
    }
    process.send?.(reply);
  };
  process.on('message', (call) => void answer(call as DriverCall));
  process.on('disconnect', () => process.exit(0));
}

/** Fine enough to end a window sharply, coarse enough to cost nothing. */
const WINDOW_TICK_MS = 5;
/** Loops in flight must not starve inside the window: more than the largest concurrency. */
const LOW_BACKLOG_PIECES = 200;

/** Counts what ends between the lead-in and the end of the window, or until the backlog is nearly gone. */
export async function measureWindow(
  { leadInMs, windowMs }: CycleInput,
  backlog: number,
  ended: () => number,
): Promise<CycleResult> {
  const first = ended();
  const isLow = (): boolean => ended() - first > backlog - LOW_BACKLOG_PIECES;
  await pauseMs(leadInMs);
  const startedAt = performance.now();
  const before = ended();
  while (performance.now() - startedAt < windowMs && !isLow()) await pauseMs(WINDOW_TICK_MS);
  const cycles = ended() - before;
  const lastedMs = performance.now() - startedAt;
  if (lastedMs < windowMs / 2) throw new Error('the backlog ran low before half of the window had passed');
  return { cycles, windowMs: lastedMs, ranLow: lastedMs < windowMs };
}

export function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function randomIntervalMs({ intervalMsMin, intervalMsMax }: LatencyInput): number {
  return intervalMsMin + Math.random() * (intervalMsMax - intervalMsMin);
}

/** How long one piece of work may take to reach a worker before a latency run gives up. */
const ARRIVAL_DEADLINE_MS = 10_000;

/** Adds one piece of work at a time at random intervals; the worker calls `arrived` when it has it. */
export class LatencyProbe {
  #startedAt = 0;
  #arrived: ((latencyMs: number) => void) | undefined;

  /** To be called first thing when the work is in the worker's hands. */
  arrived(): void {
    this.#arrived?.(performance.now() - this.#startedAt);
  }

  async sample(
    input: LatencyInput,
    add: () => Promise<unknown>,
    settle: () => Promise<void>,
  ): Promise<number[]> {
    const latencies: number[] = [];
    while (latencies.length < input.samples) {
      await settle();
      await pauseMs(randomIntervalMs(input));
      latencies.push(await this.#sampleOnce(add));
    }
    return latencies;
  }

  async #sampleOnce(add: () => Promise<unknown>): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const arrival = new Promise<number>((resolve, reject) => {
      this.#arrived = resolve;
      timer = setTimeout(() => reject(new Error('no worker got the work in time')), ARRIVAL_DEADLINE_MS);
    });
    this.#startedAt = performance.now();
    try {
      const [latencyMs] = await Promise.all([arrival, add()]);
      return latencyMs;
    } finally {
      clearTimeout(timer);
    }
  }
}
