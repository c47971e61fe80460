/** Work that the server hands out over sockets: cycles, and the latency of a single task. */
import type { CycleInput, CycleResult, LatencyInput, Manner } from '../driver.ts';
import { LatencyProbe } from '../latency-probe.ts';
import { measureWindow, pauseMs } from '../window.ts';
import type { BenchBoard, BoardCounts } from './bench-board.ts';
import { assertCounted } from './cycles.ts';
import { PushWorker } from './push-worker.ts';
import { SdkWorker } from './sdk-worker.ts';
import type { ServerAccess } from './server-access.ts';

/** After credits of 0 the server has at most a batch under way. */
const SETTLE_DEADLINE_MS = 5000;
const LOOK_MS = 20;

export async function runPushedCycles(
  access: ServerAccess,
  board: BenchBoard,
  input: CycleInput & { readonly manner: Extract<Manner, { kind: 'push' }> },
): Promise<CycleResult> {
  const before = await board.counts();
  const { ahead, hasTokens, client = 'raw' } = input.manner;
  const { open } = client === 'sdk' ? SdkWorker : PushWorker;
  const workers = await Promise.all(
    Array.from({ length: input.concurrency }, (_, index) =>
      open(board, {
        url: access.urls[index % access.urls.length] ?? '',
        worker: `pushed-${index}`,
        ahead,
        hasTokens,
        onClaim: () => undefined,
      }),
    ),
  );
  try {
    const failed = Promise.race(workers.map((worker) => worker.failed));
    await Promise.race([Promise.all(workers.map((worker) => worker.start())), failed]);
    const result = await Promise.race([measureWindow(input, before.ready, () => endedBy(workers)), failed]);
    await Promise.race([Promise.all(workers.map((worker) => worker.stop())), failed]);
    await Promise.race([settle(board, workers, before), failed]);
    return result;
  } finally {
    for (const worker of workers) worker.close();
  }
}

/**
 * Until nothing is in anyone's hands any more, and as much is done as was counted. Once it was so, it may not be for a moment: claims that were
 * being made when the last credits went are written, and given back.
 */
async function settle(
  board: BenchBoard,
  workers: readonly { readonly inFlight: number; readonly endedCount: number }[],
  before: BoardCounts,
): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  for (;;) {
    const counts = await board.counts();
    const isIdle = workers.every((worker) => worker.inFlight === 0);
    const ended = endedBy(workers);
    if (isIdle && counts.running === 0 && counts.done - before.done === ended) return;
    if (performance.now() > deadline) {
      assertCounted(before, counts, ended);
      throw new Error('tasks were still running long after the last credit');
    }
    await pauseMs(LOOK_MS);
  }
}

function endedBy(workers: readonly { readonly endedCount: number }[]): number {
  return workers.reduce((sum, { endedCount }) => sum + endedCount, 0);
}

export async function samplePushLatency(
  access: ServerAccess,
  board: BenchBoard,
  input: LatencyInput,
): Promise<number[]> {
  const probe = new LatencyProbe();
  let ended = Promise.resolve();
  let onEnded = (): void => undefined;
  const worker = await PushWorker.open(board, {
    url: access.farUrl,
    worker: 'pushed',
    ahead: 1,
    hasTokens: true,
    onClaim: () => probe.arrived(),
    onEnded: () => onEnded(),
  });
  const add = (): Promise<unknown> => {
    ended = new Promise((resolve) => {
      onEnded = resolve;
    });
    return board.createAsAdmin();
  };
  try {
    worker.start();
    return await Promise.race([probe.sample(input, add, () => ended), worker.failed]);
  } finally {
    worker.stop();
    worker.close();
  }
}
