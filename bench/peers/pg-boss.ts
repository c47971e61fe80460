/** pg-boss with its defaults: fetch, complete. Its pool of 10 is left alone: with 64 connections it was slower. */
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import type { CycleInput, CycleResult, Driver, DriverTarget } from '../driver.ts';
import { serveDriver } from '../driver.ts';
import { measureLoops, measureWindow } from '../window.ts';

const QUEUE = 'bench';
const JOBS_PER_INSERT = 1000;

class PgBossDriver implements Pick<Driver, 'fill' | 'runCycles' | 'close'> {
  readonly #boss: PgBoss;
  readonly #pool: pg.Pool;

  private constructor(boss: PgBoss, pool: pg.Pool) {
    this.#boss = boss;
    this.#pool = pool;
  }

  static async open({ urls: [url = ''] }: DriverTarget): Promise<PgBossDriver> {
    const boss = new PgBoss({ connectionString: url });
    boss.on('error', (error) => process.stderr.write(`pg-boss: ${error.message}\n`));
    await boss.start();
    await boss.createQueue(QUEUE);
    return new PgBossDriver(boss, new pg.Pool({ connectionString: url, max: 1 }));
  }

  async fill({ pieces }: { pieces: number }): Promise<void> {
    const { created } = await this.#count();
    for (let missing = pieces - created; missing > 0; missing -= JOBS_PER_INSERT) {
      const jobs = Array.from({ length: Math.min(missing, JOBS_PER_INSERT) }, (_, number) => ({
        data: { number },
      }));
      await this.#boss.insert(QUEUE, jobs);
    }
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    const before = await this.#count();
    const batchSize = input.manner.kind === 'batch' ? input.manner.size : 1;
    const progress = { ended: 0, isStopping: false };
    const loop = async (): Promise<void> => {
      while (!progress.isStopping) {
        const jobs = await this.#boss.fetch(QUEUE, { batchSize });
        if (jobs.length === 0) return;
        const ids = jobs.map(({ id }) => id);
        await this.#boss.complete(QUEUE, ids);
        progress.ended += jobs.length;
      }
    };
    const loops = Array.from({ length: input.concurrency }, loop);
    const result = await measureLoops(
      loops,
      measureWindow(input, before.created, () => progress.ended),
    );
    progress.isStopping = true;
    await Promise.all(loops);
    const after = await this.#count();
    if (after.completed - before.completed !== progress.ended)
      throw new Error(
        `counted ${progress.ended} cycles, the table says ${after.completed - before.completed}`,
      );
    return result;
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false });
    await this.#pool.end();
  }

  async #count(): Promise<{ created: number; completed: number }> {
    const { rows } = await this.#pool.query(
      `SELECT count(*) FILTER (WHERE state = 'created')::int AS created,
              count(*) FILTER (WHERE state = 'completed')::int AS completed
         FROM pgboss.job WHERE name = $1`,
      [QUEUE],
    );
    return rows[0];
  }
}

serveDriver((target) => PgBossDriver.open(target));
