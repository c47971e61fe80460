// A gateway between a chat and Lanekeeper: what people write becomes delegations, and what comes of them becomes messages, or new turns of
// the conversation. It keeps nothing but how far it has read the chat: killed at any moment and started again, it loses nothing, and says
// nothing twice but with the id that it was said with before.
//   node gateway.mjs      LANEKEEPER_URL, LANEKEEPER_TOKEN (an orchestrator's key with owner "chat-gateway"), LANEKEEPER_BOARD, CHAT_URL,
//                         STATE_FILE (./gateway-state.json), LEASE_SECONDS (60)

import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect, LanekeeperError } from 'lanekeeper/client';

const PLATFORM = 'example-chat';
const OWNER = 'chat-gateway';
const { CHAT_URL = 'http://127.0.0.1:7430', STATE_FILE = 'gateway-state.json' } = process.env;
/** How long either side is asked to wait for news. */
const WAIT_SECONDS = 20;
/** Of an answer that is waited for: the wait, and time to come here. */
const READ_MS = (WAIT_SECONDS + 10) * 1000;
/** Of a delivery: a gateway that dies has it given out again after this. */
const LEASE_SECONDS = Number(process.env['LEASE_SECONDS'] ?? 60);
/** The chat has less than the lease, so that what it was too slow for is said while the lease holds. */
const SEND_MS = (LEASE_SECONDS * 1000) / 2;
/** A conversation that is in the middle of a turn is looked at again after this. */
const BUSY_SECONDS = 2;
/** After a failure of either side. */
const PAUSE_MS = 1000;
const TASKS_MAX = 20;

const client = connect({
  url: process.env['LANEKEEPER_URL'] ?? 'http://127.0.0.1:7420',
  token: process.env['LANEKEEPER_TOKEN'],
  board: process.env['LANEKEEPER_BOARD'],
});
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());

/**
 * @typedef {{ id: number, chat_id: string, thread_id: string | null, user_id: string, text: string }} ChatMessage
 * @typedef {import('lanekeeper/client').LeasedDelivery} LeasedDelivery
 */

/** What the chat answers is whatever it says. @typedef {Omit<Response, 'json'> & { json: () => Promise<any> }} ChatAnswer */

/** @param {string} path @param {unknown} [body] @returns {Promise<ChatAnswer>} */
async function chat(path, body) {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  return fetch(`${CHAT_URL}${path}`, {
    ...init,
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(body === undefined ? READ_MS : SEND_MS)]),
  });
}

/** @param {Pick<ChatMessage, 'chat_id' | 'thread_id'>} place */
function sessionOf({ chat_id: chatId, thread_id: threadId }) {
  return [PLATFORM, chatId, threadId].filter(Boolean).join('/');
}

// From the chat

async function readUpTo() {
  const text = await readFile(STATE_FILE, 'utf8').catch(() => '{"after": 0}');
  return Number(JSON.parse(text).after);
}

/** Replaced as a whole: a crash leaves the old one or the new one. @param {number} after */
async function keepUpTo(after) {
  await writeFile(`${STATE_FILE}.new`, JSON.stringify({ after }));
  await rename(`${STATE_FILE}.new`, STATE_FILE);
}

/** Each message is handled before it is passed: after a crash it comes again, and makes nothing twice. */
async function listen() {
  let after = await readUpTo();
  while (!stop.signal.aborted) {
    const answer = await chat(`/updates?after=${after}&wait=${WAIT_SECONDS}`);
    if (!answer.ok) throw new Error(`the chat answered ${answer.status}`);
    /** @type {{ messages: ChatMessage[] }} */
    const { messages } = await answer.json();
    for (const message of messages) {
      await take(message);
      after = message.id;
      await keepUpTo(after);
    }
  }
}

