/** mcp --stdio | mcp config: how agents reach the MCP endpoint of a server. What the tools are is in docs/mcp.md. */
import { type Command, Option } from 'commander';
import { systemTiming } from '../../client/timing.ts';
import { HEADERS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { Bridge } from '../mcp/bridge.ts';
import { type ConfigSnippet, MCP_CLIENTS, type McpClient, snippetFor } from '../mcp/client-config.ts';
import { readLines } from '../mcp/lines.ts';
import { originHeader } from '../mcp/origin.ts';
import { withExamples } from '../options.ts';
import { drained } from '../output.ts';
import type { Register } from '../register.ts';
import { secretOf } from '../secret.ts';

interface BridgeFlags {
  readonly stdio?: boolean;
  readonly origin?: string;
}

interface ConfigFlags {
  readonly client?: McpClient;
  readonly stdio?: boolean;
  readonly lane?: string;
  readonly issueKey?: boolean;
}

/** What the server refuses as a body is read here all the same, so that the refusal reaches the request it is meant for. */
const LINE_BYTES_MAX = 8 * 1024 * 1024;

export const registerMcp: Register = (mcp, contextOf) => {
  withExamples(
    mcp,
    `  lanekeeper mcp config --client claude > .mcp.json
  lanekeeper mcp --stdio`,
  );
  mcp
    .description(
      "A bridge for MCP clients that speak only stdio: messages on stdin go to the server's /mcp, answers to stdout.",
    )
    .option('--stdio', 'be the bridge')
    .option('--origin <json>', 'where its requests come from; default: LANEKEEPER_ORIGIN')
    .action((flags: BridgeFlags) => bridge(contextOf(), flags));
  const config = mcp
    .command('config')
    .description('print what to write into the configuration of a client')
    .addOption(new Option('--client <name>', 'default: all of them').choices(MCP_CLIENTS))
    .option('--stdio', 'through the bridge instead of HTTP')
    .option('--lane <name>', 'for the workers of this lane')
    .option(
      '--issue-key',
      'make a key, and print it in its place: of the lane, or an orchestrator of --board',
    )
    // Of two options of one name the outer command takes what is given, wherever it stands.
    .action((_: ConfigFlags, command: Command) =>
      printConfig(contextOf(), command.optsWithGlobals<ConfigFlags>()),
    );
  withExamples(
    config,
    `  lanekeeper mcp config --client claude > .mcp.json
  lanekeeper mcp config --client codex --stdio >> ~/.codex/config.toml
  lanekeeper mcp config --client opencode --lane factory --issue-key > opencode.jsonc`,
  );
};

async function bridge(context: Context, flags: BridgeFlags): Promise<void> {
  const { system, output } = context;
  if (!flags.stdio) throw new UsageError('Give --stdio, or see: lanekeeper mcp config --help');
  const { url, token } = await context.settings();
  const origin = flags.origin ?? (system.env['LANEKEEPER_ORIGIN'] || undefined);
  const endpoint = {
    url: `${url.replace(/\/+$/, '')}/mcp`,
    token: () => context.findToken(),
    headers: origin === undefined ? {} : { [HEADERS.origin]: originHeader(origin) },
    fetch: (...parameters: Parameters<typeof fetch>) => fetch(...parameters),
  };
  if (token === undefined)
    output.warn('There is no key for the server yet: without one it refuses every message.');
  const running = new Bridge({
    endpoint,
    timing: systemTiming,
    write: async (message) => {
      output.jsonLine(message);
      await drained(output);
    },
  });
  await running.run(readLines(system.stdin(), LINE_BYTES_MAX));
}

async function printConfig(context: Context, flags: ConfigFlags): Promise<void> {
  const { output } = context;
  const { url } = await context.settings();
  const secret = flags.issueKey ? await issueKey(context, flags.lane) : undefined;
  const entry = { url, isStdio: flags.stdio ?? false, profile: context.flags.profile, secret };
  const clients = flags.client === undefined ? MCP_CLIENTS : [flags.client];
  const snippets = clients.map((client) => snippetFor(client, entry));
  if (output.isJson) output.json({ snippets });
  else for (const snippet of snippets) writeSnippet(context, snippet, clients.length > 1);
  if (secret === undefined) noteKey(context, flags);
}

/** Of one client nothing but the file goes to stdout, so that `> .mcp.json` keeps exactly it. */
function writeSnippet({ output }: Context, snippet: ConfigSnippet, isOneOfSeveral: boolean): void {
  const { client, file, text, command } = snippet;
  if (isOneOfSeveral) output.line(`# ${client}: ${file}`);
  else output.note(`For ${file}:`);
  output.line(text);
  if (isOneOfSeveral) output.line();
  if (command !== undefined) output.note(`Or: ${command}`);
}

function noteKey({ output, flags: { profile } }: Context, { lane, stdio }: ConfigFlags): void {
  if (stdio && profile !== undefined) return;
  const make =
    lane === undefined
      ? 'lanekeeper key create --role orchestrator --name agent'
      : `lanekeeper lane key ${lane}`;
  output.note(`The agent finds its key in LANEKEEPER_TOKEN. Next: export LANEKEEPER_TOKEN="$(${make})"`);
}

async function issueKey(context: Context, lane: string | undefined): Promise<string> {
  const { output } = context;
  const client = await context.client();
  const reply =
    lane === undefined
      ? await client.keys.create({ role: 'orchestrator', name: 'mcp', boards: [client.board] })
      : await client.lanes.createKey(lane, { name: `mcp of lane ${lane}` });
  const { key } = reply;
  const secret = secretOf(reply);
  output.warn(
    `What is printed holds the key ${key.id} (${key.role}) itself. Revoke it with: lanekeeper key revoke ${key.id}`,
  );
  return secret;
}
