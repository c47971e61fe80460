/** Adds one piece of work at a time at random intervals; the worker calls `arrived` when it has it. Node's own modules only. */
import type { LatencyInput } from './driver.ts';
import { pauseMs } from './window.ts';

/** How long one piece of work may take to reach a worker before a latency run gives up. */
const ARRIVAL_DEADLINE_MS = 10_000;

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

function randomIntervalMs({ intervalMsMin, intervalMsMax }: LatencyInput): number {
  return intervalMsMin + Math.random() * (intervalMsMax - intervalMsMin);
}
