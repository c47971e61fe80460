/** Create, claim, complete, without a pause: what a board does for as long as it lives. */
import type { ChurnInput } from '../driver.ts';
import { pauseMs } from '../window.ts';
import type { BenchBoard } from './bench-board.ts';
import { assertCounted } from './cycles.ts';
import type { HttpConnection } from './http-connection.ts';
import type { ServerAccess } from './server-access.ts';

/** Each connection claims one task and has created one, so there is always one for it; some more to choose from. */
const BACKLOG_PIECES = 1000;

export async function churn(access: ServerAccess, board: BenchBoard, input: ChurnInput): Promise<number[]> {
  const { settings } = input;
  if (settings !== undefined) await board.change({ settings });
  await board.fill(BACKLOG_PIECES);
  const before = await board.counts();
  const connections = await access.openConnections(input.connections);
  const progress = { ended: 0, isStopping: false };
  const loops = Promise.all(
    connections.map(async (connection, index) => {
      while (!progress.isStopping) {
        await cycle(board, connection, `worker-${index}`);
        progress.ended += 1;
      }
    }),
  );
  const slices = await Promise.race([
    countSlices(input, () => progress.ended),
    loops.then(() => new Promise<never>(() => undefined)),
  ]);
  progress.isStopping = true;
  await loops;
  for (const connection of connections) connection.close();
  // What is done is gone by now where it does not stay.
  if (settings?.retention === undefined) assertCounted(before, await board.counts(), progress.ended);
  return slices;
}

async function cycle(board: BenchBoard, connection: HttpConnection, worker: string): Promise<void> {
  await board.create(connection);
  const [claim] = await board.claim(connection, { worker });
  if (claim === undefined) throw new Error('nothing to claim, although every connection has created a task');
  await board.complete(connection, claim);
}

/** Cycles a second, by slice; a slice that ended late is not counted as longer than it was. */
async function countSlices(
  { leadInMs, sliceMs, slices }: ChurnInput,
  ended: () => number,
): Promise<number[]> {
  await pauseMs(leadInMs);
  const startedAt = performance.now();
  const rates: number[] = [];
  let sliceAt = startedAt;
  let before = ended();
  for (let slice = 1; slice <= slices; slice += 1) {
    await pauseMs(startedAt + slice * sliceMs - performance.now());
    const now = performance.now();
    const count = ended();
    rates.push(((count - before) / (now - sliceAt)) * 1000);
    before = count;
    sliceAt = now;
  }
  return rates;
}