/** @param {ChatMessage} message */
async function take(message) {
  const session = sessionOf(message);
  if (message.text.trim() === '/stop') {
    const { cancelled } = await client.delegations.cancelSession({
      session_id: session,
      reason: 'stopped by the user',
    });
    await tell(message, `${session}/stop/${message.id}`, `Stopped ${cancelled.length}.`);
    return;
  }
  const tasks = tasksOf(message.text);
  if (tasks.length === 0) return;
  const origin = {
    platform: PLATFORM,
    chat_id: message.chat_id,
    thread_id: message.thread_id,
    user_id: message.user_id,
    session_id: session,
    context: message.text.slice(0, 2000),
  };
  try {
    const idempotencyKey = `${PLATFORM}-${message.id}`;
    const subscribe = {
      platform: PLATFORM,
      chat_id: message.chat_id,
      thread_id: message.thread_id,
      owner: OWNER,
    };
    await client.delegations.create(
      { goal: message.text.slice(0, 4000), tasks, origin, subscribe },
      { idempotencyKey },
    );
  } catch (error) {
    const answer = error instanceof LanekeeperError ? answerTo(error) : null;
    if (answer === null) throw error;
    await tell(message, `${session}/refused/${message.id}`, answer);
  }
}

/** What cannot be done later either must not hold up the messages behind it. Null: try again. @param {LanekeeperError} error */
function answerTo(error) {
  if (error.code === 'delegation_capacity')
    return 'I am still busy with what you asked before. /stop ends that.';
  return [400, 404, 413, 422].includes(error.status) ? `I cannot take this: ${error.message}` : null;
}

/** One line, one task: "lane: what to do". Other lines are talk. @param {string} text */
function tasksOf(text) {
  const lines = text.split('\n').map((line) => /^([a-z0-9][a-z0-9._-]{0,63}):\s*(\S.*)$/.exec(line.trim()));
  return lines
    .flatMap((match) => (match === null ? [] : [{ lane: match[1], goal: match[2] ?? '' }]))
    .slice(0, TASKS_MAX);
}

/** @param {Pick<ChatMessage, 'chat_id' | 'thread_id'>} place @param {string} id @param {string} text */
async function tell({ chat_id, thread_id }, id, text) {
  return chat('/send', { id, chat_id, thread_id, text });
}

// To the chat

async function deliver() {
  while (!stop.signal.aborted) {
    const ask = { owner: OWNER, platforms: [PLATFORM], max: 10, lease_seconds: LEASE_SECONDS };
    const { deliveries } = await client.deliveries.claim(ask, {
      waitSeconds: WAIT_SECONDS,
      signal: stop.signal,
    });
    await Promise.all(deliveries.map(pass));
  }
}

/** @param {LeasedDelivery} delivery */
async function pass(delivery) {
  const { id, lease_id, origin, subscription, text, wake } = delivery;
  const place = { chat_id: subscription.chat_id, thread_id: subscription.thread_id || null };
  try {
    // A new turn is never put into the middle of another one.
    const { isBusy } = await (await chat(`/sessions/${encodeURIComponent(origin.session_id ?? '')}`)).json();
    if (isBusy && wake) {
      await client.deliveries.nack(id, { lease_id, defer_seconds: BUSY_SECONDS });
      return;
    }
    const answer = wake ? await chat('/turns', { id, ...place, text }) : await tell(place, id, text);
    if (answer.ok) {
      const { message_id } = await answer.json();
      await client.deliveries.ack(id, { lease_id, message_id });
      return;
    }
    // What the chat will never take is said to be so: others of the session are not to wait for it.
    const permanent = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
    await client.deliveries.nack(id, { lease_id, error: `the chat answered ${answer.status}`, permanent });
  } catch (error) {
    if (error instanceof LanekeeperError && error.code === 'lease_lost') return;
    if (stop.signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    await client.deliveries.nack(id, { lease_id, error: reason }).catch(() => undefined);
  }
}

/** Both sides come and go: each loop goes on where it was. @param {() => Promise<void>} loop */
async function keepUp(loop) {
  while (!stop.signal.aborted) {
    try {
      await loop();
    } catch (error) {
      if (stop.signal.aborted) return;
      console.error(error instanceof Error ? error.message : error);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

await Promise.all([keepUp(listen), keepUp(deliver)]);
