import { readFile, stat, writeFile } from 'node:fs/promises';
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

const TASK = {
  id: 'task_1',
  title: 'Paint \u001b[31mit',
  status: 'ready',
  status_since: '2026-01-01T00:00:00.000Z',
  lane: 'factory',
  priority: 0,
  labels: {},
  claim: null,
  blocked: null,
  body: null,
  summary: null,
  payload: null,
  result: null,
};

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

/** What the last request was, as "METHOD path body". */
function lastRequest(): string {
  const { method, path, body } = server.requests.at(-1) ?? { method: '', path: '', body: undefined };
  return [method, path, ...(body === undefined ? [] : [JSON.stringify(body)])].join(' ');
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

describe('a command', () => {
  test('registers a lane to the letter of its documentation', async () => {
    server.respond = () => problem(500, 'internal');
    const line =
      'lanes register factory --kind persistent --claim-mode pull-or-watch --allowed-status-mutations own-claimed-only';
    await run(line.split(' '));
    expect(lastRequest()).toBe(
      'PUT /v1/boards/default/lanes/factory {"kind":"persistent","claim_mode":"pull-or-watch","allowed_status_mutations":"own-claimed-only"}',
    );
  });

  const requests: readonly (readonly [string, string])[] = [
    ['board create b --title T --paused', 'PUT /v1/boards/b {"title":"T","settings":{"paused":true}}'],
    ['boards list --limit 5', 'GET /v1/boards?limit=5'],
    ['board get', 'GET /v1/boards/default'],
    ['board get -b other', 'GET /v1/boards/other'],
    ['board set b --no-paused', 'PATCH /v1/boards/b {"settings":{"paused":false}}'],
    ['board delete b', 'DELETE /v1/boards/b'],
    ['lane list --board other', 'GET /v1/boards/other/lanes'],
    ['lane get l', 'GET /v1/boards/default/lanes/l'],
    ['lane show l', 'GET /v1/boards/default/lanes/l'],
    [
      'lane set l --no-progress-seconds 5 --clear max_concurrent_claims --label a=b',
      'PATCH /v1/boards/default/lanes/l {"no_progress_seconds":5,"labels":{"a":"b"},"max_concurrent_claims":null}',
    ],
    ['lane pause l', 'POST /v1/boards/default/lanes/l/pause'],
    ['lane resume l', 'POST /v1/boards/default/lanes/l/resume'],
    ['lane drain l', 'POST /v1/boards/default/lanes/l/drain'],
    [
      'lane takeover l --mode adopt --worker w --json',
      'POST /v1/boards/default/lanes/l/takeover {"mode":"adopt","worker":"w"}',
    ],
    [
      'lane takeover l --mode release --worker w',
      'POST /v1/boards/default/lanes/l/takeover {"mode":"release","worker":"w"}',
    ],
    ['lane delete l', 'DELETE /v1/boards/default/lanes/l'],
    ['lane key l --name n', 'POST /v1/boards/default/lanes/l/keys {"name":"n"}'],
    [
      'task add T --lane l --priority -5 --payload {"a":1} --label x=y --max-failures 3 --idempotency-key k --no-progress-seconds 9',
      'POST /v1/boards/default/tasks {"priority":-5,"payload":{"a":1},"labels":{"x":"y"},"max_failures":3,"no_progress_seconds":9,"lane":"l","idempotency_key":"k","title":"T"}',
    ],
    [
      'tasks list --status ready,running --label k=v --search x',
      'GET /v1/boards/default/tasks?status=ready%2Crunning&q=x&label=k%3Av',
    ],
    ['task get t', 'GET /v1/boards/default/tasks/t'],
    [
      'task set t --priority 2 --clear tenant',
      'PATCH /v1/boards/default/tasks/t {"priority":2,"tenant":null}',
    ],
    [
      'task cancel t --reason r --deadline-seconds 0',
      'POST /v1/boards/default/tasks/t/cancel {"reason":"r","deadline_seconds":0}',
    ],
    ['task unblock t --answer a', 'POST /v1/boards/default/tasks/t/unblock {"answer":"a"}'],
    ['task complete t --result [1]', 'POST /v1/boards/default/tasks/t/complete {"result":[1]}'],
    [
      'task add T --parent p --parent q --run-at 2030-01-01T00:00:00Z',
      'POST /v1/boards/default/tasks {"run_at":"2030-01-01T00:00:00.000Z","parents":["p","q"],"title":"T"}',
    ],
    ['tasks list --parent p', 'GET /v1/boards/default/tasks?parent=p'],
    ['task link c p', 'PUT /v1/boards/default/tasks/c/parents/p'],
    ['task unlink c p', 'DELETE /v1/boards/default/tasks/c/parents/p'],
    ['task graph t', 'GET /v1/boards/default/tasks/t/graph'],
    ['task context t', 'GET /v1/boards/default/tasks/t/context'],
    [
      'task schedule t 2030-01-01T00:00:00Z',
      'POST /v1/boards/default/tasks/t/schedule {"run_at":"2030-01-01T00:00:00.000Z"}',
    ],
    ['task accept t', 'POST /v1/boards/default/tasks/t/accept'],
    ['task request-changes t why', 'POST /v1/boards/default/tasks/t/request-changes {"reason":"why"}'],
    [
      'run heartbeat --run r --progress 2 --checkpoint [1]',
      'POST /v1/runs/r/heartbeat {"progress":2,"checkpoint":[1]}',
    ],
    ['run complete --run r --result 1', 'POST /v1/runs/r/complete {"result":1}'],
    ['run complete --run r --review', 'POST /v1/runs/r/complete {"review":true}'],
    ['run complete --run r --reviewer qa', 'POST /v1/runs/r/complete {"reviewer":"qa","review":true}'],
    ['run request-changes --run r why', 'POST /v1/runs/r/request-changes {"reason":"why"}'],
    ['run block --run r why --kind dependency', 'POST /v1/runs/r/block {"reason":"why","kind":"dependency"}'],
    ['run release --run r --delay-seconds 3', 'POST /v1/runs/r/release {"delay_seconds":3}'],
    [
      'run fail --run r why --permanent --metadata {"a":1}',
      'POST /v1/runs/r/fail {"error":"why","permanent":true,"metadata":{"a":1}}',
    ],
    ['task promote t', 'POST /v1/boards/default/tasks/t/promote'],
    ['task assign t l', 'POST /v1/boards/default/tasks/t/assign {"lane":"l"}'],
    ['task assign t -', 'POST /v1/boards/default/tasks/t/assign {"lane":null}'],
    ['task archive t', 'POST /v1/boards/default/tasks/t/archive'],
    ['task reopen t', 'POST /v1/boards/default/tasks/t/reopen'],
    ['task comment t hello', 'POST /v1/boards/default/tasks/t/comments {"body":"hello"}'],
    ['task comments t', 'GET /v1/boards/default/tasks/t/comments'],
    ['task runs t --limit 3', 'GET /v1/boards/default/tasks/t/runs?limit=3'],
    ['task events t --after c', 'GET /v1/boards/default/tasks/t/events?after=c'],
    [
      'key create --role lane --name n --lane l',
      'POST /v1/keys {"role":"lane","name":"n","board":"default","lane":"l"}',
    ],
    ['key list', 'GET /v1/keys'],
    ['key revoke key_1', 'DELETE /v1/keys/key_1'],
    ['events --kinds task.failed --limit 7', 'GET /v1/boards/default/events?kinds=task.failed&limit=7'],
    ['task why t', 'GET /v1/boards/default/tasks/t/why'],
    ['attention', 'GET /v1/boards/default/attention'],
    ['snapshot', 'GET /v1/boards/default/snapshot'],
    ['whoami', 'GET /v1/whoami'],
  ];
  for (const [line, request] of requests) {
    test(`${line} asks for ${request.split(' ', 2).join(' ')}`, async () => {
      // Any final answer will do: it is the question that counts.
      server.respond = () => problem(404, 'not_found');
      expect((await run(line.split(' '))).code).toBe(3);
      expect(lastRequest()).toBe(request);
      expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer lk_test');
    });
  }

  test('acts on the run that its environment names', async () => {
    server.respond = () => ({ status: 200, json: { task: { ...TASK, status: 'done' }, run: {} } });
    const { code, stdout } = await run(['run', 'complete'], { env: { LANEKEEPER_RUN_ID: 'run_1' } });
    expect([code, stdout]).toEqual([0, 'task_1 done on lane factory: Paint ␛[31mit\n']);
    expect(lastRequest()).toBe('POST /v1/runs/run_1/complete {}');
  });

  test('shows a graph as a tree, and the text of a task as it is, both without control characters of others', async () => {
    const node = (id: string) => ({ id, title: `${id} \u001b[31m`, status: 'todo', lane: null });
    const graph = {
      nodes: ['a', 'b'].map(node),
      edges: [{ parent: 'a', child: 'b', met: false }],
      truncated: false,
    };
    server.respond = () => ({ status: 200, json: graph });
    expect((await run(['task', 'graph', 'b'])).stdout).toBe(
      'a ␛[31m  todo  -  a\n└─ b ␛[31m  todo  -  b  *\n',
    );
    expect(JSON.parse((await run(['task', 'graph', 'b', '--json'])).stdout)).toEqual(graph);
    server.respond = () => ({ status: 200, json: { text: '# x\n\n> \u001b[31m\n' } });
    expect((await run(['task', 'context', 'b'])).stdout).toBe('# x\n\n> ␛[31m\n');
  });

  test('names parents by their line in a file of tasks, as far as one request reaches', async () => {
    server.respond = ({ body }) => ({
      status: 201,
      json: { tasks: (body as { tasks: object[] }).tasks.map(() => TASK) },
    });
    const lines = (count: number): string =>
      Array.from({ length: count }, () => '{"title":"x","parents":["#0"]}').join('\n');
    const few = await run(['task', 'add', '--from', '-'], { stdin: `{"title":"first"}\n${lines(1)}` });
    expect(few.code).toBe(0);
    expect(lastRequest()).toContain('{"tasks":[{"title":"first"},{"title":"x","parents":["#0"]}]}');
    const asked = server.requests.length;
    const many = await run(['task', 'add', '--from', '-'], { stdin: lines(1001) });
    expect([many.code, many.stderr]).toEqual([
      2,
      expect.stringContaining('reach no farther than one request'),
    ]);
    expect(server.requests).toHaveLength(asked);
  });

  test('prints the answer of the API with --json, and nothing else on stdout', async () => {
    const answer = { tasks: [TASK], next_page_token: 'p2', cursor: 'c' };
    server.respond = () => ({ status: 200, json: answer });
    const { code, stdout, stderr } = await run(['tasks', 'list', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(answer);
  });

  test('prints a table for people, with the next step on stderr and no control characters of others', async () => {
    server.respond = () => ({ status: 200, json: { tasks: [TASK], next_page_token: 'p2', cursor: 'c' } });
    const { stdout, stderr } = await run(['tasks', 'list']);
    expect(stdout).toContain('task_1  ready   factory');
    expect(stdout).toContain('Paint ␛[31mit');
    expect(stderr).toContain('--page-token p2');
    expect((await run(['tasks', 'list', '-q'])).stderr).toBe('');
  });

  test('follows all pages with --all', async () => {
    server.respond = ({ path }) => {
      const isLast = path.includes('page_token=p2');
      return {
        status: 200,
        json: {
          tasks: [{ ...TASK, id: isLast ? 'task_2' : 'task_1' }],
          next_page_token: isLast ? null : 'p2',
          cursor: 'c',
        },
      };
    };
    const { stdout } = await run(['tasks', 'list', '--all', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      tasks: [{ id: 'task_1' }, { id: 'task_2' }],
      next_page_token: null,
    });
  });

  test('reads texts from files and stdin', async () => {
    server.respond = () => problem(404, 'not_found');
    const file = join(cli.directory, 'body.txt');
    await writeFile(file, 'from a file');
    await run(['task', 'add', 'T', '--body', `@${file}`, '--payload', '-'], { stdin: '[1, 2]' });
    expect(server.requests.at(-1)?.body).toEqual({ title: 'T', body: 'from a file', payload: [1, 2] });
    expect(await run(['task', 'add', 'T', '--payload', '{'])).toMatchObject({ code: 2 });
  });

  test('adds many tasks from lines of JSON, at most 1,000 in one request, with the options as defaults', async () => {
    server.respond = ({ body }) => ({
      status: 201,
      json: { tasks: (body as { tasks: unknown[] }).tasks.map(() => TASK) },
    });
    const lines = Array.from({ length: 1001 }, (_, index) =>
      JSON.stringify({ title: `t${index}`, priority: index }),
    );
    const end = await run(['task', 'add', '--from', '-', '--lane', 'l', '--priority', '-1'], {
      stdin: lines.join('\n\n'),
    });
    expect(end).toMatchObject({ code: 0, stderr: expect.stringContaining('Added 1001 tasks.') });
    const bodies = server.requests.map(({ body }) => (body as { tasks: object[] }).tasks);
    expect(bodies.map((tasks) => tasks.length)).toEqual([1000, 1]);
    expect(bodies[1]?.[0]).toEqual({ title: 't1000', priority: 1000, lane: 'l' });
    expect(await run(['task', 'add', '--from', '-'], { stdin: '{"title":"ok"}\nnot json' })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Line 2'),
    });
  });

  test('sends a message without the line end of its file, and is told at once when nobody takes any', async () => {
    const messages = Array.from({ length: 100 }, (_, index) => ({ id: `msg_${index}`, state: 'queued' }));
    server.respond = ({ method }) =>
      method === 'POST'
        ? problem(429, 'rate_limited', { headers: { 'retry-after': '10' } })
        : { status: 200, json: { messages } };
    const end = await run(['task', 'steer', 't', '-'], { stdin: 'one\ntwo\n' });
    expect(server.requests.map(({ method, body }) => [method, body])).toEqual([
      ['POST', { message: 'one\ntwo' }],
      ['GET', undefined],
    ]);
    expect(end).toMatchObject({ code: 5, stderr: expect.stringContaining('Nobody has taken') });
  });

  test('says how many lines were not kept before the output that it shows', async () => {
    const lines = [
      { number: 8, run_id: 'run_1', at: '2026-01-01T00:00:00.000Z', text: 'eight' },
      { number: 9, run_id: 'run_1', at: '2026-01-01T00:00:00.000Z', text: 'nine' },
    ];
    server.respond = () => ({ status: 200, json: { lines } });
    const end = await run(['task', 'output', 't']);
    expect(end).toMatchObject({ stdout: 'eight\nnine\n', stderr: '(7 earlier lines not kept)\n' });
  });

  test('prints a secret alone on stdout', async () => {
    const key = { id: 'key_1', role: 'lane' };
    server.respond = () => ({ status: 201, json: { key, secret: 'lk_lane_secret' } });
    const { stdout, stderr } = await run(['lane', 'key', 'factory']);
    expect(stdout).toBe('lk_lane_secret\n');
    expect(stderr).not.toContain('lk_lane_secret');
    server.respond = () => ({ status: 201, json: { key } });
    expect(await run(['lane', 'key', 'factory'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('key revoke key_1'),
    });
  });
});

describe('a failure', () => {
  const failures: readonly (readonly [number, string, number])[] = [
    [400, 'invalid_request', 1],
    [401, 'unauthenticated', 4],
    [403, 'forbidden', 4],
    [404, 'lane_not_found', 3],
    [409, 'illegal_transition', 5],
    [412, 'version_mismatch', 5],
    [500, 'internal', 1],
  ];
  for (const [status, code, exitCode] of failures) {
    test(`${code} is told as title, detail and code, with exit code ${exitCode}`, async () => {
      server.respond = () => problem(status, code, { errors: [{ pointer: '/title', detail: 'too long' }] });
      const end = await run(['task', 'cancel', 't']);
      expect(end).toMatchObject({ code: exitCode, stdout: '' });
      expect(end.stderr).toContain(`A title: Some detail. (${code})\n  /title: too long\n`);
    });
  }

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

describe('waiting for a task', () => {
  test('returns when it has finished', async () => {
    let asked = 0;
    server.respond = () => {
      asked += 1;
      return { status: 200, json: { task: { ...TASK, status: asked < 3 ? 'running' : 'done' } } };
    };
    expect(await run(['task', 'get', 't', '--wait', '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"done"'),
    });
    expect(server.requests[0]?.headers['prefer']).toBe('wait=60');
  });

  test('ends with exit code 124 when it has not', async () => {
    server.respond = () => ({ status: 200, json: { task: TASK } });
    expect(await run(['task', 'get', 't', '-w', '0'])).toMatchObject({
      code: 124,
      stdout: expect.stringContaining('task_1'),
    });
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
