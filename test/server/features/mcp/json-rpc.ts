/** Raw MCP messages over HTTP, as clients of both eras send them: without a library, so that what goes over the wire is what the test says. */
import { call, type TestServer } from '../../../fixtures/server.ts';

export type Era = '2025' | '2026';

const LEGACY_REVISION = '2025-06-18';
const MODERN_REVISION = '2026-07-28';

export interface RpcOptions {
  readonly era?: Era;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly progressToken?: string;
}

export interface RpcAnswer {
  readonly status: number;
  /** All that came: one message, or those of a stream. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read members of every shape of answer
  readonly messages: any[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly body: any;
  readonly headers: Headers;
}

const envelope = {
  'io.modelcontextprotocol/protocolVersion': MODERN_REVISION,
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Methods carry their name in a header in the newer era, and tools theirs. */
function eraHeaders(era: Era, method: string, params: Readonly<Record<string, unknown>>) {
  if (era === '2025') return method === 'initialize' ? {} : { 'MCP-Protocol-Version': LEGACY_REVISION };
  const name = typeof params['name'] === 'string' ? { 'Mcp-Name': params['name'] } : {};
  return { 'MCP-Protocol-Version': MODERN_REVISION, 'Mcp-Method': method, ...name };
}

export async function rpc(
  server: TestServer,
  token: string | null,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  { era = '2026', headers = {}, signal, progressToken }: RpcOptions = {},
): Promise<RpcAnswer> {
  const progress = progressToken === undefined ? {} : { progressToken };
  const meta = era === '2026' ? { ...envelope, ...progress } : progress;
  const answer = await call(server.url, 'POST', '/mcp', {
    token,
    body: { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } },
    headers: {
      Accept: 'application/json, text/event-stream',
      ...eraHeaders(era, method, params),
      ...headers,
    },
    ...(signal ? { signal } : {}),
  });
  const isStream = /event-stream/.test(answer.headers.get('Content-Type') ?? '');
  const messages = isStream ? eventsOf(answer.body) : [answer.body];
  return { status: answer.status, messages, body: messages.at(-1), headers: answer.headers };
}

function eventsOf(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice('data: '.length)));
}

export interface ToolSaid {
  readonly isError: boolean;
  /** What it says, read from its text. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly said: any;
  readonly text: string;
  readonly structured: unknown;
}

/** Calls a tool; a refusal is an answer as well. */
export async function useTool(
  server: TestServer,
  token: string,
  name: string,
  input: Readonly<Record<string, unknown>> = {},
  options: RpcOptions = {},
): Promise<ToolSaid> {
  const answer = await rpc(server, token, 'tools/call', { name, arguments: input }, options);
  const { result } = answer.body;
  if (result === undefined) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
  const text = result.content[0].text;
  return {
    isError: result.isError ?? false,
    said: JSON.parse(text),
    text,
    structured: result.structuredContent,
  };
}

export async function toolNames(
  server: TestServer,
  token: string,
  options: RpcOptions = {},
): Promise<string[]> {
  const { body } = await rpc(server, token, 'tools/list', {}, options);
  return body.result.tools.map((tool: { readonly name: string }) => tool.name);
}
