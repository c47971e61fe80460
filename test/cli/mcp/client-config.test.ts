/** What `mcp config` prints is taken by the client that it is for: parsed here as it is there, as far as that goes. */
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../../src/cli/exit-codes.ts';
import { problem } from '../../client/fixtures/scripted-server.ts';
import { useScriptedApi } from '../fixtures/scripted-api.ts';

const api = useScriptedApi();
/** For the client to replace, not for us or the shell. */
const VARIABLE = '\u0024{LANEKEEPER_TOKEN}';
const SECRET = 'lk_lane_secret"\\x';

const config = (...args: string[]) => api.run(['mcp', 'config', ...args]);

function answerWithKey(): void {
  api.server.respond = () => ({ status: 201, json: { key: { id: 'key_1', role: 'lane' }, secret: SECRET } });
}

describe('Claude Code', () => {
  test('finds the server and the name of the variable, never the key, in a file and in a command', async () => {
    const { code, stdout, stderr } = await config('--client', 'claude');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      mcpServers: {
        lanekeeper: {
          type: 'http',
          url: `${api.server.url}/mcp`,
          headers: { Authorization: `Bearer ${VARIABLE}` },
        },
      },
    });
    // Single quotes: the variable is for Claude Code to replace, not for the shell.
    expect(stderr).toContain(
      `Or: claude mcp add --transport http --header 'Authorization: Bearer ${VARIABLE}' --scope project lanekeeper ${api.server.url}/mcp`,
    );
    expect(stderr).toContain('lanekeeper key create --role orchestrator');
    expect(api.server.requests).toHaveLength(0);
  });

  test('starts the bridge where it speaks stdio', async () => {
    const { stdout, stderr } = await config('--client', 'claude', '--stdio', '--lane', 'factory');
    expect(JSON.parse(stdout).mcpServers.lanekeeper).toEqual({
      type: 'stdio',
      command: 'lanekeeper',
      args: ['mcp', '--stdio', '--url', api.server.url],
      env: { LANEKEEPER_TOKEN: VARIABLE },
    });
    expect(stderr).toContain(`--scope project lanekeeper -- lanekeeper mcp --stdio --url ${api.server.url}`);
    expect(stderr).toContain('lanekeeper lane key factory');
  });
});

describe('Codex', () => {
  test('is told the name of the variable, and to wait longer than the longest wait of a tool', async () => {
    const { stdout } = await config('--client', 'codex');
    expect(stdout.split('\n')).toEqual([
      '[mcp_servers.lanekeeper]',
      `url = "${api.server.url}/mcp"`,
      'bearer_token_env_var = "LANEKEEPER_TOKEN"',
      'startup_timeout_sec = 20',
      'tool_timeout_sec = 120',
      '',
    ]);
    expect((await config('--client', 'codex', '--stdio')).stdout).toContain(
      `command = "lanekeeper"\nargs = ["mcp", "--stdio", "--url", "${api.server.url}"]\nenv_vars = ["LANEKEEPER_TOKEN"]\n`,
    );
  });
});

describe('OpenCode', () => {
  test('finds it under mcp.servers, by HTTP and as a command', async () => {
    const remote = JSON.parse((await config('--client', 'opencode')).stdout);
    expect(remote.mcp.servers.lanekeeper).toEqual({
      type: 'remote',
      url: `${api.server.url}/mcp`,
      headers: { Authorization: 'Bearer {env:LANEKEEPER_TOKEN}' },
      oauth: false,
      timeout: { startup: 20_000, request: 120_000 },
    });
    const local = JSON.parse((await config('--client', 'opencode', '--stdio')).stdout);
    expect(local.mcp.servers.lanekeeper).toMatchObject({
      type: 'local',
      command: ['lanekeeper', 'mcp', '--stdio', '--url', api.server.url],
      environment: { LANEKEEPER_TOKEN: '{env:LANEKEEPER_TOKEN}' },
    });
  });
});

describe('a key that is made for it', () => {
  test('stands in what is printed, well quoted, and that is said', async () => {
    answerWithKey();
    const claude = await config('--client', 'claude', '--lane', 'factory', '--issue-key');
    expect(JSON.parse(claude.stdout).mcpServers.lanekeeper.headers).toEqual({
      Authorization: `Bearer ${SECRET}`,
    });
    expect(claude.stderr).toContain('What is printed holds the key key_1 (lane) itself');
    expect(api.lastRequest()).toBe(
      'POST /v1/boards/default/lanes/factory/keys {"name":"mcp of lane factory"}',
    );
    const codex = await config('--client', 'codex', '--lane', 'factory', '--issue-key');
    const header = /^http_headers = \{ Authorization = (".*") \}$/m.exec(codex.stdout)?.[1] ?? '';
    expect(JSON.parse(header)).toBe(`Bearer ${SECRET}`);
    expect(codex.stdout).not.toContain('bearer_token');
  });

  test('without a lane is that of an orchestrator of the board, and no other', async () => {
    answerWithKey();
    await api.run(['--board', 'factory', 'mcp', 'config', '--client', 'codex', '--stdio', '--issue-key']);
    expect(api.lastRequest()).toBe('POST /v1/keys {"role":"orchestrator","name":"mcp","boards":["factory"]}');
  });

  test('that is refused leaves nothing printed', async () => {
    api.server.respond = () => problem(403, 'forbidden');
    expect(await config('--client', 'claude', '--issue-key')).toMatchObject({ code: EXIT.auth, stdout: '' });
  });
});

test('all clients are shown when none is named, and as JSON with --json', async () => {
  const { stdout } = await config();
  for (const heading of [
    '# claude: .mcp.json\n',
    '# codex: ~/.codex/config.toml\n',
    '# opencode: opencode.jsonc\n',
  ])
    expect(stdout).toContain(heading);
  const { snippets } = JSON.parse((await config('--json')).stdout);
  expect(snippets.map(({ client, format }: Record<string, string>) => [client, format])).toEqual([
    ['claude', 'json'],
    ['codex', 'toml'],
    ['opencode', 'jsonc'],
  ]);
});

test('the bridge is not begun by mistake, nor with an origin that is none', async () => {
  expect(await api.run(['mcp'])).toMatchObject({ code: EXIT.usage, stdout: '' });
  for (const origin of ['chat 7', '["telegram"]', '{"platform":1}', '{"nowhere":"x"}'])
    expect(await api.run(['mcp', '--stdio', '--origin', origin]), origin).toMatchObject({
      code: EXIT.usage,
      stdout: '',
    });
  expect(api.server.requests).toHaveLength(0);
});

test('the bridge sends its origin with every message, in a form that can hold no second header', async () => {
  api.server.respond = () => ({ status: 200, json: { jsonrpc: '2.0', id: 1, result: {} } });
  const origin = { platform: 'telegram', chat_id: '7\r\nx: y', context: 'Überblick' };
  const end = await api.run(['mcp', '--stdio'], {
    stdin: '{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
    env: { LANEKEEPER_ORIGIN: JSON.stringify(origin) },
  });
  expect(end).toMatchObject({ code: 0, stdout: '{"jsonrpc":"2.0","id":1,"result":{}}\n' });
  const [request] = api.server.requests;
  expect(request?.path).toBe('/mcp');
  const header = String(request?.headers['lanekeeper-origin']);
  expect(JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))).toEqual(origin);
});
