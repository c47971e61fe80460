// What keeps the demo moving once its first tasks are there: readers with new questions, a person who answers some of what waits, and a gateway
// that sends most of what comes back. All of it ends with the signal, and none of it makes more than TASKS_MAX tasks.

import { setTimeout as delay } from 'node:timers/promises';
import { chapter, delegationOf, firstTasks } from './atlas.mjs';

/** @typedef {import('lanekeeper/client').Client} Client */

/** A demo that is forgotten over a week-end is still a small board. */
const TASKS_MAX = 1500;
/** More work is not asked for while so much of it waits. */
const UNFINISHED_MAX = 60;
const WORK_INTERVAL_MS = 6000;
const PERSON_INTERVAL_MS = 15_000;
/** What people leave waiting, so that there is something to answer. */
const LEFT_WAITING = 3;
/** Of a long poll; the client allows for more. */
const GATEWAY_WAIT_SECONDS = 20;
/** Every so many-th message cannot be sent. The very first is one, for there is to be a dead letter. */
const UNDELIVERABLE_EVERY = 5;
/** Between two tries of something that was refused, e.g. because another was faster. */
const PAUSE_MS = 1000;

const QUESTIONS = [
  'Which lighthouse is the oldest that still shines?',
  'How tall is the tallest tower in the atlas?',
  'Who was the last keeper at each of them?',
];

/**
 * The first fifty tasks, and two questions: one that is answered within seconds, and one that takes a while.
 * @param {Client} client
 */
export async function beginWork(client) {
  await client.tasks.createBatch(firstTasks(new Date()));
  await client.delegations.create(delegationOf(QUESTIONS[0] ?? '', 1));
  await client.delegations.create(delegationOf(QUESTIONS[1] ?? '', 45));
}

/**
 * Until the signal.
 * @param {Client} client
 * @param {AbortSignal} signal
 * @returns {Promise<unknown>}
 */
export function keepAlive(client, signal) {
  return Promise.all([
    repeat(WORK_INTERVAL_MS, signal, askForMore(client)),
    repeat(PERSON_INTERVAL_MS, signal, () => beAPerson(client)),
    repeat(0, signal, beAGateway(client, signal)),
  ]);
}

/**
 * @param {number} intervalMs
 * @param {AbortSignal} signal
 * @param {() => Promise<unknown>} act
 */
async function repeat(intervalMs, signal, act) {
  while (!signal.aborted) {
    const isDone = await act().then(
      () => true,
      () => false,
    );
    await delay(isDone ? intervalMs : PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * @param {Client} client
 * @returns {() => Promise<void>}
 */
function askForMore(client) {
  let round = 16;
  return async () => {
    const { counts } = (await client.boards.get(client.board)).board;
    const { done, cancelled, archived, ...unfinished } = counts;
    const waiting = Object.values(unfinished).reduce((sum, count) => sum + count, 0);
    if (waiting >= UNFINISHED_MAX || waiting + done + cancelled + archived >= TASKS_MAX) return;
    await client.tasks.createBatch(chapter(round, 0));
    round += 1;
    if (round % 6 === 0) {
      const question = QUESTIONS[round % QUESTIONS.length] ?? '';
      await client.delegations.create(delegationOf(question, 4));
    }
  };
}

/**
 * Steers what runs, answers the oldest question and accepts the oldest review.
 * @param {Client} client
 */
async function beAPerson(client) {
  const [{ tasks: running }, { tasks: blocked }, { tasks: review }] = await Promise.all([
    client.tasks.list({ status: 'running', lane: 'builder' }),
    client.tasks.list({ status: 'blocked', order: 'created' }),
    client.tasks.list({ status: 'review', order: 'created' }),
  ]);
  const [steered] = running;
  if (steered !== undefined) await client.tasks.steer(steered.id, 'Use the metric scale, please.');
  const [asked] = blocked.filter((task) => task.blocked?.kind === 'needs_input');
  if (asked !== undefined && blocked.length > LEFT_WAITING) {
    await client.tasks.patch(asked.id, { payload: { seconds: 2, end: 'done' } });
    await client.tasks.unblock(asked.id, { answer: 'The one on the chart of 1890.' });
  }
  const [finished] = review;
  if (finished !== undefined && review.length > LEFT_WAITING) await client.tasks.accept(finished.id);
}

/**
 * @param {Client} client
 * @param {AbortSignal} signal
 * @returns {() => Promise<void>}
 */
function beAGateway(client, signal) {
  let sent = 0;
  return async () => {
    const options = { waitSeconds: GATEWAY_WAIT_SECONDS, signal };
    const { deliveries } = await client.deliveries.claim({ owner: 'gateway', max: 5 }, options);
    for (const { id, lease_id } of deliveries) {
      const isLost = sent % UNDELIVERABLE_EVERY === 0;
      sent += 1;
      if (isLost)
        await client.deliveries.nack(id, { lease_id, error: 'This chat is archived', permanent: true });
      else await client.deliveries.ack(id, { lease_id, message_id: `message-${sent}` });
    }
  };
}
