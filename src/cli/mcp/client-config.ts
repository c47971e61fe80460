/**
 * What to write into the configuration of an MCP client, so that it finds this server: Claude Code (.mcp.json), Codex (config.toml) and
 * OpenCode (opencode.jsonc). The credential is a reference to an environment variable unless a key was made to stand there itself.
 */

export const MCP_CLIENTS = ['claude', 'codex', 'opencode'] as const;
export type McpClient = (typeof MCP_CLIENTS)[number];

export interface ServerEntry {
  /** Of the server, without /mcp. */
  readonly url: string;
  /** Through `lanekeeper mcp --stdio` instead of HTTP. */
  readonly isStdio: boolean;
  /** Of the bridge's own; it brings the credential with it. */
  readonly profile: string | undefined;
  /** Made for this entry; absent: LANEKEEPER_TOKEN, wherever the client reads its environment. */
  readonly secret: string | undefined;
}

export interface ConfigSnippet {
  readonly client: McpClient;
  /** Where it belongs. */
  readonly file: string;
  readonly format: 'json' | 'toml' | 'jsonc';
  readonly text: string;
  /** Does the same, where the client has a command for it. */
  readonly command: string | undefined;
}

const NAME = 'lanekeeper';
const VARIABLE = 'LANEKEEPER_TOKEN';
/** The longest wait of a tool is 45 s; clients give up after 60 s or less by themselves, and a start may have to wait for the machine. */
const CALL_SECONDS = 120;
const START_SECONDS = 20;

export function snippetFor(client: McpClient, entry: ServerEntry): ConfigSnippet {
  switch (client) {
    case 'claude':
      return claudeSnippet(entry);
    case 'codex':
      return codexSnippet(entry);
    case 'opencode':
      return openCodeSnippet(entry);
  }
}

function endpointOf({ url }: ServerEntry): string {
  return `${url.replace(/\/+$/, '')}/mcp`;
}

function bridgeArguments({ url, profile }: ServerEntry): string[] {
  return profile === undefined ? ['mcp', '--stdio', '--url', url] : ['mcp', '--stdio', '--profile', profile];
}

/** The bridge reads the profile itself; nothing else needs to be handed to it. */
function isKeyNeeded({ isStdio, profile, secret }: ServerEntry): boolean {
  return secret !== undefined || !isStdio || profile === undefined;
}

function claudeSnippet(entry: ServerEntry): ConfigSnippet {
  // Claude Code puts the variable's value in when it reads .mcp.json.
  const key = entry.secret ?? `\${${VARIABLE}}`;
  const env = isKeyNeeded(entry) ? { env: { [VARIABLE]: key } } : {};
  const server = entry.isStdio
    ? { type: 'stdio', command: NAME, args: bridgeArguments(entry), ...env }
    : { type: 'http', url: endpointOf(entry), headers: { Authorization: `Bearer ${key}` } };
  // --scope stands last of the options, because the ones before it take as many values as they find.
  const words = entry.isStdio
    ? [
        ...(isKeyNeeded(entry) ? ['--env', `${VARIABLE}=${key}`] : []),
        ...['--scope', 'project', NAME, '--', NAME, ...bridgeArguments(entry)],
      ]
    : [
        ...['--transport', 'http', '--header', `Authorization: Bearer ${key}`],
        ...['--scope', 'project', NAME, endpointOf(entry)],
      ];
  return {
    client: 'claude',
    file: '.mcp.json',
    format: 'json',
    text: JSON.stringify({ mcpServers: { [NAME]: server } }, null, 2),
    command: ['claude', 'mcp', 'add', ...words].map(shellWord).join(' '),
  };
}

function codexSnippet(entry: ServerEntry): ConfigSnippet {
  const lines = [`[mcp_servers.${NAME}]`];
  if (entry.isStdio) {
    lines.push(`command = ${tomlText(NAME)}`);
    lines.push(`args = [${bridgeArguments(entry).map(tomlText).join(', ')}]`);
    if (entry.secret !== undefined) lines.push(`env = { ${VARIABLE} = ${tomlText(entry.secret)} }`);
    // Codex hands on only the variables that are named.
    else if (isKeyNeeded(entry)) lines.push(`env_vars = [${tomlText(VARIABLE)}]`);
  } else {
    lines.push(`url = ${tomlText(endpointOf(entry))}`);
    // A token in plain text is refused under its own name, and taken as a header.
    if (entry.secret === undefined) lines.push(`bearer_token_env_var = ${tomlText(VARIABLE)}`);
    else lines.push(`http_headers = { Authorization = ${tomlText(`Bearer ${entry.secret}`)} }`);
  }
  lines.push(`startup_timeout_sec = ${START_SECONDS}`, `tool_timeout_sec = ${CALL_SECONDS}`);
  return {
    client: 'codex',
    file: '~/.codex/config.toml',
    format: 'toml',
    text: lines.join('\n'),
    command: undefined,
  };
}

function openCodeSnippet(entry: ServerEntry): ConfigSnippet {
  const key = entry.secret ?? `{env:${VARIABLE}}`;
  const environment = isKeyNeeded(entry) ? { environment: { [VARIABLE]: key } } : {};
  const timeout = { startup: START_SECONDS * 1000, request: CALL_SECONDS * 1000 };
  const server = entry.isStdio
    ? { type: 'local', command: [NAME, ...bridgeArguments(entry)], ...environment, timeout }
    : {
        type: 'remote',
        url: endpointOf(entry),
        headers: { Authorization: `Bearer ${key}` },
        oauth: false,
        timeout,
      };
  const document = { $schema: 'https://opencode.ai/config.json', mcp: { servers: { [NAME]: server } } };
  return {
    client: 'opencode',
    file: 'opencode.jsonc',
    format: 'jsonc',
    text: JSON.stringify(document, null, 2),
    command: undefined,
  };
}

/** A basic string of TOML is one of JSON, with DEL escaped too. */
function tomlText(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f');
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
