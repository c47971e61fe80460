/** Speaks plain HTTP as the contract writes it; every answer is held against the contract. Follows by server-sent events and by socket. */
import { WebSocket } from 'ws';
import type { ArgumentsOf, OperationId, ReplyOf } from '../../src/client/operation-types.ts';
import { WATCH_SUBPROTOCOL } from '../../src/contract/constants.ts';
import type { Event } from '../../src/contract/events.ts';
import type { ServerFrame } from '../../src/contract/frames.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { checkedClient } from '../fixtures/checked-client.ts';
import type { FollowQuery, Speaker, SpeakOptions } from './speaker.ts';
import { Refusal } from './speaker.ts';

interface Loose {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

function addressOf(path: string, { params = {}, query = {} }: Loose): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)])));
  return search.size === 0 ? filled : `${filled}?${search}`;
}

function headersOf({ waitSeconds, idempotencyKey, ifVersion }: SpeakOptions): Record<string, string> {
  return {
    ...(waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` }),
    ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
    ...(ifVersion === undefined ? {} : { 'If-Match': `"${ifVersion}"` }),
  };
}

export function rawSpeaker(url: string, adminKey: string): Speaker {
  const checked = checkedClient(url);
  const call = async <Id extends OperationId>(
    id: Id,
    args: ArgumentsOf<Id>,
    options: SpeakOptions = {},
  ): Promise<ReplyOf<Id>> => {
    const route = ROUTES.find(({ operationId }) => operationId === id);
    if (route === undefined) throw new Error(`no route ${id}`);
    const loose = args as unknown as Loose;
    const answer = await checked.call(route.method.toUpperCase(), addressOf(route.path, loose), {
      token: options.token === undefined ? adminKey : options.token,
      headers: headersOf(options),
      ...(loose.body === undefined ? {} : { body: loose.body }),
    });
    if (answer.status >= 400) throw new Refusal(answer.status, answer.body);
    return answer.body as ReplyOf<Id>;
  };
  const ways = [
    {
      name: 'server-sent events',
      follow: (board: string, query: FollowQuery) => eventStream(url, adminKey, board, query),
    },
    {
      name: 'a socket',
      follow: (board: string, query: FollowQuery) => socketEvents(url, adminKey, board, query),
    },
  ];
  return { call, ways };
}

async function* eventStream(
  url: string,
  token: string,
  board: string,
  query: FollowQuery,
): AsyncGenerator<Event, void, undefined> {
  const stop = new AbortController();
  const path = addressOf('/v1/boards/{board}/events', { params: { board }, query: { ...query } });
  const headers = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' };
  const response = await fetch(url + path, { headers, signal: stop.signal });
  if (response.body === null || !response.ok) throw new Error(`the stream was refused: ${response.status}`);
  let text = '';
  try {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: ?(.*)$/m.exec(block)?.[1];
        if (data !== undefined) yield JSON.parse(data) as Event;
      }
    }
  } finally {
    stop.abort();
  }
}

async function* socketEvents(
  url: string,
  token: string,
  board: string,
  { after = 'now', tasks, kinds }: FollowQuery,
): AsyncGenerator<Event, void, undefined> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/boards/${board}/watch`, WATCH_SUBPROTOCOL, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const frames: ServerFrame[] = [];
  let wake = (): void => undefined;
  let failure: Error | undefined;
  socket.on('open', () => socket.send(JSON.stringify({ type: 'watch', id: 'w', after, tasks, kinds })));
  socket.on('message', (data: Buffer) => {
    frames.push(JSON.parse(data.toString('utf8')) as ServerFrame);
    wake();
  });
  socket.on('error', (error) => {
    failure = error;
    wake();
  });
  try {
    for (;;) {
      const frame = frames.shift();
      if (frame?.type === 'events') yield* frame.events;
      if (frame !== undefined) continue;
      if (failure !== undefined) throw failure;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    socket.terminate();
  }
}
