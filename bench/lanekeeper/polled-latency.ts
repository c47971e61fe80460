/** How long a task takes to reach a lane that waits for it in a long poll, at another server than its creator's where there are two. */
import type { LatencyInput } from '../driver.ts';
import { LatencyProbe } from '../latency-probe.ts';
import type { BenchBoard } from './bench-board.ts';
import { HttpConnection } from './http-connection.ts';
import type { ServerAccess } from './server-access.ts';

/** Long enough that an idle lane asks rarely, below the contract's 60 s. */
const WAIT_HEADER = 'Prefer: wait=30\r\n';

export async function samplePolledLatency(
  access: ServerAccess,
  board: BenchBoard,
  input: LatencyInput,
): Promise<number[]> {
  const connection = await HttpConnection.open(access.farUrl);
  const probe = new LatencyProbe();
  let isStopping = false;
  let isAsking = deferred();
  const work = async (): Promise<void> => {
    while (!isStopping) {
      const claiming = board.claim(connection, { worker: 'worker-0', headers: WAIT_HEADER });
      isAsking.resolve();
      const [claim] = await claiming;
      if (claim === undefined) continue;
      probe.arrived();
      await board.complete(connection, claim);
    }
  };
  const working = work().catch((error: unknown) => {
    if (!isStopping) throw error;
  });
  const add = (): Promise<unknown> => {
    isAsking = deferred();
    return board.createAsAdmin();
  };
  try {
    return await Promise.race([
      probe.sample(input, add, () => isAsking.promise),
      working.then(() => new Promise<never>(() => undefined)),
    ]);
  } finally {
    isStopping = true;
    connection.close();
    await working;
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
