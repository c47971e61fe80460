/** BullMQ with its defaults, on a Redis of its own: one worker, a processor that does nothing, finished jobs kept as they are. */
import { Queue, Worker } from 'bullmq';
import type { CycleInput, CycleResult, Driver, DriverTarget } from '../driver.ts';
import { serveDriver } from '../driver.ts';
import { measureWindow } from '../window.ts';

const QUEUE = 'bench';
const JOBS_PER_CALL = 1000;

interface Connection {
  readonly host: string;
  readonly port: number;
  /** BullMQ refuses workers on a client that gives up. */
  readonly maxRetriesPerRequest: null;
}

class BullmqDriver implements Pick<Driver, 'fill' | 'runCycles' | 'close'> {
  readonly #connection: Connection;
  readonly #queue: Queue;

  constructor({ urls: [url = ''] }: DriverTarget) {
    const { hostname, port } = new URL(url);
    this.#connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null };
    this.#queue = new Queue(QUEUE, { connection: this.#connection });
  }

  async fill({ pieces }: { pieces: number }): Promise<void> {
    const { waiting } = await this.#count();
    for (let missing = pieces - waiting; missing > 0; missing -= JOBS_PER_CALL) {
      const jobs = Array.from({ length: Math.min(missing, JOBS_PER_CALL) }, (_, number) => ({
        name: 'noop',
        data: { number },
      }));
      await this.#queue.addBulk(jobs);
    }
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    const before = await this.#count();
    let ended = 0;
    const worker = new Worker(QUEUE, () => Promise.resolve(null), {
      connection: this.#connection,
      concurrency: input.concurrency,
    });
    worker.on('error', (error) => process.stderr.write(`bullmq: ${error.message}\n`));
    worker.on('completed', () => {
      ended += 1;
    });
    const result = await measureWindow(input, before.waiting, () => ended);
    await worker.close();
    const after = await this.#count();
    if (after.completed - before.completed !== ended || after.active !== 0)
      throw new Error(`counted ${ended} cycles, Redis says ${after.completed - before.completed}`);
    return result;
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #count(): Promise<{ waiting: number; active: number; completed: number }> {
    const counts = await this.#queue.getJobCounts('waiting', 'active', 'completed');
    return {
      waiting: counts['waiting'] ?? 0,
      active: counts['active'] ?? 0,
      completed: counts['completed'] ?? 0,
    };
  }
}

serveDriver((target) => Promise.resolve(new BullmqDriver(target)));
