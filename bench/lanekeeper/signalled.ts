/** How long a cancel takes from its request to the socket of the task's holder, at another server than the canceller's where there are two. */
import type { LatencyInput } from '../driver.ts';
import { LatencyProbe } from '../latency-probe.ts';
import type { BenchBoard, NewClaim } from './bench-board.ts';
import { HttpConnection } from './http-connection.ts';
import type { ServerAccess } from './server-access.ts';
import { WebSocketConnection } from './web-socket.ts';

const WORKER = 'signalled';
/** More than one run of samples needs. */
const TASKS = 1000;

interface CancelFrame {
  readonly type: string;
  readonly run_id?: string;
}

export async function sampleCancelLatency(
  access: ServerAccess,
  board: BenchBoard,
  input: LatencyInput,
): Promise<number[]> {
  await board.fill(TASKS);
  const connection = await HttpConnection.open(access.farUrl);
  const socket = await WebSocketConnection.open({
    url: access.farUrl,
    path: `${board.path}/watch`,
    token: board.laneKey,
    subprotocol: 'lanekeeper.v1',
  });
  const probe = new LatencyProbe();
  let held: NewClaim | undefined;
  const failed = new Promise<never>((_, reject) => {
    socket.listen((text) => {
      const frame = JSON.parse(text) as CancelFrame;
      if (frame.type === 'cancel' && frame.run_id === held?.run_id) probe.arrived();
      else if (frame.type === 'error') reject(new Error(`the server answered ${text}`));
    }, reject);
  });
  socket.send(JSON.stringify({ type: 'hello', id: 'hello', lane: board.lane, worker: WORKER }));
  /** The cancelled run ends as the worker's side would end it, and another is taken. */
  const takeNext = async (): Promise<void> => {
    if (held !== undefined) await board.release(connection, held);
    [held] = await board.claim(connection, { worker: WORKER });
    if (held === undefined) throw new Error('there was work a moment ago');
  };
  try {
    return await Promise.race([probe.sample(input, () => board.cancelAsAdmin(held), takeNext), failed]);
  } finally {
    if (held !== undefined) await board.release(connection, held);
    socket.close();
    connection.close();
  }
}
