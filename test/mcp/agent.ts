/** An agent: the official MCP client, over HTTP or over the bridge of the command line, with what comes back read as tests need it. */
import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client';
import { onTestFinished } from 'vitest';

export interface Agent {
  readonly client: Client;
  toolNames(): Promise<string[]>;
  /** The document that a tool answers; a refusal is an error of the test. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read members of every shape of answer
  call(name: string, input?: Record<string, unknown>, signal?: AbortSignal): Promise<any>;
  /** The document that a tool refuses with. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read members of every shape of answer
  refusal(name: string, input?: Record<string, unknown>): Promise<any>;
}

/** `legacy` begins with initialize, as clients before the revision of July 2026 do; `auto` asks for that revision first. */
export type Era = 'legacy' | 'auto';

export interface HttpOptions {
  readonly era?: Era;
  readonly headers?: Readonly<Record<string, string>>;
  readonly fetch?: typeof fetch;
}

export function connectHttp(url: string, token: string, options: HttpOptions = {}): Promise<Agent> {
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', url), {
    requestInit: { headers: { Authorization: `Bearer ${token}`, ...options.headers } },
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
  });
  return connectAgent(transport, options.era ?? 'auto');
}

/** Closed when the current test ends. */
export async function connectAgent(transport: Transport, era: Era): Promise<Agent> {
  const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: era } });
  await client.connect(transport);
  onTestFinished(() => client.close());
  const called = async (name: string, input: Record<string, unknown>, signal?: AbortSignal) => {
    const options = signal === undefined ? {} : { signal };
    const { content, structuredContent, isError } = await client.callTool(
      { name, arguments: input },
      options,
    );
    const [only] = content;
    if (only?.type !== 'text') throw new Error(`${name} answered without a text`);
    return { document: JSON.parse(only.text) as unknown, text: only.text, structuredContent, isError };
  };
  return {
    client,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, input, signal) => {
      const { document, text, isError } = await called(name, input ?? {}, signal);
      if (isError) throw new Error(`${name} refused: ${text}`);
      return document;
    },
    refusal: async (name, input) => {
      const { document, text, isError } = await called(name, input ?? {});
      if (!isError) throw new Error(`${name} did not refuse: ${text}`);
      return document;
    },
  };
}
