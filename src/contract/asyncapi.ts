/**
 * Frames and events → the AsyncAPI document: what the OpenAPI document cannot describe, because it is no request with one answer. Pure, and
 * compared byte by byte like that one (openapi.ts). It must never state a fact of its own that the frames could state.
 * Written from the server's side, as AsyncAPI has it: it receives what clients send.
 */
import type { z } from 'zod';
import { BEARER_SUBPROTOCOL_PREFIX, CLOSE_CODES, HEADERS, WATCH_SUBPROTOCOL } from './constants.ts';
import { Event, listEvents } from './events.ts';
import { CLIENT_FRAME_WORDS, EVENT_EXAMPLE, type FramePart, SERVER_FRAME_WORDS } from './frame-words.ts';
import { ClientFrame, ServerFrame } from './frames.ts';
import { type JsonObject, OpenApiComponents } from './openapi-components.ts';

interface AsyncApiDocument {
  readonly asyncapi: string;
  readonly info: JsonObject;
  readonly servers: Record<string, JsonObject>;
  readonly channels: Record<string, JsonObject>;
  readonly operations: Record<string, JsonObject>;
  readonly components: Record<string, Record<string, JsonObject>>;
}

const INFO_DESCRIPTION = [
  'The sockets and streams of a board: how to follow its log, and how to be a worker that work is pushed to. Requests with one answer stand ' +
    'in /openapi.json. What holds beyond the shapes (order, gaps, bounds, reconnecting) stands in docs/protocol.md.',
  'Clients ignore fields and frame types that they do not know: both may be added. Unknown fields in a frame of a client are refused.',
  `After a break connect again with the last cursor. Close codes: ${Object.entries(CLOSE_CODES)
    .map(([name, code]) => `${code} ${name}`)
    .join(', ')}.`,
].join('\n\n');

const WATCH_PATH = '/v1/boards/{board}/watch';

/** One socket may be both; the channels say which frames belong to which part. */
const SOCKETS = {
  watch: {
    part: 'watching',
    title: 'Watch socket',
    description: 'A WebSocket that follows the log of a board from a cursor.',
  },
  worker: {
    part: 'working',
    title: 'Worker socket',
    description:
      'The same WebSocket once it has said hello: presence, steering and cancels come over it, in push mode claims, and the verbs of a claim go over it.',
  },
} as const satisfies Record<string, { part: FramePart; title: string; description: string }>;

type SocketName = keyof typeof SOCKETS;
type Side = 'client' | 'server';

interface Frame {
  readonly side: Side;
  readonly type: string;
  readonly key: string;
  readonly part: FramePart;
  readonly summary: string;
  readonly example: unknown;
  readonly answers: readonly string[];
  readonly schema: z.ZodType;
}

/** Every frame there is, in the order of the contract. */
function frames(): Frame[] {
  const ofClient = ClientFrame.options.map((schema): Frame => {
    const type = schema.shape.type.value;
    return { side: 'client', type, key: keyOf('client', type), schema, ...CLIENT_FRAME_WORDS[type] };
  });
  const ofServer = ServerFrame.options.map((schema): Frame => {
    const type = schema.shape.type.value;
    return {
      side: 'server',
      type,
      key: keyOf('server', type),
      schema,
      answers: [],
      ...SERVER_FRAME_WORDS[type],
    };
  });
  return [...ofClient, ...ofServer];
}

/** `output` goes both ways, as two frames. */
function keyOf(side: Side, type: string): string {
  return `${side}.${type}`;
}

