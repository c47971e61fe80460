/**
 * A run from its first process to its last: sets the stage, lets load and faults loose on it, makes everything whole again, waits until
 * what was under way is over, and reads what is left. Judging is for others. Whatever it started is ended, however it ends.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openBoard } from './board.ts';
import { catchUp } from './catch-up.ts';
import { Cluster } from './cluster.ts';
import { waitUntil } from './deadline.ts';
import { FakeClock } from './fake-clock.ts';
import { FaultRunner } from './fault-runner.ts';
import { type FaultKind, planFaults } from './faults.ts';
import { readFinalState } from './final-state.ts';
import type { FinalState, PrunedState } from './history.ts';
import type { Means } from './means.ts';
import type { ChaosOptions } from './options.ts';
import { Party, type PartyOptions } from './party.ts';
import { PLANTS, prepareServer } from './plants/plant.ts';
import { bundlePrograms } from './programs.ts';
import { Random } from './random.ts';
import { Recorder } from './recorder.ts';
import { ReplicaPair } from './replica-pair.ts';
import type { FaultCount } from './report.ts';
import { Server } from './server.ts';
import { openShortMemory, ShortMemory } from './short-memory.ts';
import { countReturning, countTasks } from './under-way.ts';

export interface RunOutcome {
  readonly historyDirectory: string;
  readonly final: FinalState;
  /** Of the board that prunes. */
  readonly shortMemory: { readonly historyDirectory: string; readonly final: PrunedState };
  readonly hasTakeover: boolean;
  /** Those that the plan of this run had: a short one has not all. */
  readonly plannedKinds: readonly FaultKind[];
  readonly skipped: readonly FaultCount[];
  /** By name, as clients know them. */
  readonly serverUrls: ReadonlyMap<string, string>;
  readonly postgresVersion: string;
  /** What should not have happened and is no violation of what the system promises to its clients. */
  readonly troubles: readonly string[];
}

const ADMIN_KEY = 'chaos-admin-key-0123456789abcdef';
const ORCHESTRATORS = 2;
const GATEWAYS = 3;
/** A second: with their children about two tasks, a fifth of all. */
const DELEGATIONS_PER_SECOND = 0.8;
const WATCHERS = ['socket', 'socket', 'stream', 'poll'] as const;
/** Their retries must not keep a server from coming back. */
const WORKER_NICENESS = 5;
/** A score of processes on a machine that has other things to do. */
const JOIN_MS = 60_000;
/** The 5 s that the system has to settle, and two probes where each takes 5 s. */
const LAST_CALM_MS = 18_000;
/** Work that is left when the load ends: at most what waited (150 tasks) with a second each, for some thirty loops. */
const DRAIN_MS = 15_000;
/** Workers give themselves 4 s. */
const LEAVE_MS = 8000;
/** The longest lease (10 s), as much again when an outage was forgiven, and the reaper's and scheduler's rounds. */
const SETTLE_MS = 30_000;
/** The latest deadline of a delegation (20 s) is over by then, and a reply is made or its 45 s are; few wait for that. */
const RETURN_MS = 60_000;

