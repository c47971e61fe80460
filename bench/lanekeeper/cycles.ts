/** Claim and complete until told to stop, one task or a batch at a time, with the count held against the board's own. */
import type { CycleInput, CycleResult } from '../driver.ts';
import { measureLoops, measureWindow } from '../window.ts';
import type { BenchBoard, BoardCounts, ClaimRequest } from './bench-board.ts';
import type { HttpConnection } from './http-connection.ts';
import type { ServerAccess } from './server-access.ts';

interface Progress {
  ended: number;
  isStopping: boolean;
}

export async function runPulledCycles(
  access: ServerAccess,
  board: BenchBoard,
  input: CycleInput,
): Promise<CycleResult> {
  const before = await board.counts();
  const connections = await access.openConnections(input.concurrency);
  const progress: Progress = { ended: 0, isStopping: false };
  const loops = connections.map((connection, index) =>
    input.manner.kind === 'batch'
      ? workInBatches(board, connection, { worker: `worker-${index}`, max: input.manner.size }, progress)
      : workSingly(board, connection, { worker: `worker-${index}` }, progress),
  );
  const result = await measureLoops(
    loops,
    measureWindow(input, before.ready, () => progress.ended),
  );
  progress.isStopping = true;
  await Promise.all(loops);
  for (const connection of connections) connection.close();
  assertCounted(before, await board.counts(), progress.ended);
  return result;
}

/** Nothing was lost on the way and nothing is left behind. */
export function assertCounted(before: BoardCounts, after: BoardCounts, ended: number): void {
  if (after.done - before.done !== ended || after.running !== 0) {
    const { done, running } = after;
    throw new Error(
      `counted ${ended} cycles, the board says ${done - before.done}, with ${running} still running`,
    );
  }
}

async function workSingly(
  board: BenchBoard,
  connection: HttpConnection,
  request: ClaimRequest,
  progress: Progress,
): Promise<void> {
  while (!progress.isStopping) {
    const [claim] = await board.claim(connection, request);
    if (claim === undefined) return;
    await board.complete(connection, claim);
    progress.ended += 1;
  }
}

async function workInBatches(
  board: BenchBoard,
  connection: HttpConnection,
  request: ClaimRequest,
  progress: Progress,
): Promise<void> {
  while (!progress.isStopping) {
    const claims = await board.claim(connection, request);
    if (claims.length === 0) return;
    await board.operate(connection, 'complete', claims);
    progress.ended += claims.length;
  }
}
