/** graphile-worker as its documentation sets it up, without a log line for every job. */
import { Logger, makeWorkerUtils, type Runner, run, type WorkerUtils } from 'graphile-worker';
import pg from 'pg';
import type { CycleInput, CycleResult, Driver, DriverTarget, LatencyInput, Manner } from '../driver.ts';
import { serveDriver } from '../driver.ts';
import { LatencyProbe } from '../latency-probe.ts';
import { measureWindow } from '../window.ts';

/**
 * The figure that the comparison names. Its pool gets a connection for each and one to listen: with the default of 10
 * graphile-worker itself warns that the pool is smaller than the concurrency.
 */
const CONCURRENCY = 24;
const CONNECTIONS_MAX = CONCURRENCY + 1;
const JOBS_PER_CALL = 1000;
const silent = new Logger(() => () => undefined);

type Part = 'fill' | 'runCycles' | 'sampleLatency' | 'close';

class GraphileWorkerDriver implements Pick<Driver, Part> {
  readonly #url: string;
  readonly #pool: pg.Pool;
  readonly #utils: WorkerUtils;

  private constructor(url: string, utils: WorkerUtils) {
    this.#url = url;
    this.#utils = utils;
    this.#pool = new pg.Pool({ connectionString: url, max: 1 });
  }

  static async open({ urls: [url = ''] }: DriverTarget): Promise<GraphileWorkerDriver> {
    // Otherwise a line is put together for every job even when nobody reads it.
    process.env['NO_LOG_SUCCESS'] = '1';
    const utils = await makeWorkerUtils({ connectionString: url, logger: silent });
    await utils.migrate();
    return new GraphileWorkerDriver(url, utils);
  }

  async fill({ pieces }: { pieces: number }): Promise<void> {
    for (let missing = pieces - (await this.#count()); missing > 0; missing -= JOBS_PER_CALL) {
      const jobs = Array.from({ length: Math.min(missing, JOBS_PER_CALL) }, (_, number) => ({
        identifier: 'noop',
        payload: { number },
      }));
      await this.#utils.addJobs(jobs);
    }
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    const backlog = await this.#count();
    let ended = 0;
    const runner = await this.#run(input.concurrency, input.manner, () => undefined);
    runner.events.on('job:complete', () => {
      ended += 1;
    });
    const result = await measureWindow(input, backlog, () => ended);
    await runner.stop();
    const done = backlog - (await this.#count());
    // Neither its workers nor its stop wait for completions: such a job stays locked, and would run again hours later. One that is under
    // way and one behind it, of each worker.
    if (Math.abs(done - ended) > 2 * input.concurrency)
      throw new Error(`counted ${ended} cycles, the table says ${done}`);
    return result;
  }

  async sampleLatency(input: LatencyInput): Promise<number[]> {
    await this.#pool.query('SELECT graphile_worker.complete_jobs(array_agg(id)) FROM graphile_worker.jobs');
    const probe = new LatencyProbe();
    const runner = await this.#run(CONCURRENCY, { kind: 'single' }, () => probe.arrived());
    try {
      return await probe.sample(
        input,
        () => runner.addJob('noop', { number: 1 }),
        () => Promise.resolve(),
      );
    } finally {
      await runner.stop();
    }
  }

  async close(): Promise<void> {
    await this.#utils.release();
    await this.#pool.end();
  }

  #run(concurrency: number, manner: Manner, task: () => void): Promise<Runner> {
    return run({
      connectionString: this.#url,
      concurrency,
      maxPoolSize: CONNECTIONS_MAX,
      logger: silent,
      noHandleSignals: true,
      taskList: { noop: task },
      // Both halves of what its documentation calls batching: jobs are fetched ahead, completions gathered without a wait.
      ...(manner.kind === 'push' && {
        preset: { worker: { localQueue: { size: manner.ahead }, completeJobBatchDelay: 0 } },
      }),
    });
  }

  async #count(): Promise<number> {
    const { rows } = await this.#pool.query('SELECT count(*)::int AS jobs FROM graphile_worker.jobs');
    return rows[0].jobs;
  }
}

serveDriver((target) => GraphileWorkerDriver.open(target));