export class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #means: Means;
  readonly #directory: string;
  readonly #say: (line: string) => void;
  readonly #troubles: string[] = [];
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly #servers: Server[] = [];
  readonly #parties: Party[] = [];
  readonly #over = new AbortController();

  constructor(options: ChaosOptions, means: Means, directory: string, say: (line: string) => void) {
    this.#options = options;
    this.#means = means;
    this.#directory = directory;
    this.#say = say;
  }

  async run(signal: AbortSignal): Promise<RunOutcome> {
    try {
      return await this.#run(signal);
    } finally {
      await this.#end();
    }
  }

  /** For the end of this process: all that is left, without ceremony. Postgres goes when we do. */
  kill(): void {
    for (const party of this.#parties) void party.close();
    for (const server of this.#servers) server.kill();
  }

  async #run(signal: AbortSignal): Promise<RunOutcome> {
    const { seed, seconds } = this.#options;
    const delegations = this.#options.delegations ?? Math.round(seconds * DELEGATIONS_PER_SECOND);
    const historyDirectory = join(this.#directory, 'history');
    mkdirSync(historyDirectory);
    const programs = await bundlePrograms(join(this.#directory, 'programs'));
    const { cluster, pair } = await this.#startPostgres();
    const { stage, shortPlan, url } = await this.#setStage(cluster);
    const config = {
      ...stage,
      seed,
      seconds,
      delegations: Math.ceil(delegations / ORCHESTRATORS),
      directory: historyDirectory,
      urls: this.#servers.map(({ url }) => url),
    };
    const watchers = WATCHERS.map((way, index) =>
      this.#startParty(`watcher-${index + 1}`, programs.watcher, {
        ...config,
        way: way === 'stream' && !stage.hasStreams ? 'poll' : way,
      }),
    );
    const shortMemory = new ShortMemory(shortPlan, config, programs, (...party) =>
      this.#startParty(...party),
    );
    const start = (name: string, count: number, program: string): Party[] =>
      Array.from({ length: count }, (_, index) => this.#startParty(`${name}-${index + 1}`, program, config));
    const workers = start('worker', this.#options.workers, programs.worker);
    const creators = [...start('orchestrator', ORCHESTRATORS, programs.orchestrator)];
    const probers = start('prober', 1, programs.prober);
    const gateways = start('gateway', GATEWAYS, programs.gateway);
    const synthesizers = start('synthesizer', 1, programs.synthesizer);
    if (!(await waitUntil(() => this.#parties.every(({ hasJoined }) => hasJoined), JOIN_MS)))
      throw new Error('the processes of the load did not start in time');
    await shortMemory.beginPruning(url, ADMIN_KEY);

    const plan = planFaults(new Random(seed).of('faults'), seconds, this.#means.faults);
    this.#say(`${plan.length} faults are planned over ${seconds} s`);
    const recorder = new Recorder(historyDirectory, 'faults');
    const { churners } = shortMemory;
    const targets = { cluster, pair, servers: this.#servers, workers, gateways, synthesizers, churners };
    const runner = new FaultRunner(targets, recorder, (detail) => this.#trouble(detail));
    void runner.watchMachine(AbortSignal.any([signal, this.#over.signal]));
    const load = delay(seconds * 1000, undefined, { signal });
    // Not before its end: a signal is the only way in which it fails.
    load.catch(() => undefined);
    await Promise.all([load, runner.run(plan, signal)]);

    this.#say('draining');
    const tellers = [...gateways, ...synthesizers];
    const finals = await this.#settle(
      cluster,
      { creators, probers, workers, watchers, tellers, shortMemory, board: stage.board },
      signal,
    );
    return {
      historyDirectory,
      ...finals,
      hasTakeover: stage.hasTakeover,
      plannedKinds: plan.map(({ kind }) => kind),
      skipped: [...runner.skipped].map(([fault, times]) => ({ fault, times })),
      postgresVersion: await cluster.version(),
      serverUrls: new Map(this.#servers.map(({ name, url }) => [name, url])),
      troubles: this.#troubles,
    };
  }

  async #startPostgres(): Promise<{ cluster: Cluster; pair: ReplicaPair | null }> {
    const directory = join(this.#directory, 'database');
    const { standby } = this.#means;
    const pair = standby === null ? null : await ReplicaPair.start(directory, standby);
    const cluster = pair?.cluster ?? (await Cluster.start(directory));
    this.#ends.push(() => (pair ?? cluster).stop());
    return { cluster, pair };
  }

  /** null: there is nothing to put it wrong with. */
  #makeClock(name: string): FakeClock | null {
    const { fakeTimeLibrary } = this.#means;
    return fakeTimeLibrary === null
      ? null
      : new FakeClock(fakeTimeLibrary, join(this.#directory, `clock-of-${name}`));
  }

  async #setStage(cluster: Cluster) {
    const plant = this.#options.plant === null ? null : PLANTS[this.#options.plant];
    const build = prepareServer(plant);
    this.#ends.push(() => Promise.resolve(build.remove()));
    const startServer = async (): Promise<Server> => {
      const number = this.#servers.length + 1;
      const server = await Server.start({
        number,
        program: build.program,
        databaseUrl: cluster.url,
        adminKey: ADMIN_KEY,
        dataDir: join(this.#directory, `server-${number}`),
        clock: this.#makeClock(`server-${number}`),
        onUnexpectedEnd: (detail) => this.#trouble(detail),
      });
      this.#servers.push(server);
      this.#ends.push(() => server.close());
      return server;
    };
    const first = await startServer();
    const stage = await openBoard(first.url, ADMIN_KEY);
    const shortPlan = await openShortMemory(first.url, ADMIN_KEY);
    if (plant?.sql != null) {
      await first.end('SIGTERM');
      await cluster.sql.unsafe(plant.sql);
      await first.revive();
    }
    while (this.#servers.length < this.#options.servers) await startServer();
    return { stage, shortPlan, url: first.url };
  }

  #startParty(name: string, program: string, config: PartyOptions['config']): Party {
    const isWorker = name.startsWith('worker');
    const clock = isWorker ? this.#makeClock(name) : null;
    const party = new Party({
      name,
      program,
      config,
      ...(isWorker ? { niceness: WORKER_NICENESS } : {}),
      ...(clock === null ? {} : { clock }),
      onTrouble: (detail) => this.#trouble(detail),
    });
    this.#parties.push(party);
    return party;
  }

  async #settle(
    cluster: Cluster,
    parties: Readonly<
      Record<'creators' | 'probers' | 'workers' | 'watchers' | 'tellers', readonly Party[]>
    > & {
      readonly shortMemory: ShortMemory;
      readonly board: string;
    },
    signal: AbortSignal,
  ): Promise<Pick<RunOutcome, 'final' | 'shortMemory'>> {
    const { creators, probers, workers, watchers, tellers, shortMemory, board } = parties;
    const hasNone = async (...statuses: string[]): Promise<boolean> => {
      signal.throwIfAborted();
      return (await countTasks(cluster.sql, board, statuses)) === 0;
    };
    for (const party of creators) party.order({ order: 'leave' });
    for (const party of tellers) party.order({ order: 'quiet' });
    // Long enough to ask some more times, now that all is well, whether who waits is woken.
    await delay(LAST_CALM_MS, undefined, { signal });
    const shortFinal = await shortMemory.settle(cluster.sql, (detail) => this.#trouble(detail));
    for (const party of probers) party.order({ order: 'leave' });
    await waitUntil(() => hasNone('ready', 'running', 'scheduled'), DRAIN_MS);
    for (const party of workers) party.order({ order: 'leave' });
    await this.#left([...creators, ...probers, ...workers, ...shortMemory.parties]);
    await waitUntil(() => hasNone('running', 'scheduled'), SETTLE_MS);
    await waitUntil(async () => {
      signal.throwIfAborted();
      return (await countReturning(cluster.sql, board)) === 0;
    }, RETURN_MS);
    for (const party of tellers) party.order({ order: 'leave' });
    await this.#left(tellers);
    signal.throwIfAborted();
    const final = await readFinalState(cluster.sql, board);
    await catchUp(watchers, final.seq, (detail) => this.#trouble(detail));
    for (const party of watchers) party.order({ order: 'leave' });
    for (const party of watchers) await party.ended(LEAVE_MS);
    const { historyDirectory } = shortMemory;
    return { final, shortMemory: { historyDirectory, final: shortFinal } };
  }

  async #left(parties: readonly Party[]): Promise<void> {
    for (const party of parties) {
      const isByItself = await party.ended(LEAVE_MS);
      if (!isByItself) this.#trouble(`${party.process} did not leave by itself`);
    }
  }

  #trouble(detail: string): void {
    this.#troubles.push(detail);
    this.#say(`trouble: ${detail}`);
  }

  async #end(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#parties.map((party) => party.close()));
    for (const end of this.#ends.reverse()) {
      await end().catch((error: unknown) => this.#say(`while ending: ${String(error)}`));
    }
  }
}
