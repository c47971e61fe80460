/**
 * The protocol itself, by the official SDK: revision 2026-07-28 and, for clients that still begin with initialize, those of 2025. An instance
 * per message, no sessions. The SDK gets no abort signal: a tool hears of a client that has gone by its exchange, finishes in order (what it
 * claimed is given back), and its answer is thrown away.
 */
import {
  createMcpHandler,
  isLegacyRequest,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  TRACEPARENT_META_KEY,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import type { AnswerStream } from '../../http/answer-stream.ts';
import type { Answer, Exchange } from '../../http/exchange.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import type { ToolDocument } from './results.ts';
import type { Tool, ToolCall } from './tool.ts';

export interface CallArrival {
  readonly input: unknown;
  /** W3C Trace Context, where the message itself carries one. */
  readonly traceparent: string | undefined;
  readonly whileWaiting: ToolCall['whileWaiting'];
}

export interface ToolAnswer {
  readonly document: ToolDocument;
  readonly isRefusal: boolean;
}

export interface Served {
  readonly version: string;
  readonly instructions: string;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly call: (tool: Tool, arrival: CallArrival) => Promise<ToolAnswer>;
}

/** Asked for by the design: often enough for clients that take silence for death, and for proxies. */
const PROGRESS_INTERVAL_MS = 10_000;
/** What the SDK reads of a request; the rest is the server's business. */
const FORWARDED = ['content-type', 'mcp-protocol-version', 'mcp-method', 'mcp-name'];
const ACCEPT = 'application/json, text/event-stream';
const EVENT_STREAM = 'text/event-stream';
/** The protocol's own bound on names of tools; what is longer is not said back in full. */
const NAME_CHARACTERS = 128;

export async function serveMessage(exchange: Exchange, served: Served): Promise<Answer> {
  const { body: message } = exchange;
  // What changes is told with tools/list: a stream that waits for news of it would stand open for nothing.
  if (memberOf(message, 'method') === 'subscriptions/listen') return notOffered(message);
  const isStreamable = (exchange.header('accept') ?? '').includes(EVENT_STREAM);
  const request = requestOf(exchange);
  const server = createServer(served, isStreamable);
  if (await isLegacyRequest(request, message)) {
    // Streams only for who asked to be told of progress: each costs the connection it came on.
    const enableJsonResponse = !(isStreamable && hasProgressToken(message));
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse });
    await server.connect(transport);
    return answerOf(exchange, await transport.handleRequest(request, { parsedBody: message }));
  }
  const handler = createMcpHandler(() => server, { legacy: 'reject' });
  return answerOf(exchange, await handler.fetch(request, { parsedBody: message }));
}

function notOffered(message: unknown): Answer {
  const error = { code: ProtocolErrorCode.MethodNotFound, message: 'Method not found' };
  return { status: 404, body: { jsonrpc: '2.0', id: memberOf(message, 'id') ?? null, error } };
}

function requestOf(exchange: Exchange): Request {
  const headers = new Headers({ accept: ACCEPT });
  for (const name of FORWARDED) {
    const value = exchange.header(name);
    if (value !== undefined) headers.set(name, value);
  }
  return new Request('http://lanekeeper/mcp', { method: 'POST', headers });
}

function createServer({ version, instructions, tools, call }: Served, isStreamable: boolean): Server {
  const server = new Server({ name: 'lanekeeper', version }, { capabilities: { tools: {} }, instructions });
  server.setRequestHandler('tools/list', () => ({
    tools: [...tools.values()].map(
      ({ name, description, inputSchema, outputSchema, isReadOnly, isRepeatable }) => ({
        name,
        description,
        inputSchema,
        ...(outputSchema === undefined ? {} : { outputSchema }),
        annotations: { readOnlyHint: isReadOnly, idempotentHint: isRepeatable, openWorldHint: false },
      }),
    ),
  }));
  server.setRequestHandler('tools/call', async ({ params }, context) => {
    const tool = tools.get(params.name);
    // The same for one that there is and that is not shown: who may not use it is not told of it.
    if (tool === undefined)
      throw new ProtocolError(
        ProtocolErrorCode.InvalidParams,
        `Tool ${excerptOf(params.name, NAME_CHARACTERS)} not found`,
      );
    const { _meta: meta, notify } = context.mcpReq;
    const token = isStreamable ? meta?.progressToken : undefined;
    const tell = (progress: number): void => {
      if (token === undefined) return;
      const told = { progressToken: token, progress, message: 'still waiting' };
      // A client that has gone is told nothing.
      notify({ method: 'notifications/progress', params: told }).catch(() => undefined);
    };
    const { document, isRefusal } = await call(tool, {
      input: params.arguments ?? {},
      traceparent: textOf(meta?.[TRACEPARENT_META_KEY]),
      whileWaiting: (wait) => whileTelling(wait, tell),
    });
    const content = [{ type: 'text' as const, text: JSON.stringify(document) }];
    return isRefusal ? { content, isError: true } : { content, structuredContent: { ...document } };
  });
  return server;
}

/** @param tell Called every ten seconds with how many have passed. */
async function whileTelling<T>(wait: Promise<T>, tell: (seconds: number) => void): Promise<T> {
  const startedAt = performance.now();
  const timer = setInterval(
    () => tell(Math.round((performance.now() - startedAt) / 1000)),
    PROGRESS_INTERVAL_MS,
  );
  try {
    return await wait;
  } finally {
    clearInterval(timer);
  }
}

function hasProgressToken(message: unknown): boolean {
  const params = memberOf(message, 'params');
  return memberOf(memberOf(params, '_meta'), 'progressToken') !== undefined;
}

/** Of a message, which may be anything. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

async function answerOf(exchange: Exchange, response: Response): Promise<Answer> {
  const { status, body } = response;
  const contentType = response.headers.get('content-type') ?? '';
  if (body === null) return { status };
  if (!contentType.startsWith(EVENT_STREAM))
    return { status, raw: { body: await response.text(), contentType: contentType || 'application/json' } };
  const reader = body.getReader();
  return { status, stream: { contentType, begin: (stream) => void pump(exchange, reader, stream) } };
}

/** A few lines of progress and one answer: they always fit into what a stream takes. Whose credential was revoked meanwhile is given nothing. */
async function pump(
  { isConnected }: Exchange,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stream: AnswerStream,
): Promise<void> {
  stream.onClose(() => void reader.cancel().catch(() => undefined));
  for (;;) {
    const { done, value } = await reader.read();
    if (done || !isConnected() || !stream.send(value)) break;
  }
  stream.end();
}
