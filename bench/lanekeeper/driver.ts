/** Our contender: lanes that work over HTTP or are handed work over sockets, on boards that stay from round to round. */
import type {
  BeatResult,
  ChurnInput,
  CostInput,
  CostResult,
  CycleInput,
  CycleResult,
  Driver,
  FanOutInput,
  FleetInput,
  FloodInput,
  LatencyInput,
  Layout,
  Manner,
  SlowWatchInput,
  SlowWatchResult,
  WatchersInput,
} from '../driver.ts';
import { serveDriver } from '../driver.ts';
import { sampleAbortLatency } from './aborted.ts';
import { BenchBoard } from './bench-board.ts';
import { churn } from './churn.ts';
import { layOut, sampleCosts } from './costs.ts';
import { runPulledCycles } from './cycles.ts';
import { Fleet } from './fleet.ts';
import { samplePolledLatency } from './polled-latency.ts';
import { runPushedCycles, samplePushLatency } from './pushed.ts';
import { ServerAccess } from './server-access.ts';
import { sampleCancelLatency } from './signalled.ts';
import { SlowWatcher } from './slow-watcher.ts';
import { Watchers } from './watchers.ts';

class LanekeeperDriver implements Driver {
  readonly #access: ServerAccess;
  readonly #boards = new Map<string, Promise<BenchBoard>>();
  readonly #watchers = new Map<string, Watchers>();
  #fleet: Fleet | undefined;

  constructor(access: ServerAccess) {
    this.#access = access;
  }

  async fill({ manner, pieces }: { manner: Manner; pieces: number }): Promise<void> {
    const board = await this.#boardFor(manner);
    await board.fill(pieces);
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    const board = await this.#boardFor(input.manner);
    const { manner } = input;
    return manner.kind === 'push'
      ? runPushedCycles(this.#access, board, { ...input, manner })
      : runPulledCycles(this.#access, board, input);
  }

  async sampleLatency(input: LatencyInput): Promise<number[]> {
    switch (input.way) {
      case 'push':
        return samplePushLatency(this.#access, await this.#board('latency-push', PUSH), input);
      case 'poll':
        return samplePolledLatency(this.#access, await this.#board('latency'), input);
      case 'cancel':
        return sampleCancelLatency(this.#access, await this.#board('latency-cancel'), input);
      case 'abort':
        return sampleAbortLatency(this.#access, await this.#board('latency-abort', PUSH), input);
    }
  }

  layOut(input: Layout): Promise<void> {
    return layOut(this.#access, input);
  }

  sampleCosts(input: CostInput): Promise<CostResult> {
    return sampleCosts(this.#access, input);
  }

  async holdFleet(input: FleetInput): Promise<void> {
    const board = await this.#board('fleet', { lease_seconds: input.leaseSeconds });
    await board.fill(input.workers * input.claimsPerWorker);
    this.#fleet = await Fleet.claim(this.#access, board, input);
    await this.#fleet.beatEveryOther();
    this.#fleet.start();
  }

  countBeats({ windowMs }: { windowMs: number }): Promise<BeatResult> {
    if (this.#fleet === undefined) throw new Error('a fleet is held before its heartbeats are counted');
    return this.#fleet.count(windowMs);
  }

  async releaseFleet(): Promise<void> {
    await this.#fleet?.release();
    this.#fleet = undefined;
  }

  async warmUp({ requests }: { requests: number }): Promise<void> {
    for (let sent = 0; sent < requests; sent += 1)
      await this.#access.callAsAdmin({ method: 'GET', path: '/v1/boards/default' });
  }

  async openWatchers({ board, sockets }: WatchersInput): Promise<void> {
    this.#watchers.set(board, await Watchers.open(this.#access, board, sockets));
  }

  sampleFanOut({ board, ...input }: FanOutInput): Promise<number[]> {
    return this.#watchersOf(board).sampleFanOut(input);
  }

  floodFanOut({ board, ...input }: FloodInput): Promise<number> {
    return this.#watchersOf(board).floodFanOut(input);
  }

  #watchersOf(board: string): Watchers {
    const watchers = this.#watchers.get(board);
    if (watchers === undefined) throw new Error(`nobody watches ${board}`);
    return watchers;
  }

  watchSlowly(input: SlowWatchInput): Promise<SlowWatchResult> {
    return SlowWatcher.run(this.#access, input);
  }

  async churn(input: ChurnInput): Promise<number[]> {
    return churn(this.#access, await this.#board('churn'), input);
  }

  async close(): Promise<void> {
    for (const watchers of this.#watchers.values()) watchers.close();
    this.#access.close();
  }

  #boardFor(manner: Manner): Promise<BenchBoard> {
    return manner.kind === 'push' ? this.#board('pushed', PUSH) : this.#board('bench');
  }

  #board(name: string, lane: Readonly<Record<string, unknown>> = {}): Promise<BenchBoard> {
    const known = this.#boards.get(name);
    if (known !== undefined) return known;
    const opening = BenchBoard.open(this.#access, name, lane);
    this.#boards.set(name, opening);
    return opening;
  }
}

const PUSH = { claim_mode: 'push' } as const;

serveDriver(async (target) => new LanekeeperDriver(await ServerAccess.open(target)));
