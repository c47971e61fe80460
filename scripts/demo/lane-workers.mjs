// The three lanes and what works for them: real workers of the client library under keys of their lanes, at different speeds. What they do is
// to wait, and to say so in many ways.

import { setTimeout as delay } from 'node:timers/promises';
import { Block, connect } from 'lanekeeper/client';

/** @typedef {import('./atlas.mjs').Assignment} Assignment */

/** @type {Record<string, { concurrency: number, pace: number, lane: import('lanekeeper/client').BodyOf<'putLane'> }>} */
const LANES = {
  research: { concurrency: 3, pace: 1, lane: { description: 'Looks things up', lease_seconds: 60 } },
  builder: {
    concurrency: 2,
    pace: 1.2,
    lane: { description: 'Makes pages and drawings', lease_seconds: 30, labels: { model: 'large' } },
  },
  editor: {
    concurrency: 1,
    pace: 1,
    lane: { description: 'Reads everything once', max_concurrent_claims: 1, lease_seconds: 60 },
  },
};

/** Words of a task's progress, by how far it is. */
const STEPS = [
  'reading what there is',
  'sorting it',
  'first draft',
  'second draft',
  'checking',
  'tidying up',
];
const GREEN = '\u001b[32m';
const YELLOW = '\u001b[33m';
const RED = '\u001b[1;31m';
const GREY = '\u001b[90m';
const PLAIN = '\u001b[0m';

/**
 * Registers the lanes and starts their workers; they run until `signal`.
 * @param {import('lanekeeper/client').Client} admin
 * @param {AbortSignal} signal
 * @returns {Promise<Promise<unknown>[]>} each resolves when its worker has left
 */
export async function startLanes(admin, signal) {
  /** @type {Promise<unknown>[]} */
  const running = [];
  for (const [lane, { concurrency, pace, lane: settings }] of Object.entries(LANES)) {
    await admin.lanes.register(lane, settings);
    const { secret } = await admin.lanes.createKey(lane, { name: `worker of ${lane}` });
    const client = connect({ url: admin.url, token: secret });
    const options = { lane, worker: `${lane}-1`, version: 'demo 1.0', concurrency, logger: null };
    const worker = client.worker(options, (task, context) => work(task, context, pace));
    signal.addEventListener('abort', () => void worker.stop({ hard: true }), { once: true });
    running.push(worker.run());
  }
  return running;
}

/**
 * @param {import('lanekeeper/client').Task} task
 * @param {import('lanekeeper/client').TaskContext} context
 * @param {number} pace how much longer than planned
 * @returns {Promise<import('lanekeeper/client').HandlerResult | undefined>}
 */
async function work(task, context, pace) {
  const {
    seconds = 3,
    end = 'done',
    failures = 0,
    place = '',
  } = /** @type {Partial<Assignment>} */ (task.payload ?? {});
  context.onMessage(({ text }) => context.log(`${YELLOW}told:${PLAIN} ${text}`));
  context.log(`${GREY}$${PLAIN} begin "${task.title}" ${GREY}(attempt ${context.attempt})${PLAIN}`);
  for (const [index, step] of STEPS.entries()) {
    await delay((seconds * pace * 1000) / STEPS.length, undefined, { signal: context.signal });
    context.log(`${GREEN}ok${PLAIN}  ${step}`);
    const done = (index + 1) / STEPS.length;
    context.progress(done, step, { checkpoint: { done: index + 1 } }).catch(() => undefined);
    if (index === 3 && (end === 'fail' || context.attempt <= failures)) {
      context.log(`${RED}error${PLAIN} the drawing has no scale`);
      throw new Error(`The drawing of ${place} has no scale`);
    }
  }
  const metadata = { model: 'demo-large', tokens: 900 + 70 * task.title.length, cost_usd: 0.01 };
  if (end === 'block')
    throw new Block({ kind: 'needs_input', reason: `Which of the two spellings is right for ${place}?` });
  const result = {
    summary: `${task.title}: done, with ${STEPS.length} steps`,
    result: { place, pages: 2 },
    metadata,
  };
  if (end !== 'review') return result;
  await context.requestReview(result);
  return undefined;
}