/** Builds the document; `version` is the version of the package. */
export function buildAsyncApiDocument(version: string): AsyncApiDocument {
  const components = new OpenApiComponents();
  const all = frames();
  const messages = Object.fromEntries([
    ...all.map((frame) => [frame.key, message(frame, components)]),
    ['event', eventMessage(components)],
  ]);
  return {
    asyncapi: '3.0.0',
    info: { title: 'Lanekeeper', version, description: INFO_DESCRIPTION, license: { name: 'MIT' } },
    servers: {
      socket: server('ws', 'WebSocket; wss behind a proxy with TLS.', ['bearer', 'bearerSubprotocol']),
      http: server('http', 'Server-sent events; https behind a proxy with TLS.', ['bearer']),
    },
    channels: {
      watch: socketChannel('watch', all),
      worker: socketChannel('worker', all),
      events: eventsChannel(),
    },
    operations: operations(all, components),
    components: {
      messages,
      schemas: Object.fromEntries([...components.schemas].sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

const SECURITY_SCHEMES: Record<string, JsonObject> = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key (`lk_…`), or a claim token: a JWT that speaks for one claim only.',
  },
  bearerSubprotocol: {
    type: 'httpApiKey',
    name: 'Sec-WebSocket-Protocol',
    in: 'header',
    description:
      `For browsers, which cannot set Authorization: \`${BEARER_SUBPROTOCOL_PREFIX}\` and the base64url of the API key, offered beside ` +
      `\`${WATCH_SUBPROTOCOL}\`. It is never echoed.`,
  },
};

/** Where the server listens when nothing says otherwise. */
const DEFAULT_HOST = '127.0.0.1:7420';

function server(protocol: string, description: string, schemes: readonly string[]): JsonObject {
  return {
    host: DEFAULT_HOST,
    protocol,
    description,
    security: schemes.map((scheme) => ({ $ref: `#/components/securitySchemes/${scheme}` })),
  };
}

function message(frame: Frame, components: OpenApiComponents): JsonObject {
  return {
    name: frame.type,
    title: frame.type,
    summary: frame.summary,
    contentType: 'application/json',
    payload: components.schema(frame.schema, frame.side === 'client' ? 'input' : 'output'),
    examples: [{ name: frame.type, payload: frame.example }],
  };
}

function eventMessage(components: OpenApiComponents): JsonObject {
  return {
    name: 'event',
    title: 'event',
    summary:
      'One event of the log. As a server-sent event: `data` is this, in one line of JSON, `event` its kind, `id` the cursor after it.',
    contentType: 'application/json',
    payload: components.schema(Event, 'output'),
    examples: [{ name: 'event', payload: EVENT_EXAMPLE }],
  };
}

const BOARD_PARAMETER = { board: { description: 'The name of the board.' } };

function isOf(part: FramePart, frame: Frame): boolean {
  return frame.part === part || frame.part === 'both';
}

function socketChannel(name: SocketName, all: readonly Frame[]): JsonObject {
  const { part, title, description } = SOCKETS[name];
  const own = all.filter((frame) => isOf(part, frame));
  return {
    address: WATCH_PATH,
    title,
    description,
    servers: [{ $ref: '#/servers/socket' }],
    parameters: BOARD_PARAMETER,
    messages: Object.fromEntries(own.map(({ key }) => [key, { $ref: `#/components/messages/${key}` }])),
    bindings: { ws: { method: 'GET', headers: UPGRADE_HEADERS, bindingVersion: '0.1.0' } },
  };
}

const UPGRADE_HEADERS: JsonObject = {
  type: 'object',
  properties: {
    'Sec-WebSocket-Protocol': {
      type: 'string',
      description: `\`${WATCH_SUBPROTOCOL}\`, which the server selects.`,
    },
    Authorization: { type: 'string', description: '`Bearer` and the credential.' },
  },
  required: ['Sec-WebSocket-Protocol'],
};

function eventsChannel(): JsonObject {
  return {
    address: listEvents.path,
    title: 'Event stream',
    description:
      `The log as server-sent events, without an end: GET with \`Accept: text/event-stream\`. \`${HEADERS.lastEventId}\` resumes. An \`id\` ` +
      'without `data` is a bookmark; a comment comes every 10 seconds.',
    servers: [{ $ref: '#/servers/http' }],
    parameters: BOARD_PARAMETER,
    messages: { event: { $ref: '#/components/messages/event' } },
  };
}

/** Where the stream begins, and what of the log is in it. */
function streamQuery(components: OpenApiComponents): JsonObject {
  const { after, kinds, lanes, tasks } = listEvents.query.shape;
  const properties = Object.entries({ after, kinds, lanes, tasks }).map(([name, schema]) => [
    name,
    components.schema(schema, 'input'),
  ]);
  return { type: 'object', properties: Object.fromEntries(properties) };
}

function operations(all: readonly Frame[], components: OpenApiComponents): Record<string, JsonObject> {
  const made: Record<string, JsonObject> = {};
  for (const name of Object.keys(SOCKETS) as SocketName[]) {
    for (const frame of all.filter((entry) => isOf(SOCKETS[name].part, entry))) {
      made[`${name}.${frame.key}`] = frame.side === 'client' ? receive(name, frame) : send(name, frame);
    }
  }
  made['events.event'] = {
    action: 'send',
    channel: { $ref: '#/channels/events' },
    summary: 'Every event that matches, in the order of the log.',
    messages: [{ $ref: '#/channels/events/messages/event' }],
    bindings: { http: { method: 'GET', query: streamQuery(components), bindingVersion: '0.3.0' } },
  };
  return made;
}

function receive(channel: SocketName, { key, summary, answers }: Frame): JsonObject {
  // An error may answer every frame, also those that nothing answers when all is well.
  const replies = [...answers, 'error'].map((type) => inChannel(channel, keyOf('server', type)));
  return {
    action: 'receive',
    channel: { $ref: `#/channels/${channel}` },
    summary,
    messages: [inChannel(channel, key)],
    reply: { channel: { $ref: `#/channels/${channel}` }, messages: replies },
  };
}

function send(channel: SocketName, { key, summary }: Frame): JsonObject {
  return {
    action: 'send',
    channel: { $ref: `#/channels/${channel}` },
    summary,
    messages: [inChannel(channel, key)],
  };
}

function inChannel(channel: SocketName, key: string): JsonObject {
  return { $ref: `#/channels/${channel}/messages/${key}` };
}
