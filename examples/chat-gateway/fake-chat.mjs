// A chat that lives in this process: people's messages come in by POST /say, a gateway reads them by GET /updates and answers by POST /send and
// POST /turns. What is to go wrong is said by POST /failures. For trying the gateway out, and for its tests.
//   node fake-chat.mjs [PORT]      prints its URL

import { createServer } from 'node:http';

/**
 * @typedef {{ id: number, chat_id: string, thread_id: string | null, user_id: string, text: string }} ChatMessage
 * @typedef {{ id: string, chat_id: string, thread_id: string | null, text: string, kind: 'message' | 'turn', message_id: string }} Sent
 */

/** @type {ChatMessage[]} */
const said = [];
/** @type {Sent[]} */
const sent = [];
/**
 * The next so many sends are answered with this status; 0: the connection is cut, -1: they are never answered. is_taken: people see them all
 * the same, and whoever sent them cannot know. @type {{ count: number, status: number, is_taken: boolean }}
 */
let failures = { count: 0, status: 500, is_taken: false };
/** Sessions in the middle of a turn. @type {Set<string>} */
const busy = new Set();
/** @type {Set<() => void>} */
const waiting = new Set();
const BODY_BYTES_MAX = 1024 * 1024;

/** @param {import('node:http').IncomingMessage} request */
async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_BYTES_MAX) throw new Error('the body is too large');
  }
  return text === '' ? {} : JSON.parse(text);
}

/** Until somebody says something, or the time is over. @param {number} seconds */
function news(seconds) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      waiting.delete(done);
      resolve(undefined);
    };
    const timer = setTimeout(done, seconds * 1000);
    waiting.add(done);
  });
}

/** @param {any} body @param {'message' | 'turn'} kind */
function take({ id, chat_id, thread_id = null, text }, kind) {
  const message = { id, chat_id, thread_id, text, kind, message_id: `m${sent.length + 1}` };
  sent.push(message);
  return { message_id: message.message_id };
}

/** @type {Record<string, (body: any, url: URL) => unknown | Promise<unknown>>} */
const routes = {
  'POST /say': ({ chat_id, thread_id = null, user_id = 'somebody', text }) => {
    const message = { id: said.length + 1, chat_id, thread_id, user_id, text };
    said.push(message);
    for (const done of waiting) done();
    return message;
  },
  'GET /updates': async (_, url) => {
    const after = Number(url.searchParams.get('after') ?? 0);
    const newer = () => said.filter(({ id }) => id > after);
    if (newer().length === 0) await news(Number(url.searchParams.get('wait') ?? 0));
    return { messages: newer() };
  },
  'POST /send': (body) => take(body, 'message'),
  'POST /turns': (body) => take(body, 'turn'),
  'POST /failures': (body) => {
    failures = { count: 0, status: 500, is_taken: false, ...body };
    return failures;
  },
  'POST /busy': ({ session, is_busy: isBusy }) => {
    if (isBusy) busy.add(session);
    else busy.delete(session);
    return {};
  },
  'GET /sent': () => ({ messages: sent }),
};

/** @typedef {(status: number, body: unknown) => void} Answer */

/** As it was asked to go wrong. @param {import('node:http').IncomingMessage} request @param {string} path @param {Answer} answer */
async function fail(request, path, answer) {
  failures.count -= 1;
  const body = await bodyOf(request);
  if (failures.is_taken) take(body, path === '/turns' ? 'turn' : 'message');
  if (failures.status === 0) request.socket.destroy();
  else if (failures.status > 0) answer(failures.status, { error: 'as asked' });
}

/** @param {import('node:http').IncomingMessage} request @param {URL} url @param {Answer} answer */
async function serve(request, url, answer) {
  const session = /^\/sessions\/(.*)$/.exec(url.pathname);
  if (session !== null) {
    answer(200, { isBusy: busy.has(decodeURIComponent(session[1] ?? '')) });
    return;
  }
  const route = routes[`${request.method} ${url.pathname}`];
  if (route === undefined) answer(404, { error: 'there is no such thing here' });
  else answer(200, await route(await bodyOf(request), url));
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? '/', 'http://chat');
  /** @type {Answer} */
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const isSend = request.method === 'POST' && ['/send', '/turns'].includes(url.pathname);
  try {
    if (isSend && failures.count > 0) await fail(request, url.pathname, answer);
    else await serve(request, url, answer);
  } catch (error) {
    answer(400, { error: error instanceof Error ? error.message : String(error) });
  }
});

server.listen(Number(process.argv[2] ?? 7430), '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`);
});
