/** The command line as the process that users start: its help, its exit codes, its files and its signals. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { problem, ScriptedServer } from '../client/fixtures/scripted-server.ts';
import { buildCli, type Cli, type CliEnd, runCli, startCli } from './fixtures/cli-process.ts';

let cli: Cli;
let server: ScriptedServer;
beforeAll(async () => {
  cli = await buildCli();
});
afterAll(() => cli.remove());
beforeEach(async () => {
  server = await ScriptedServer.start();
});
afterEach(() => server.stop());

interface RunOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
}

function run(args: readonly string[], { stdin = '', env = {} }: RunOptions = {}): Promise<CliEnd> {
  return runCli(cli, args, {
    stdin,
    env: { LANEKEEPER_URL: server.url, LANEKEEPER_TOKEN: 'lk_test', ...env },
  });
}

describe('help', () => {
  test('begins with examples, names every command, and needs no server', async () => {
    const { code, stdout } = await runCli(cli, ['--help']);
    expect(code).toBe(0);
    expect(stdout.startsWith('Examples:')).toBe(true);
    const names = [
      'serve',
      'migrate',
      'login',
      'whoami',
      'board|boards',
      'lane|lanes',
      'task|tasks',
      'key|keys',
      'work',
      'watch',
      'event|events',
      'attention',
      'snapshot',
    ];
    for (const name of names) expect(stdout).toContain(`\n  ${name} `);
  });

  test('explains commands and exit codes', async () => {
    expect((await runCli(cli, ['help', 'exit-codes'])).stdout).toContain('124  a wait has timed out');
    expect((await runCli(cli, ['help', 'lane', 'register'])).stdout).toContain('--allowed-status-mutations');
    expect((await runCli(cli, ['work', '--help'])).stdout).toContain('LANEKEEPER_TASK_ID');
  });

  test('corrects mistakes and ends with exit code 2', async () => {
    const mistakes = [
      ['tasx'],
      ['task', 'ad'],
      ['task', 'list', '--limit', '0'],
      ['task', 'add'],
      ['lane', 'register', 'x', '--kind', 'odd'],
      // Its tokens would be lost.
      ['lane', 'takeover', 'x', '--mode', 'adopt', '--worker', 'w'],
      ['task', 'schedule', 't', 'soon'],
      ['run', 'complete'],
      ['run', 'heartbeat', '--run', 'r', '--progress', 'some'],
    ];
    for (const args of mistakes)
      expect(await run(args), args.join(' ')).toMatchObject({ code: 2, stdout: '' });
    expect((await run(['tasx'])).stderr).toContain('Did you mean task?');
    expect(server.requests).toHaveLength(0);
  });
});

describe('a failure', () => {
  test('to reach the server ends with exit code 6 and the next step', async () => {
    const env = { LANEKEEPER_URL: 'http://127.0.0.1:9' };
    const end = await run(['task', 'cancel', 't'], { env });
    expect(end).toMatchObject({ code: 6, stderr: expect.stringContaining('Next: is the server running') });
  });

  test('never shows the key', async () => {
    server.respond = () => problem(401, 'unauthenticated');
    expect((await run(['whoami'], { env: { LANEKEEPER_TOKEN: 'lk_very_secret' } })).stderr).not.toContain(
      'lk_very_secret',
    );
  });
});

describe('login', () => {
  test('checks the key, stores it for the user alone, and makes later commands use it', async () => {
    const principal = {
      type: 'key',
      key: { id: 'key_1', role: 'lane', name: 'n', boards: ['factory'], lane: 'l', expires_at: null },
    };
    server.respond = () => ({ status: 200, json: { principal } });
    const home = { HOME: cli.directory, XDG_CONFIG_HOME: join(cli.directory, 'config') };
    const login = await runCli(cli, ['login', '--url', server.url], { stdin: 'lk_stored\n', env: home });
    expect(login).toMatchObject({ code: 0, stdout: '' });
    const path = join(home.XDG_CONFIG_HOME, 'lanekeeper', 'profiles.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await runCli(cli, ['lane', 'list', '--json'], { env: home });
    expect(server.requests.at(-1)).toMatchObject({
      path: '/v1/boards/factory/lanes',
      headers: { authorization: 'Bearer lk_stored' },
    });
    await runCli(cli, ['logout'], { env: home });
    expect(await readFile(path, 'utf8')).not.toContain('lk_stored');
  });

  test('stores nothing when the key is refused', async () => {
    server.respond = () => problem(401, 'unauthenticated');
    const home = { XDG_CONFIG_HOME: join(cli.directory, 'refused') };
    expect(await runCli(cli, ['login', '--url', server.url], { stdin: 'bad', env: home })).toMatchObject({
      code: 4,
    });
    await expect(stat(join(home.XDG_CONFIG_HOME, 'lanekeeper', 'profiles.json'))).rejects.toThrow('ENOENT');
  });
});

describe('watch', () => {
  const event = (seq: number) => ({
    seq,
    cursor: `c${seq}`,
    at: '2026-01-01T00:00:00.000Z',
    kind: 'task.created',
    task_id: 't',
    data: { title: `T${seq}` },
  });
  beforeEach(() => {
    server.accept = (socket) => {
      socket.on('message', () => {
        socket.send(JSON.stringify({ type: 'watching', id: 'watch', cursor: 'c0' }));
        socket.send(
          JSON.stringify({ type: 'events', id: 'watch', events: [event(1), event(2)], cursor: 'c2' }),
        );
      });
    };
  });

  test('prints one event a line, as JSON when asked to', async () => {
    const people = await run(['watch', '--count', '2']);
    expect(people.stdout).toBe(
      '2026-01-01T00:00:00.000Z  1  task.created  t  T1\n2026-01-01T00:00:00.000Z  2  task.created  t  T2\n',
    );
    const json = await run(['watch', '--count', '2', '--json']);
    expect(
      json.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { seq: number }).seq),
    ).toEqual([1, 2]);
  });

  test('says what a worker was told', async () => {
    const steered = { ...event(1), kind: 'task.steered', data: { message_id: 'msg_1', text: 'hurry' } };
    server.accept = (socket) => {
      socket.on('message', () => {
        socket.send(JSON.stringify({ type: 'watching', id: 'watch', cursor: 'c0' }));
        socket.send(JSON.stringify({ type: 'events', id: 'watch', events: [steered], cursor: 'c1' }));
      });
    };
    expect((await run(['watch', '--count', '1'])).stdout).toContain('task.steered  t  hurry');
  });

  test('says once where it cannot connect and why, and goes on until it can', async () => {
    server.refuseUpgradesWith = 503;
    server.respond = () => problem(503, 'draining');
    const started = startCli(cli, ['watch', '--count', '1'], { env: { LANEKEEPER_URL: server.url } });
    await expect.poll(() => server.upgrades.length, { timeout: 15_000 }).toBeGreaterThan(2);
    server.refuseUpgradesWith = 0;
    const { code, stderr } = await started.ended;
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `${server.url}: A title: Some detail. (draining); trying again for 30 s\nconnected\n`,
    });
  });

  test('of a board that is deleted meanwhile ends with exit code 3', async () => {
    server.accept = (socket) => socket.close(1008, 'the board is gone');
    expect(await run(['watch'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('the board is gone'),
    });
  });

  test('ends with exit code 130 at Ctrl-C, and quietly when its reader goes away', async () => {
    const env = { LANEKEEPER_URL: server.url, LANEKEEPER_TOKEN: 'k' };
    const interrupted = startCli(cli, ['watch'], { env });
    await expect.poll(interrupted.stdout, { timeout: 10_000 }).toContain('T2');
    interrupted.child.kill('SIGINT');
    expect(await interrupted.ended).toMatchObject({ code: 130, stderr: '' });

    const piped = startCli(cli, ['watch'], { env });
    await expect.poll(piped.stdout, { timeout: 10_000 }).toContain('T2');
    piped.child.stdout?.destroy();
    server.broadcast(JSON.stringify({ type: 'events', id: 'watch', events: [event(3)], cursor: 'c3' }));
    expect(await piped.ended).toMatchObject({ code: 0, stderr: '' });
  });
});

test('serve and migrate belong to the server', async () => {
  expect(await runCli(cli, ['--quiet', 'serve', '--port', '1'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('must be the first word'),
  });
});
