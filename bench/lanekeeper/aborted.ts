/** How long a cancel takes from its request to the signal of the handler that works on the task, in a worker of our client library. */
import { connect } from '../../src/client/client.ts';
import type { LatencyInput } from '../driver.ts';
import { LatencyProbe } from '../latency-probe.ts';
import type { BenchBoard, NewClaim } from './bench-board.ts';
import type { ServerAccess } from './server-access.ts';

/** More than one run of samples needs. */
const TASKS = 1000;

export async function sampleAbortLatency(
  access: ServerAccess,
  board: BenchBoard,
  input: LatencyInput,
): Promise<number[]> {
  await board.fill(TASKS);
  const probe = new LatencyProbe();
  let held: Pick<NewClaim, 'task'> | undefined;
  let begun = deferred();
  const client = connect({ url: access.farUrl, token: board.laneKey, board: board.name });
  const worker = client.worker(
    { lane: board.lane, worker: 'aborted', mode: 'push' },
    async (task, { signal }) => {
      held = { task };
      begun.resolve();
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          probe.arrived();
          resolve();
        });
      });
    },
  );
  /** The next task is worked on, and its end lies long enough back. */
  const settle = async (): Promise<void> => {
    await begun.promise;
    begun = deferred();
  };
  const running = worker.run().then(() => Promise.reject(new Error('the worker left too early')));
  try {
    return await Promise.race([probe.sample(input, () => board.cancelAsAdmin(held), settle), running]);
  } finally {
    await worker.stop({ hard: true });
    running.catch(() => undefined);
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
