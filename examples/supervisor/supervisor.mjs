// A lane whose worker is one long-lived child: an interpreter, a model, an agent's session, kept warm across many tasks. The child speaks JSON
// lines (README.md) and knows nothing of leases; what becomes of a task when the child crashes, stalls or does not listen is decided here.
//   LANEKEEPER_TOKEN=<the lane's key> node examples/supervisor/supervisor.mjs factory -- node examples/supervisor/fake-agent.mjs
// Also: LANEKEEPER_URL, LANEKEEPER_BOARD, LEASE_SECONDS (60), DRAIN_SECONDS (30), STALL_SECONDS (300: silence of the child that is too long),
//   GRACE_SECONDS (10: for the child to react, when it was asked to stop or whether it is still there)

import { Block, connect, Fatal, RetryAfter } from 'lanekeeper/client';
import { AgentFailure, AgentProcess } from './agent-process.mjs';

const { env } = process;
const [lane, separator, ...argv] = process.argv.slice(2);
const token = env['LANEKEEPER_TOKEN'];
if (lane === undefined || separator !== '--' || argv.length === 0 || token === undefined) {
  console.error("usage: LANEKEEPER_TOKEN=<the lane's key> node supervisor.mjs LANE -- COMMAND [ARGUMENT…]");
  process.exit(2);
}
/** A task that has to wait for a child that does not start is better off elsewhere, or then. */
const NO_AGENT_MS = 30_000;
/** The child is stopped with TERM, and five seconds later with KILL. */
const STOP_SECONDS = 6;
const graceSeconds = Number(env['GRACE_SECONDS'] ?? 10);

const client = connect({
  url: env['LANEKEEPER_URL'] ?? 'http://127.0.0.1:7420',
  token,
  board: env['LANEKEEPER_BOARD'],
});
const agent = new AgentProcess({
  argv,
  // The lane's key stays here: the child is told one task at a time, and may not claim others.
  env: Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('LANEKEEPER_'))),
  stallMs: Number(env['STALL_SECONDS'] ?? 300) * 1000,
  graceMs: graceSeconds * 1000,
});

/** @type {import('lanekeeper/client').Handler} */
async function handle(task, context) {
  const { claim, handoff, signal } = context;
  const hearer = {
    begun: () => void context.onMessage(({ text }) => agent.tell(text)),
    /** @param {string} line */
    output: (line) => context.log(line),
    /** @param {import('./agent-process.mjs').AgentProgress} progress */
    progress: ({ value, note, checkpoint }) => void context.progress(value, note, { checkpoint }),
  };
  const end = await agent.work({ run: claim.run_id, task, handoff }, hearer, signal).catch((error) => {
    // Whatever it died of, it was told to stop: the worker knows what to say.
    if (signal.aborted) throw signal.reason;
    if (error instanceof AgentFailure && !error.hasBegun) throw new RetryAfter(NO_AGENT_MS, error.message);
    throw error;
  });
  switch (end.type) {
    case 'done':
      return { summary: end.summary, result: end.result };
    case 'blocked':
      throw new Block({ reason: end.reason, kind: 'needs_input' });
    case 'failed':
      if (end.permanent === true) throw new Fatal(end.error);
      if (end.retry_after_seconds !== undefined)
        throw new RetryAfter(end.retry_after_seconds * 1000, end.error);
      throw new Error(end.error);
    case 'interrupted':
      throw signal.reason ?? new Error('the agent stopped by itself');
  }
}

const worker = client.worker(
  {
    lane,
    leaseSeconds: Number(env['LEASE_SECONDS'] ?? 60),
    drainSeconds: Number(env['DRAIN_SECONDS'] ?? 30),
    graceSeconds: graceSeconds + STOP_SECONDS,
    logger: console,
  },
  handle,
);
let signals = 0;
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => void worker.stop({ hard: ++signals > 1 }));
try {
  await worker.run();
} finally {
  await agent.close();
}
