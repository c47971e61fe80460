/**
 * A contender's side of the benchmark: runs in a process of its own and does what the benchmark tells it over IPC. Node's own
 * modules only and erasable types only: the peers' processes run this file with another Node and without a build.
 */

/** Where a driver finds what it drives. */
export interface DriverTarget {
  /** Of the servers for ours, of the database for libraries. Load is spread over all of them. */
  readonly urls: readonly string[];
  readonly adminKey: string;
}

/** How work is taken and ended. */
export type Manner =
  /** One piece at a time, each asked for and ended by itself. */
  | { readonly kind: 'single' }
  /** So many pieces in one call, ended in one call. */
  | { readonly kind: 'batch'; readonly size: number }
  /** Work comes to the worker, at most `ahead` pieces before it has ended them. */
  | {
      readonly kind: 'push';
      readonly ahead: number;
      readonly hasTokens: boolean;
      /** Ours only: straight on the socket (the default), or the worker of our client library. */
      readonly client?: 'raw' | 'sdk';
    };

export interface CycleInput {
  /** Connections, loops or workers, by the manner and the party. */
  readonly concurrency: number;
  readonly manner: Manner;
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
  /** Work that is waited for or pushed; or the cancel of work that is held, to its socket or to the handler behind it. */
  readonly way: 'poll' | 'push' | 'cancel' | 'abort';
  readonly samples: number;
  readonly intervalMsMin: number;
  readonly intervalMsMax: number;
}

/** Boards `<name>` or, when there are several, `<name>-0`, `<name>-1`, …, each with lanes `lane-0`, `lane-1`, …. */
export interface Layout {
  readonly name: string;
  readonly boards: number;
  readonly lanesPerBoard: number;
}

export interface CostInput {
  readonly layout: Layout;
  readonly samples: number;
}

/** Milliseconds of single requests, one at a time. */
export interface CostResult {
  readonly createMs: readonly number[];
  readonly claimMs: readonly number[];
  readonly completeMs: readonly number[];
}

export interface FleetInput {
  readonly workers: number;
  readonly claimsPerWorker: number;
  readonly leaseSeconds: number;
  readonly intervalMs: number;
  /** A worker's heartbeats in one request, or each in its own. */
  readonly way: 'batch' | 'single';
}

export interface BeatResult {
  readonly beats: number;
  /** From the moment when each heartbeat was due until its answer, in milliseconds. */
  readonly delaysMs: readonly number[];
}

export interface WatchersInput {
  /** Made when it is not there yet. */
  readonly board: string;
  readonly sockets: number;
}

export interface FanOutInput {
  /** One that has watchers. */
  readonly board: string;
  readonly events: number;
  readonly intervalMs: number;
}

export interface FloodInput {
  /** One that has watchers. */
  readonly board: string;
  /** One after the other: the next when everybody has all events of the last. */
  readonly batches: number;
  /** Of one batch, each an event. */
  readonly tasks: number;
}

export interface SlowWatchInput {
  readonly board: string;
  readonly pauseMs: number;
  readonly throttleMs: number;
  readonly bytesPerSecond: number;
  readonly connections: number;
  readonly tasksPerSecond: number;
}

export interface SlowWatchResult {
  readonly events: number;
  readonly seen_percent: number;
  readonly repeated: number;
}

export interface ChurnInput {
  readonly connections: number;
  readonly leadInMs: number;
  readonly sliceMs: number;
  readonly slices: number;
  /** Of the board. */
  readonly settings?: BoardSettings;
}

export interface BoardSettings {
  readonly stranded_after_seconds: number;
  /** Default: everything stays. */
  readonly retention?: Readonly<Record<string, number>>;
}

/** One contender, ready to work. A scenario calls what it needs; a driver throws where it lost or doubled work. */
export interface Driver {
  /** Tops the backlog for this manner up to so many pieces of work. */
  fill(input: { readonly manner: Manner; readonly pieces: number }): Promise<void>;
  /** Takes and ends work. */
  runCycles(input: CycleInput): Promise<CycleResult>;
  /** Milliseconds from just before the call that adds a piece of work, or cancels it, until a worker has it in its hands, or knows. */
  sampleLatency(input: LatencyInput): Promise<number[]>;
  /** Makes boards and lanes that are not there yet. */
  layOut(input: Layout): Promise<void>;
  /** Creates, claims and completes one task at a time and times each. */
  sampleCosts(input: CostInput): Promise<CostResult>;
  /** Takes claims and keeps them alive until `releaseFleet`. */
  holdFleet(input: FleetInput): Promise<void>;
  countBeats(input: { readonly windowMs: number }): Promise<BeatResult>;
  releaseFleet(input: null): Promise<void>;
  /** Sends requests that leave nothing behind, so that a server has been in use. */
  warmUp(input: { readonly requests: number }): Promise<void>;
  /** Opens sockets that watch the board from now on, until the driver closes. */
  openWatchers(input: WatchersInput): Promise<void>;
  /** Milliseconds from just before the call that makes an event until a watcher has it, for every event and watcher of the board. */
  sampleFanOut(input: FanOutInput): Promise<number[]>;
  /** Events a second that arrived, of all watchers together. */
  floodFanOut(input: FloodInput): Promise<number>;
  /** Treats one watcher badly while the log of its board grows. */
  watchSlowly(input: SlowWatchInput): Promise<SlowWatchResult>;
  /** Creates, claims and completes without a pause; cycles by slice of time. */
  churn(input: ChurnInput): Promise<number[]>;
  close(input: null): Promise<void>;
}

export type DriverMethod = keyof Driver;
export type InputOf<M extends DriverMethod> = Parameters<Driver[M]>[0];
export type ResultOf<M extends DriverMethod> = Awaited<ReturnType<Driver[M]>>;

/** What one party can do. */
export type PartyDriver = Partial<Driver> & Pick<Driver, 'close'>;

export interface DriverCall {
  readonly id: number;
  readonly method: DriverMethod | 'open';
  readonly input: unknown;
}

export type DriverAnswer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

/** Answers calls until the benchmark goes away; then this process ends, whatever it is doing. */
export function serveDriver(open: (target: DriverTarget) => Promise<PartyDriver>): void {
  let driver: PartyDriver | undefined;
  const run = async ({ method, input }: DriverCall): Promise<unknown> => {
    if (method === 'open') {
      driver = await open(input as DriverTarget);
      return null;
    }
    const work = driver?.[method] as ((input: unknown) => Promise<unknown>) | undefined;
    if (work === undefined) throw new Error(`this party has no ${method}`);
    return work.call(driver, input);
  };
  const answer = async (call: DriverCall): Promise<void> => {
    let reply: DriverAnswer;
    try {
      reply = { id: call.id, ok: true, value: (await run(call)) ?? null };
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      reply = { id: call.id, ok: false, message };
    }
    process.send?.(reply);
  };
  process.on('message', (call) => void answer(call as DriverCall));
  process.on('disconnect', () => process.exit(0));
}
