/** Work that the server hands out over sockets: cycles, and the latency of a single task. */
import type { CycleInput, CycleResult, LatencyInput, Manner } from '../driver.ts';
import { LatencyProbe } from '../latency-probe.ts';
import { measureWindow, pauseMs } from '../window.ts';
import type { BenchBoard } from './bench-board.ts';
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
  const ended = (): number => workers.reduce((sum, { endedCount }) => sum + endedCount, 0);
  try {
    const failed = Promise.race(workers.map((worker) => worker.failed));
    for (const worker of workers) worker.start();
    const result = await Promise.race([measureWindow(input, before.ready, ended), failed]);
    await Promise.race([Promise.all(workers.map((worker) => worker.stop())), failed]);
    await Promise.race([settle(board, workers), failed]);
    assertCounted(before, await board.counts(), ended());
    return result;
  } finally {
    for (const worker of workers) worker.close();
  }
}

/** Until nothing is in anyone's hands any more. */
async function settle(board: BenchBoard, workers: readonly { readonly inFlight: number }[]): Promise<void> {
  const deadline = performance.now() + SETTLE_DEADLINE_MS;
  while (performance.now() < deadline) {
    const isIdle = workers.every((worker) => worker.inFlight === 0);
    if (isIdle && (await board.counts()).running === 0) return;
    await pauseMs(LOOK_MS);
  }
  throw new Error('tasks were still running long after the last credit');
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
