// A worker with the SDK: claims, heartbeats, reconnects and ends are its business; yours is one function. This one counts, from where the attempt
// before left off, and can be told to go faster.
//   LANEKEEPER_TOKEN=<the lane's key> node examples/sdk-worker/worker.mjs factory
// Also: LANEKEEPER_URL, LANEKEEPER_BOARD, CONCURRENCY (1), LEASE_SECONDS (60), DRAIN_SECONDS (30)

import { setTimeout as delay } from 'node:timers/promises';
import { connect, Fatal } from 'lanekeeper/client';

const { env } = process;
const [lane] = process.argv.slice(2);
if (lane === undefined || env['LANEKEEPER_TOKEN'] === undefined) {
  console.error("usage: LANEKEEPER_TOKEN=<the lane's key> node worker.mjs LANE");
  process.exit(2);
}

const client = connect({
  url: env['LANEKEEPER_URL'] ?? 'http://127.0.0.1:7420',
  token: env['LANEKEEPER_TOKEN'],
  board: env['LANEKEEPER_BOARD'],
});

/**
 * What it returns completes the task. What it throws fails it, to be tried again; RetryAfter, Fatal and Block say something else.
 * @type {import('lanekeeper/client').Handler}
 */
async function count(task, context) {
  const { steps = 3, seconds = 0.1 } = /** @type {{ steps?: number, seconds?: number }} */ (
    task.payload ?? {}
  );
  if (steps > 1_000_000) throw new Fatal(`${steps} steps are more than anybody counts`);
  let pause = seconds;
  context.onMessage(({ text }) => {
    context.log(`told: ${text}`);
    if (text === 'faster') pause /= 2;
  });
  let { done } = /** @type {{ done: number }} */ (context.checkpoint ?? { done: 0 });
  while (done < steps) {
    // The signal fires on a cancel, on a lost claim, and at the end of a drain: pass it on to all that takes long.
    await delay(pause * 1000, undefined, { signal: context.signal });
    done += 1;
    context.log(`step ${done}`);
    await context.progress(done / steps, `${done} of ${steps}`, { checkpoint: { done } });
  }
  return { summary: `counted to ${done}`, result: { done } };
}

const worker = client.worker(
  {
    lane,
    concurrency: Number(env['CONCURRENCY'] ?? 1),
    leaseSeconds: Number(env['LEASE_SECONDS'] ?? 60),
    drainSeconds: Number(env['DRAIN_SECONDS'] ?? 30),
    logger: console,
  },
  count,
);
// The first signal drains: nothing new, and what runs may finish. The second does not wait.
let signals = 0;
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => void worker.stop({ hard: ++signals > 1 }));
await worker.run();
